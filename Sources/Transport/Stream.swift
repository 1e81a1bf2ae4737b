// One TCP connection on a loop: stamped reads into a lent buffer, writes that go out at once or wait in order.
// It must not know what the bytes mean, nor decide when to pause: it reports, and does as told.
import CLibuv
import CSocket
import Clocks
import Glibc

/// Whoever is told what happens on a stream. Calls come on the loop's thread, never after `close()`.
public protocol StreamDelegate: AnyObject {
  /// Bytes came in. `bytes` is lent for the length of the call.
  func streamDidRead(_ stream: Stream, _ bytes: RawSpan, _ arrival: Arrival)
  /// The peer ended its side (FIN). Nothing more will be read; the stream is still writable.
  func streamDidEnd(_ stream: Stream)
  /// The connection was made (only for streams made by `connect`).
  func streamDidConnect(_ stream: Stream)
  /// The socket has taken some, or all, of what had to wait: see `queuedBytes` and `sentBytes`.
  func streamDidFlush(_ stream: Stream)
  /// The connection failed: refused, reset, timed out. Nothing more comes; close it.
  func streamDidFail(_ stream: Stream, _ error: TransportError)
}

/// A TCP connection, confined to its loop's thread.
///
/// Sockets are driven by `uv_poll` and not by `uv_tcp`: one `recvmsg` brings bytes and kernel stamp together, a paused
/// client's reset is still seen (`uv_read_stop` hides it), and no client is closed silently when descriptors run out.
/// The loop holds one reference from creation until the close callback.
@safe
public final class Stream {
  /// The delegate, retained until `close()`.
  public var delegate: (any StreamDelegate)? {
    get { receiver }
    set { receiver = newValue }
  }
  /// The delegate, where nobody outside can reach it: what others might be using is checked at each read.
  private var receiver: (any StreamDelegate)?
  // What each read and each write touches stands first and close together: between two tokens of a stream thousands of
  // others pass, and each line of memory that has left the cache costs as much as what is done with it.
  private let loop: EventLoop
  private var descriptor: Int32
  private var interest: Int32 = 0
  /// `queue.count`, asked for at each write.
  private var queued = 0
  private var accepted: UInt64 = 0
  /// When the last read left the socket empty: nothing read later can have arrived before.
  private var drainedAt: Instant?
  private var isConnecting = false
  private var hasEnded = false
  private var isStamped = false
  private var wantsReads = false
  private var noticesDeparture = false
  private var hasFailed = false
  /// Whether the peer has sent urgent data, before which a read stops short of what lies behind (tcp(7)).
  private var hasUrgentData = false
  /// Whether a reset is told of also while nothing is read: paused, or behind the peer's FIN.
  public var detectsReset = false {
    didSet { updateInterest() }
  }
  private let poll: UnsafeMutablePointer<uv_poll_t>
  private var queue = ByteQueue()
  /// What fail the socket while bytes that came before may still be read: the end behind them is no end then.
  private var pendingError: TransportError?
  /// The peer's address, where it is known.
  public let peer: SocketAddress?

  /// Bytes written here that the socket has not taken.
  public var queuedBytes: Int { queued }
  /// Bytes that the socket has taken since the connection stands.
  public var sentBytes: UInt64 { accepted }
  /// Whether `close()` has been called.
  public var isClosed: Bool { descriptor < 0 }

  private init(loop: EventLoop, descriptor: Int32, peer: SocketAddress?) throws(TransportError) {
    self.loop = loop
    self.descriptor = descriptor
    self.peer = peer
    unsafe poll = .allocate(capacity: 1)
    let result = unsafe uv_poll_init(loop.handle, poll, descriptor)
    guard result == 0 else {
      _ = Glibc.close(descriptor)
      throw TransportError(.loop, code: result)
    }
    unsafe poll.pointee.data = Unmanaged.passRetained(self).toOpaque()
    _ = tg_set_option(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
  }

  deinit { unsafe poll.deallocate() }

  /// Takes over an accepted, non-blocking socket.
  static func accepted(loop: EventLoop, descriptor: Int32, peer: SocketAddress) throws(TransportError) -> Stream {
    try Stream(loop: loop, descriptor: descriptor, peer: peer)
  }

  /// Begins to connect. Writes are kept until the connection stands; `streamDidConnect` or `streamDidFail` follows.
  /// - Parameter stamped: whether reads carry the kernel's arrival time.
  public static func connect(
    loop: EventLoop, to address: SocketAddress, stamped: Bool, delegate: any StreamDelegate
  ) throws(TransportError) -> Stream {
    let descriptor = tg_tcp_socket(address.family)
    guard descriptor >= 0 else { throw TransportError(.connect, code: descriptor) }
    let stream = try Stream(loop: loop, descriptor: descriptor, peer: address)
    if stamped {
      stream.isStamped = tg_enable_receive_stamps(descriptor) == 0
    }
    var raw = address.raw
    let result = unsafe tg_connect(descriptor, &raw)
    guard result == 0 || result == -EINPROGRESS else {
      stream.close()
      throw TransportError(.connect, code: result)
    }
    stream.delegate = delegate
    stream.isConnecting = true
    stream.updateInterest()
    return stream
  }

  // MARK: Reading

  /// Begins or resumes reading.
  public func startReading() {
    wantsReads = true
    updateInterest()
  }

  /// Stops reading; what the peer sends waits in the kernel, and so does the peer.
  /// - Parameter detectingClose: whether the peer's FIN or reset is still to be reported meanwhile.
  public func pauseReading(detectingClose: Bool) {
    wantsReads = false
    noticesDeparture = detectingClose
    updateInterest()
  }

  /// Whether the peer of an idle connection has closed it, or sent what nobody asked for. One system call.
  public func isStale() -> Bool {
    guard !isClosed, !hasEnded else { return true }
    return tg_peek(descriptor) != -Int(EAGAIN)
  }

  /// - Returns: whether there was something to read.
  @discardableResult
  private func readOnce() -> Bool {
    let readAt = Instant.now()
    var stamp = Int64.min
    let count: Int
    if isStamped {
      count = unsafe tg_receive_stamped(descriptor, loop.readBuffer.baseAddress, EventLoop.readCapacity, &stamp)
    } else {
      count = unsafe tg_receive(descriptor, loop.readBuffer.baseAddress, EventLoop.readCapacity)
    }
    if count > 0 {
      let arrival = loop.arrival(stamp: stamp == Int64.min ? nil : stamp, readAt: readAt, notBefore: drainedAt)
      drainedAt = count < EventLoop.readCapacity ? readAt : nil
      let bytes = unsafe UnsafeRawBufferPointer(start: loop.readBuffer.baseAddress, count: count)
      receiver?.streamDidRead(self, unsafe bytes.bytes, arrival)
    } else if count == 0 {
      ended()
    } else if count == -Int(EINTR) {
      drainedAt = nil
    } else if count != -Int(EAGAIN) {
      failed(TransportError(.read, code: Int32(count)))
    }
    return count > 0
  }

  /// Reads once, and has the socket polled anew where something may be left that no further event tells of.
  /// - Parameter hasEnd: whether the peer's end stands behind what is to be read.
  private func readByEdge(hasEnd: Bool) {
    readOnce()
    guard hasEnd || drainedAt == nil, wantsReads, !isClosed, !hasEnded else { return }
    interest = 0
    updateInterest()
  }

  private func ended() {
    guard !hasEnded else { return }
    if let pendingError { return failed(pendingError) }
    hasEnded = true
    updateInterest()
    receiver?.streamDidEnd(self)
  }

  private func failed(_ error: TransportError) {
    guard !hasFailed else { return }
    wantsReads = false
    hasEnded = true
    hasFailed = true
    updateInterest()
    receiver?.streamDidFail(self, error)
  }

  // MARK: Writing

  /// Sends `bytes`: at once as far as the socket takes them, the rest in order when it can.
  /// - Returns: whether the socket has taken everything that was ever written here.
  @discardableResult
  public func write(_ bytes: RawSpan) -> Bool {
    guard !isClosed else { return false }
    if bytes.isEmpty { return queued == 0 }
    guard queued == 0, !isConnecting else {
      enqueue(bytes)
      return false
    }
    let sent = unsafe bytes.withUnsafeBytes { unsafe tg_send(descriptor, $0.baseAddress, $0.count) }
    accepted &+= UInt64(max(0, sent))
    if sent == bytes.byteCount { return true }
    // A failed write is told by the loop, which sees the same error, and never from inside the writer's call.
    enqueue(bytes.extracting(max(0, sent)..<bytes.byteCount))
    updateInterest()
    return false
  }

  private func enqueue(_ bytes: RawSpan) {
    queue.append(bytes)
    queued = queue.count
  }

  private func flush() {
    var failure: TransportError?
    while queued > 0 {
      let sent = unsafe queue.withBytes { unsafe tg_send(descriptor, $0.baseAddress, $0.count) }
      guard sent > 0 else {
        if sent != -Int(EAGAIN), sent != -Int(EINTR) { failure = TransportError(.write, code: Int32(sent)) }
        break
      }
      accepted &+= UInt64(sent)
      queue.drop(sent)
      queued = queue.count
    }
    updateInterest()
    if let failure { return fail(failure) }
    receiver?.streamDidFlush(self)
  }

  /// Ends this side (FIN) while still reading. Only when nothing is queued.
  public func shutdownWriting() {
    guard !isClosed else { return }
    _ = tg_shutdown_writing(descriptor)
  }

  // MARK: Closing

  /// Closes at once; what is queued is dropped and no delegate call follows. Safe to call twice.
  /// - Parameter reset: whether the peer shall see RST, so that a cut message can never look whole.
  public func close(reset: Bool = false) {
    guard descriptor >= 0 else { return }
    if reset { _ = tg_reset_on_close(descriptor) }
    receiver = nil
    _ = unsafe tg_poll_stop(poll)
    // Once uv_close has taken the descriptor off the loop it may be closed (libuv's documentation of uv_poll_t).
    unsafe uv_close(tg_poll_handle(poll)) { handle in
      guard let data = unsafe handle?.pointee.data else { return }
      unsafe Unmanaged<Stream>.fromOpaque(data).release()
    }
    _ = Glibc.close(descriptor)
    descriptor = -1
    queue = ByteQueue()
    queued = 0
  }

  // MARK: The loop's side

  private func updateInterest() {
    guard !isClosed else { return }
    var wanted: Int32 = 0
    if isConnecting || queued > 0, !hasFailed, pendingError == nil { wanted |= Int32(UV_WRITABLE.rawValue) }
    if !isConnecting, !hasEnded {
      if wantsReads { wanted |= Int32(UV_READABLE.rawValue) }
      if !wantsReads, noticesDeparture { wanted |= Int32(UV_DISCONNECT.rawValue) }
    }
    // A socket that is polled for nothing is not polled at all; urgent data is what nobody sends.
    if wanted == 0, detectsReset, !hasFailed { wanted = Int32(UV_PRIORITIZED.rawValue) }
    // Whoever only reads is told of each arrival once, and of the end, or of urgent data, with what came before it.
    let isByEdge = wanted == Int32(UV_READABLE.rawValue) && !hasUrgentData
    if isByEdge { wanted |= Int32(UV_DISCONNECT.rawValue | UV_PRIORITIZED.rawValue) }
    guard wanted != interest else { return }
    interest = wanted
    if wanted == 0 {
      _ = unsafe tg_poll_stop(poll)
    } else {
      _ = unsafe tg_poll_start(poll, wanted, isByEdge ? 1 : 0, pollReady)
    }
  }

  fileprivate func ready(status: Int32, events: Int32) {
    guard !isClosed else { return }
    if isConnecting { return connected(status: status) }
    if status < 0 { return broken() }
    if events & Int32(UV_PRIORITIZED.rawValue) != 0 {
      guard wantsReads, !hasEnded else { return urgent() }
      // A short read no longer says that nothing is left: by level from now on.
      hasUrgentData = true
      updateInterest()
    }
    if events & Int32(UV_WRITABLE.rawValue) != 0, queued > 0 { flush() }
    guard !isClosed, !hasEnded else { return }
    if wantsReads {
      guard events & Int32(UV_READABLE.rawValue | UV_DISCONNECT.rawValue) != 0 else { return }
      // By level, what is left is told of again.
      if interest & Int32(UV_WRITABLE.rawValue) == 0 {
        readByEdge(hasEnd: events & Int32(UV_DISCONNECT.rawValue) != 0)
      } else {
        readOnce()
      }
    } else if noticesDeparture, events & Int32(UV_DISCONNECT.rawValue) != 0 {
      ended()
    }
  }

  private func connected(status: Int32) {
    let error = tg_take_error(descriptor)
    guard status == 0, error == 0 else {
      return failed(TransportError(.connect, code: error != 0 ? -error : status))
    }
    isConnecting = false
    interest = 0
    updateInterest()
    receiver?.streamDidConnect(self)
    if !isClosed, queued > 0 { flush() }
  }

  /// Polled for resets only, and something else woke it: urgent data, which would wake it for ever.
  private func urgent() {
    let error = tg_take_error(descriptor)
    if error != 0 { return fail(TransportError(.read, code: -error)) }
    detectsReset = false
  }

  /// The socket is in error, and libuv has stopped polling it.
  private func broken() {
    _ = unsafe tg_poll_stop(poll)
    interest = 0
    guard noticesDeparture || queued > 0 || wantsReads || detectsReset else { return }
    let error = tg_take_error(descriptor)
    fail(TransportError(.read, code: error != 0 ? -error : -ECONNRESET))
  }

  /// Delivers what came before the error (a server may answer an upload and reset it), then tells of the error. Where
  /// reading is paused, both wait until it goes on: the bytes are the peer's, and somebody wants them.
  private func fail(_ error: TransportError) {
    pendingError = pendingError ?? error
    while wantsReads, !isClosed, !hasEnded, readOnce() {}
    guard !isClosed, !hasFailed else { return }
    if wantsReads || noticesDeparture || hasEnded { failed(pendingError ?? error) } else { updateInterest() }
  }
}

private func pollReady(_ handle: UnsafeMutablePointer<uv_poll_t>?, _ status: Int32, _ events: Int32) {
  guard let data = unsafe handle?.pointee.data else { return }
  unsafe Unmanaged<Stream>.fromOpaque(data)._withUnsafeGuaranteedRef { $0.ready(status: status, events: events) }
}
