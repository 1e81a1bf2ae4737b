// Where body bytes stand in a read, chunk framing left out.
// It must not hold the bytes themselves.

/// The spans that the last `MessageParser.parse` found, relative to the bytes it was given.
///
/// One list serves all parsers of a thread: it is good until the next `parse` of any of them.
@safe
public final class BodySpans {
  @unsafe
  private struct State {
    var spans: UnsafeMutableBufferPointer<Range<Int32>>
    var count = 0
  }
  private let state: UnsafeMutablePointer<State>

  /// An empty list.
  public init() {
    unsafe state = .allocate(capacity: 1)
    unsafe state.initialize(to: State(spans: .allocate(capacity: 256)))
  }

  deinit {
    unsafe state.pointee.spans.deallocate()
    unsafe state.deallocate()
  }

  /// Spans in the list.
  public var count: Int { unsafe state.pointee.count }
  /// Whether there is none.
  public var isEmpty: Bool { count == 0 }

  /// The span at `index`, counted from 0.
  public subscript(_ index: Int) -> Range<Int> {
    precondition(index >= 0 && index < count)
    let span = unsafe state.pointee.spans[index]
    return Int(span.lowerBound)..<Int(span.upperBound)
  }

  /// All the spans' bytes.
  public var byteCount: Int {
    var bytes = 0
    for index in 0..<count { bytes += self[index].count }
    return bytes
  }

  func removeAll() { unsafe state.pointee.count = 0 }

  func append(_ start: Int, count length: Int) {
    let index = count
    if unsafe index == state.pointee.spans.count { grow() }
    unsafe state.pointee.spans[index] = Int32(truncatingIfNeeded: start)..<Int32(truncatingIfNeeded: start + length)
    unsafe state.pointee.count = index + 1
  }

  private func grow() {
    let larger = unsafe UnsafeMutableBufferPointer<Range<Int32>>.allocate(capacity: state.pointee.spans.count * 2)
    for index in 0..<count { unsafe larger[index] = state.pointee.spans[index] }
    unsafe state.pointee.spans.deallocate()
    unsafe state.pointee.spans = larger
  }
}
