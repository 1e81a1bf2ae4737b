// What has come of a request that cannot be sent yet, or may have to be sent again.
import HTTP1

/// The bytes of one request that wait for an upstream connection, and its head for as long as it may be sent twice.
///
/// Bounded: the client is paused when more than the high watermark waits, so that two reads at most lie beyond it; and
/// only requests without a body are kept for a second time.
struct RequestBuffer {
  private var waiting: [UInt8] = []
  private var head: [UInt8] = []
  /// What waits of the worker's `RequestMemory`.
  var share = RequestMemory.Share()

  /// Bytes that wait.
  var count: Int { waiting.count }

  /// Adds bytes to those that wait.
  mutating func append(_ output: OutputBuffer) { waiting += output.bytes }

  /// Keeps the head of a request that may be sent again.
  mutating func keepHead(_ output: OutputBuffer) { head = output.bytes }

  /// Lets go of the kept head: the request is not sent again.
  mutating func dropHead() { head = [] }

  /// Puts the kept head among those that wait.
  mutating func restoreHead() {
    waiting = head
    head = []
  }

  /// Hands out what waits.
  mutating func takeAll() -> [UInt8] {
    defer { waiting = [] }
    return waiting
  }
}
