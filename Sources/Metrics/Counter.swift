// Counters that one thread writes and any other may read, without a lock.
import Synchronization

/// A count that only grows, written by one thread and read by any.
///
/// A single writer needs no atomic read-modify-write, only a load and a store, both relaxed. A second writer
/// would lose counts.
public struct Counter: ~Copyable, Sendable {
  @usableFromInline let value = Atomic<UInt64>(0)

  /// A counter at 0.
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

/// A label, whose values have a counter each. A case's raw value is the label's value as it is shown.
public typealias CounterLabel = CaseIterable & RawRepresentable<String> & Hashable & Sendable

/// One counter for each value of a label, under the same rule: one thread writes, any reads.
public struct CounterFamily<Label: CounterLabel>: ~Copyable, Sendable {
  @usableFromInline let labels = Array(Label.allCases)
  @usableFromInline let counters = InlineArray<64, Counter> { _ in Counter() }

  /// Counters at 0. A label has 64 values at most.
  public init() { precondition(labels.count <= counters.count) }

  /// Counts `times` more of `label`; from the writer's thread only. It searches for the label: not for what happens at each read.
  @inlinable
  public func add(_ label: Label, _ times: Int = 1) {
    if let index = labels.firstIndex(of: label) { counters[index].add(times) }
  }

  /// The count of `label` so far; from any thread.
  public func count(_ label: Label) -> UInt64 {
    labels.firstIndex(of: label).map { counters[$0].count } ?? 0
  }
}

/// One counter for each pair of two labels' values, of which the second may be absent; the same rule as for `Counter`.
public struct CounterGrid<Row: CounterLabel, Column: CounterLabel>: ~Copyable, Sendable {
  @usableFromInline let rows = Array(Row.allCases)
  @usableFromInline let columns = Array(Column.allCases)
  @usableFromInline let counters = InlineArray<64, Counter> { _ in Counter() }

  /// Counters at 0. There are 64 pairs at most.
  public init() { precondition(rows.count * (columns.count + 1) <= counters.count) }

  /// Counts one more; from the writer's thread only.
  @inlinable
  public func add(_ row: Row, _ column: Column?) { if let index = index(row, column) { counters[index].add() } }

  /// The count so far; from any thread.
  public func count(_ row: Row, _ column: Column?) -> UInt64 {
    guard let index = index(row, column) else { return 0 }
    return counters[index].count
  }

  // Inlined where the labels are known: a search among values of unknown types took 6,000 instructions.
  @inlinable
  func index(_ row: Row, _ column: Column?) -> Int? {
    guard let row = rows.firstIndex(of: row) else { return nil }
    guard let column else { return row * (columns.count + 1) }
    return columns.firstIndex(of: column).map { row * (columns.count + 1) + $0 + 1 }
  }
}

/// A number that goes up and down, written by one thread and read by any.
public struct Gauge: ~Copyable, Sendable {
  private let value = Atomic<Int>(0)

  /// A gauge at 0.
  public init() {}

  /// The present value; from any thread.
  public var level: Int { value.load(ordering: .relaxed) }

  /// Sets it to `level`; from the writer's thread only.
  public func set(_ level: Int) { value.store(level, ordering: .relaxed) }
}
