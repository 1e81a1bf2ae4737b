// A stream that the test plays, for connections without a socket.
import Clocks
import Transport

/// A stream without a socket.
final class ScriptedStream: ByteStream {
  var delegate: (any StreamDelegate)?
  let peer: SocketAddress? = nil
  var detectsReset = false
  private(set) var isReading = false
  private(set) var written = ""
  private(set) var queuedBytes = 0
  private(set) var sentBytes: UInt64 = 0
  private(set) var isClosed = false
  private(set) var wasReset = false
  private(set) var hasShutDown = false
  /// Whether the peer takes what is written.
  var takes = true

  func startReading() { isReading = true }
  func pauseReading(detectingClose: Bool) { isReading = false }
  func isStale() -> Bool { false }

  func write(_ bytes: RawSpan) -> Bool {
    written += String(
      decoding: (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }, as: UTF8.self)
    if takes { sentBytes += UInt64(bytes.byteCount) } else { queuedBytes += bytes.byteCount }
    return queuedBytes == 0
  }

  func shutdownWriting() { hasShutDown = true }

  func close(reset: Bool) {
    isClosed = true
    wasReset = reset
    delegate = nil
  }

  // MARK: What the test does

  /// The peer sends.
  func receive(_ text: String, at seconds: UInt64 = 1) {
    let instant = Instant(nanoseconds: seconds * 1_000_000_000)
    delegate?.streamDidRead(self, Array(text.utf8).span.bytes, Arrival(at: instant, readAt: instant, source: .loop))
  }

  /// The peer takes what is queued.
  func flush() {
    sentBytes += UInt64(queuedBytes)
    queuedBytes = 0
    delegate?.streamDidFlush(self)
  }

  func end() { delegate?.streamDidEnd(self) }
}
