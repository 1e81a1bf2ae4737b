// What everything above the transport sees of a connection, whatever carries its bytes.
import Clocks

/// An ordered stream of bytes in both directions, confined to its loop's thread.
///
/// TCP and Unix sockets are such streams (`SocketStream`); a stream that encrypts stands on another one. Who holds one
/// closes it: an open stream keeps its loop running.
public protocol ByteStream: AnyObject {
  /// Whom events are reported to; retained until `close`.
  var delegate: (any StreamDelegate)? { get set }
  /// The peer's address, where it is known.
  var peer: SocketAddress? { get }

  // MARK: Reading

  /// Begins or resumes reading.
  func startReading()
  /// Stops reading: what the peer sends waits, and so does the peer in the end.
  /// - Parameter detectingClose: whether the peer's end or reset is still reported meanwhile.
  func pauseReading(detectingClose: Bool)
  /// Whether a reset is reported also while nothing is read: paused, or behind the peer's end. What came before it is delivered
  /// first, in a pause too.
  var detectsReset: Bool { get set }
  /// Whether the peer of an idle connection has closed it, or sent bytes that nobody asked for. One system call.
  func isStale() -> Bool

  // MARK: Writing

  /// Sends `bytes`: at once as far as the peer takes them, the rest in order later. Never calls the delegate; an error is
  /// reported from the loop.
  /// - Returns: whether everything that was ever written has been sent.
  @discardableResult
  func write(_ bytes: RawSpan) -> Bool
  /// Bytes written here that have not been sent.
  var queuedBytes: Int { get }
  /// Bytes sent since the connection was made.
  var sentBytes: UInt64 { get }
  /// Ends this side; reading goes on. Only when nothing is queued.
  func shutdownWriting()
  /// Takes care that no peer is given up that lives and takes no more. Call it at least four times within the timeout for
  /// unacknowledged data (`Liveness`), and before it is not called for a while.
  /// - Parameter isIdle: whether it will not be called for a while.
  func adjustUserTimeout(isIdle: Bool)

  // MARK: Closing

  /// Closes at once: what is queued is dropped, and the delegate is not called any more. Safe to call twice.
  /// - Parameter reset: whether the peer shall see an error in place of an end, so that a truncated message cannot look
  ///   whole.
  func close(reset: Bool)
  /// Whether `close` has been called.
  var isClosed: Bool { get }
}

extension ByteStream {
  /// Nothing: no timeout counts unacknowledged data.
  public func adjustUserTimeout(isIdle: Bool) {}
  /// Closes at once; the peer sees an end.
  public func close() { close(reset: false) }
}

/// Receives a stream's events. Calls come on the loop's thread, and none after `ByteStream.close`.
public protocol StreamDelegate: AnyObject {
  /// Bytes were read. `bytes` is lent for the length of the call.
  func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival)
  /// The peer ended its side. Nothing more will be read; the stream can still be written to.
  func streamDidEnd(_ stream: any ByteStream)
  /// The connection was made (only for streams made by `connect`).
  func streamDidConnect(_ stream: any ByteStream)
  /// Some, or all, of what was queued has been sent: see `queuedBytes` and `sentBytes`.
  func streamDidFlush(_ stream: any ByteStream)
  /// The connection failed: refused, reset, timed out. Reported once; nothing follows. Close the stream.
  func streamDidFail(_ stream: any ByteStream, _ error: TransportError)
}
