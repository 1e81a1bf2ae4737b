// Bytes that a socket would not take yet, in order.
// It must not know where they go.

/// A queue of bytes with a cheap front: what is sent is skipped, not moved.
struct ByteQueue {
  private var bytes: [UInt8] = []
  private var start = 0

  /// Bytes waiting.
  var count: Int { bytes.count - start }

  mutating func append(_ span: RawSpan) {
    unsafe span.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
  }

  /// Looks at what waits, in place.
  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    unsafe bytes.withUnsafeBytes { unsafe body(UnsafeRawBufferPointer(rebasing: $0[start...])) }
  }

  /// Drops `count` bytes from the front. Memory goes back as soon as nothing waits: idle streams hold none.
  mutating func drop(_ count: Int) {
    start += count
    if start == bytes.count {
      bytes = []
      start = 0
    } else if start > 64 * 1024, start > bytes.count / 2 {
      bytes.removeFirst(start)
      start = 0
    }
  }
}
