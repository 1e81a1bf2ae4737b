// Where the body bytes are in a read, without the chunk framing.
import HTTP

/// The ranges that `MessageParser.parse` found, relative to the bytes that it was given.
///
/// Whoever parses lends the list for one call, so that one serves all connections of a thread.
@safe
public final class BodyRanges {
  @unsafe
  private struct State {
    var ranges: UnsafeMutableBufferPointer<Range<Int32>>
    var count = 0
  }
  private let state: UnsafeMutablePointer<State>

  /// An empty list.
  public init() {
    unsafe state = .allocate(capacity: 1)
    unsafe state.initialize(to: State(ranges: .allocate(capacity: 256)))
  }

  deinit {
    unsafe state.pointee.ranges.deallocate()
    unsafe state.deallocate()
  }

  /// Ranges in the list.
  public var count: Int { unsafe state.pointee.count }
  /// Whether the list is empty.
  public var isEmpty: Bool { count == 0 }

  /// The range at `index`, counted from 0.
  public subscript(_ index: Int) -> Range<Int> {
    precondition(index >= 0 && index < count)
    let range = unsafe state.pointee.ranges[index]
    return Int(range.lowerBound)..<Int(range.upperBound)
  }

  /// The sum of the ranges' lengths.
  public var byteCount: Int {
    var bytes = 0
    for index in 0..<count { bytes += self[index].count }
    return bytes
  }

  func removeAll() { unsafe state.pointee.count = 0 }

  func append(_ start: Int, count length: Int) {
    let index = count
    if unsafe index == state.pointee.ranges.count { grow() }
    unsafe state.pointee.ranges[index] = Int32(truncatingIfNeeded: start)..<Int32(truncatingIfNeeded: start + length)
    unsafe state.pointee.count = index + 1
  }

  private func grow() {
    let larger = unsafe UnsafeMutableBufferPointer<Range<Int32>>.allocate(capacity: state.pointee.ranges.count * 2)
    for index in 0..<count { unsafe larger[index] = state.pointee.ranges[index] }
    unsafe state.pointee.ranges.deallocate()
    unsafe state.pointee.ranges = larger
  }
}
