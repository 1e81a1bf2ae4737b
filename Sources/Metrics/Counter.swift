// Counts that one thread keeps and any other may read: what happened so far, without a lock.
// It must not know what is counted.
import Synchronization

/// A count that only grows, written by one thread and read by any.
///
/// A single writer needs no read-modify-write of the processor's: one load and one store, both relaxed. A second writer
/// would lose counts.
public struct Counter: ~Copyable, Sendable {
  @usableFromInline let value = Atomic<UInt64>(0)

  /// A count of nothing.
  public init() {}

  /// Counts `times` more, which must not be negative; from the writer's thread only.
  @inlinable
  public func add(_ times: Int = 1) {
    value.store(value.load(ordering: .relaxed) &+ UInt64(truncatingIfNeeded: times), ordering: .relaxed)
  }

  /// The count so far; from any thread.
  @inlinable
  public var count: UInt64 { value.load(ordering: .relaxed) }
}

/// The values of a label: each has a count of its own. A case's raw value is what people read.
public typealias CounterLabel = CaseIterable & RawRepresentable<String> & Hashable & Sendable

/// One counter for each value of a label, under the same rule: one thread writes, any reads.
public struct CounterFamily<Label: CounterLabel>: ~Copyable, Sendable {
  private let labels = Array(Label.allCases)
  private let counters = InlineArray<64, Counter> { _ in Counter() }

  /// Counts of nothing. A label has 64 values at most.
  public init() { precondition(labels.count <= counters.count) }

  /// Counts `times` more of `label`; from the writer's thread only. It looks the label up: for what is not done each read.
  public func add(_ label: Label, _ times: Int = 1) {
    if let place = labels.firstIndex(of: label) { counters[place].add(times) }
  }

  /// The count of `label` so far; from any thread.
  public func count(_ label: Label) -> UInt64 {
    labels.firstIndex(of: label).map { counters[$0].count } ?? 0
  }
}
