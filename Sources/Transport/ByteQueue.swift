// Bytes that wait for room in a socket, in order.

/// A queue of bytes. What has been sent is skipped, not moved away.
struct ByteQueue {
  private var bytes: [UInt8] = []
  private var start = 0

  /// Bytes waiting.
  var count: Int { bytes.count - start }

  mutating func append(_ span: RawSpan) {
    unsafe span.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
  }

  /// Lends the waiting bytes.
  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    unsafe bytes.withUnsafeBytes { unsafe body(UnsafeRawBufferPointer(rebasing: $0[start...])) }
  }

  /// Drops `count` bytes from the front. The memory is freed as soon as nothing waits: idle streams have none.
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
