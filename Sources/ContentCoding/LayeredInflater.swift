// Inflates a body that was coded once, or twice one on top of the other (`Content-Encoding: gzip, br`).

/// The inflation of one body in one or two codings. Not `Sendable`.
public final class LayeredInflater {
  /// The coding that was applied last, or the only one.
  private let outer: Inflater
  private let inner: Inflater?
  /// What the outer one gave and the inner one has not taken: 16 KiB at most.
  private var between: [UInt8] = []
  /// Whether the last call stopped at its limit: then there may be more, even without further bytes.
  public private(set) var isPaused = false

  /// - Parameter codings: in the order in which they were applied.
  /// - Returns: nil where there is no memory for it, or the number of codings is neither 1 nor 2.
  public init?(_ codings: [ContentCoding]) {
    guard 1...2 ~= codings.count, let last = codings.last, let outer = Inflater(last) else { return nil }
    self.outer = outer
    guard codings.count == 2 else {
      inner = nil
      return
    }
    guard let inner = Inflater(codings[0]) else { return nil }
    self.inner = inner
  }

  /// Bytes of memory that it holds now.
  public var memory: Int { outer.memory + (inner?.memory ?? 0) }

  /// Inflates bytes, and calls `sink` with what they stand for, some KiB at a time.
  /// - Parameter limit: stop when about this many bytes have come out (up to 16 KiB more).
  /// - Returns: how many of `bytes` are done with; the others are to be given again, before any further ones.
  public func inflate(
    _ bytes: RawSpan, atMost limit: Int, _ sink: (RawSpan) -> Void
  ) throws(InflateError) -> Int {
    guard let inner else {
      let consumed = try outer.inflate(bytes, atMost: limit, sink)
      isPaused = outer.isPaused
      return consumed
    }
    var (consumed, produced) = (0, 0)
    isPaused = true
    while produced < limit {
      if between.isEmpty, !inner.isPaused {
        let rest = bytes.extracting(consumed..<bytes.byteCount)
        if rest.isEmpty, !outer.isPaused { break }
        consumed += try outer.inflate(rest, atMost: 1) { part in
          unsafe part.withUnsafeBytes { unsafe between.append(contentsOf: $0) }
        }
        if between.isEmpty, !outer.isPaused { break }
      }
      let part = between
      let done = try unsafe inner.inflate(part.span.bytes, atMost: limit - produced) {
        produced += $0.byteCount
        sink($0)
      }
      between = Array(part[done...])
      // The inner one waits for what is not there.
      if done == 0, !inner.isPaused, !part.isEmpty { throw .damaged }
    }
    isPaused = inner.isPaused || outer.isPaused || !between.isEmpty
    return consumed
  }
}
