// A stream over a socket, TCP or Unix: stamped reads into a lent buffer, writes that go out at once or wait in order.
// It must not decide when to pause or give up: it reports, and does as told.
import CLibuv
import CSocket
import Clocks
import Glibc

/// A stream over a connected socket, confined to its loop's thread: what `TCPStream` and `UnixStream` share, which is all but
/// how they are made.
///
/// Sockets are driven by `uv_poll` and not by `uv_tcp` and `uv_pipe`; Transport's README says why. The loop holds one
/// reference from creation until the close callback.
@safe
public class SocketStream: ByteStream {
  /// The delegate, retained until `close()`.
  public final var delegate: (any StreamDelegate)? {
    get { receiver }
    set { receiver = newValue }
  }
  /// The delegate. Private, so that the compiler knows of all accesses: those to a public property are checked for
  /// exclusivity at each read.
  private final var receiver: (any StreamDelegate)?
  // What each read and each write touches stands first and close together: between two tokens of a stream thousands of
  // others pass, and each line of memory that has left the cache costs as much as what is done with it.
  private final let loop: EventLoop
  private final var descriptor: Int32
  private final var state: StreamState
  /// `queue.count`, which each write needs.
  private final var queued = 0
  private final var sent: UInt64 = 0
  /// Before which the bytes of the next read cannot have arrived.
  private final var bound: ArrivalBound
  private final let isStamped: Bool
  private final let poll: SocketPoll
  private final var queue = ByteQueue()
  /// The peer's address.
  public final let peer: SocketAddress?
  /// The socket's TCP_USER_TIMEOUT; 0 where it has none.
  private final let userTimeoutMilliseconds: Int32
  private final var isUserTimeoutSuspended = false

  /// Bytes written here that the socket has not taken.
  public final var queuedBytes: Int { queued }
  /// Bytes that the socket has taken since the connection was made.
  public final var sentBytes: UInt64 { sent }
  /// Whether `close()` has been called.
  public final var isClosed: Bool { descriptor < 0 }
  /// Whether a reset is reported also while nothing is read: paused, or behind the peer's end. What came before it is delivered
  /// first, in a pause too.
  public final var detectsReset: Bool {
    get { state.detectsReset }
    set {
      state.detectsReset = newValue
      updateInterest()
    }
  }

  /// Takes over `descriptor`, a non-blocking socket; it is closed also where this throws.
  init(
    loop: EventLoop, descriptor: Int32, peer: SocketAddress, phase: StreamState.Phase, stamped: Bool,
    trigger: PollTrigger, userTimeoutMilliseconds: Int32 = 0
  ) throws(TransportError) {
    self.loop = loop
    self.userTimeoutMilliseconds = userTimeoutMilliseconds
    self.descriptor = descriptor
    self.peer = peer
    isStamped = stamped
    bound = ArrivalBound(connectsAt: phase == .connecting ? .now() : nil)
    state = StreamState(phase: phase)
    do throws(TransportError) {
      poll = try SocketPoll(loop: loop, descriptor: descriptor, trigger: trigger)
    } catch {
      _ = Glibc.close(descriptor)
      throw error
    }
    poll.attach(to: self)
  }

  /// Takes over an accepted, non-blocking socket; it is closed also where this throws.
  static func accepted(
    loop: EventLoop, descriptor: Int32, peer: SocketAddress
  ) throws(TransportError) -> SocketStream {
    try make(loop: loop, descriptor: descriptor, peer: peer, phase: .open, stamped: false)
  }

  /// Begins to connect. Writes are kept until the connection is made; `streamDidConnect` or `streamDidFail` follows.
  /// - Parameters:
  ///   - stamped: whether reads carry the kernel's arrival time, where it gives one.
  ///   - delegate: whom events are reported to; it may be set before the loop runs next.
  /// - Throws: `TransportError` where the connection fails at once.
  public static func connect(
    loop: EventLoop, to address: SocketAddress, stamped: Bool, delegate: (any StreamDelegate)? = nil
  ) throws(TransportError) -> SocketStream {
    let descriptor = tg_stream_socket(address.family.number)
    guard descriptor >= 0 else { throw TransportError(.connect, code: descriptor) }
    let stream = try make(loop: loop, descriptor: descriptor, peer: address, phase: .connecting, stamped: stamped)
    var raw = address.raw
    let result = unsafe tg_connect(descriptor, &raw)
    guard result == 0 || result == -EINPROGRESS else {
      stream.close()
      throw TransportError(.connect, code: result)
    }
    stream.receiver = delegate
    stream.updateInterest()
    return stream
  }

  private static func make(
    loop: EventLoop, descriptor: Int32, peer: SocketAddress, phase: StreamState.Phase, stamped: Bool
  ) throws(TransportError) -> SocketStream {
    switch peer.family {
    case .unix: try UnixStream(loop: loop, descriptor: descriptor, peer: peer, phase: phase)
    case .ipv4, .ipv6: try TCPStream(loop: loop, descriptor: descriptor, peer: peer, phase: phase, stamped: stamped)
    }
  }

  // MARK: Reading

  /// Begins or resumes reading.
  public final func startReading() {
    state.reading = .active
    updateInterest()
  }

  /// Stops reading; what the peer sends waits in the kernel, and so does the peer.
  /// - Parameter detectingClose: whether the peer's end or reset is still to be reported meanwhile.
  public final func pauseReading(detectingClose: Bool) {
    state.reading = detectingClose ? .pausedDetectingClose : .paused
    updateInterest()
  }

  /// Whether the peer of an idle connection has closed it, or sent what nobody asked for. One system call.
  public final func isStale() -> Bool {
    guard !isClosed, state.phase == .connecting || state.phase == .open else { return true }
    return tg_peek(descriptor) != -Int(EAGAIN)
  }

  /// - Returns: whether there was something to read.
  @discardableResult
  private final func readOnce() -> Bool {
    let readAt = Instant.now()
    var stamp = Int64.min
    let count: Int
    if isStamped {
      count = unsafe tg_receive_stamped(descriptor, loop.readBuffer.baseAddress, EventLoop.readCapacity, &stamp)
    } else {
      count = unsafe tg_receive(descriptor, loop.readBuffer.baseAddress, EventLoop.readCapacity)
    }
    if count > 0 {
      let arrival = loop.arrival(stamp: stamp == Int64.min ? nil : stamp, readAt: readAt, notBefore: bound.notBefore)
      bound.didRead(arrival, isEmptied: count < EventLoop.readCapacity)
      let bytes = unsafe UnsafeRawBufferPointer(start: loop.readBuffer.baseAddress, count: count)
      receiver?.streamDidRead(self, unsafe bytes.bytes, arrival)
    } else if count == 0 {
      reportEnd()
    } else if count == -Int(EINTR) {
      bound.wasInterrupted()
    } else if count != -Int(EAGAIN) {
      reportFailure(TransportError(.read, code: Int32(count)))
    }
    return count > 0
  }

  /// Reads once, and has the socket looked at anew where something may be left that no further event tells of.
  /// - Parameter hasEnd: whether the peer's end stands behind what is to be read.
  private final func readByEdge(hasEnd: Bool) {
    readOnce()
    guard hasEnd || !bound.isDrained, state.reading == .active, !isClosed, state.phase == .open else { return }
    unsafe poll.rearm(socketIsReady)
  }

  private final func reportEnd() {
    guard state.phase == .open else { return }
    if let error = state.pendingError { return reportFailure(error) }
    state.phase = .ended
    updateInterest()
    receiver?.streamDidEnd(self)
  }

  private final func reportFailure(_ error: TransportError) {
    guard state.phase != .failed else { return }
    state.reading = .paused
    state.phase = .failed
    updateInterest()
    receiver?.streamDidFail(self, error)
  }

  // MARK: Writing

  /// Sends `bytes`: at once as far as the socket takes them, the rest in order when it can.
  /// - Returns: whether the socket has taken everything that was ever written here.
  @discardableResult
  public final func write(_ bytes: RawSpan) -> Bool {
    guard !isClosed else { return false }
    if bytes.isEmpty { return queued == 0 }
    guard queued == 0, state.phase != .connecting else {
      enqueue(bytes)
      return false
    }
    let count = unsafe bytes.withUnsafeBytes { unsafe tg_send(descriptor, $0.baseAddress, $0.count) }
    sent &+= UInt64(max(0, count))
    if count == bytes.byteCount { return true }
    // A write that fails is reported by the loop, which sees the same error, and never from inside the writer's call.
    enqueue(bytes.extracting(max(0, count)..<bytes.byteCount))
    updateInterest()
    return false
  }

  private final func enqueue(_ bytes: RawSpan) {
    queue.append(bytes)
    queued = queue.count
  }

  private final func flush() {
    var failure: TransportError?
    while queued > 0 {
      let count = unsafe queue.withBytes { unsafe tg_send(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else {
        if count != -Int(EAGAIN), count != -Int(EINTR) { failure = TransportError(.write, code: Int32(count)) }
        break
      }
      sent &+= UInt64(count)
      queue.drop(count)
      queued = queue.count
    }
    updateInterest()
    if let failure { return fail(failure) }
    receiver?.streamDidFlush(self)
  }

  /// Ends this side (FIN) while still reading. Only when nothing is queued.
  public final func shutdownWriting() {
    guard !isClosed else { return }
    _ = tg_shutdown_writing(descriptor)
  }

  /// Takes care that no peer is given up that lives and takes no more: TCP_USER_TIMEOUT counts that time, too
  /// (tcp_probe_timer), so it is suspended as long as data waits and all that was sent is acknowledged. Call it at least four
  /// times within the timeout, and before it is not called for a while.
  /// - Parameter isIdle: whether it will not be called for a while: then it is suspended wherever data waits.
  public final func adjustUserTimeout(isIdle: Bool) {
    guard userTimeoutMilliseconds > 0, !isClosed else { return }
    let suspends = isIdle ? tg_unacknowledged(descriptor) > 0 : tg_window_is_closed(descriptor) != 0
    guard suspends != isUserTimeoutSuspended else { return }
    isUserTimeoutSuspended = suspends
    _ = tg_set_option(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, suspends ? 0 : userTimeoutMilliseconds)
  }

  // MARK: Closing

  /// Closes at once; what is queued is dropped, and no delegate call follows. Safe to call twice.
  /// - Parameter reset: whether the peer shall see an error (RST) in place of an end.
  public final func close(reset: Bool) {
    guard descriptor >= 0 else { return }
    if reset { _ = tg_reset_on_close(descriptor) }
    receiver = nil
    // Once the descriptor is off the loop it may be closed (libuv's documentation of uv_poll_t).
    poll.close()
    _ = Glibc.close(descriptor)
    descriptor = -1
    queue = ByteQueue()
    queued = 0
  }

  // MARK: The loop's side

  private final func updateInterest() {
    guard !isClosed else { return }
    unsafe poll.watch(state.interest(hasQueued: queued > 0), socketIsReady)
  }

  fileprivate final func ready(status: Int32, events: PollEvents) {
    guard !isClosed else { return }
    if state.phase == .connecting { return connected(status: status) }
    if status < 0 { return socketFailed() }
    if events.contains(.urgent) {
      guard state.reading == .active, state.phase == .open else { return stopDetectingReset() }
      // A read stops before urgent data (tcp(7)): a short one no longer says that nothing is left.
      poll.useLevel()
      updateInterest()
    }
    if events.contains(.writable), queued > 0 { flush() }
    guard !isClosed, state.phase == .open else { return }
    switch state.reading {
    case .active:
      guard !events.isDisjoint(with: [.readable, .disconnect]) else { return }
      if poll.isByEdge { readByEdge(hasEnd: events.contains(.disconnect)) } else { readOnce() }
    case .pausedDetectingClose:
      if events.contains(.disconnect) { reportEnd() }
    case .paused:
      break
    }
  }

  private final func connected(status: Int32) {
    let error = tg_take_error(descriptor)
    guard status == 0, error == 0 else {
      return reportFailure(TransportError(.connect, code: error != 0 ? -error : status))
    }
    state.phase = .open
    receiver?.streamDidConnect(self)
    guard !isClosed else { return }
    if queued > 0 { flush() } else { updateInterest() }
  }

  /// Watched for resets only, and something else has woken it, which would wake it for ever: urgent data, or the end of a
  /// Unix peer that has closed.
  private final func stopDetectingReset() {
    let error = tg_take_error(descriptor)
    if error != 0 { return fail(TransportError(.read, code: -error)) }
    detectsReset = false
  }

  /// The socket is in error, and libuv has stopped watching it.
  private final func socketFailed() {
    poll.stop()
    guard state.reading != .paused || queued > 0 || state.detectsReset else { return }
    let error = tg_take_error(descriptor)
    fail(TransportError(.read, code: error != 0 ? -error : -ECONNRESET))
  }

  /// Delivers what came before the error (a server may answer an upload and reset it), then reports the error. Where
  /// reading is paused, both wait until it goes on: the bytes are the peer's, and somebody wants them. Whoever detects resets
  /// is told of both at once: nothing else may ever end the pause.
  private final func fail(_ error: TransportError) {
    let first = state.pendingError ?? error
    state.pendingError = first
    if state.detectsReset, state.phase == .open { state.reading = .active }
    while state.reading == .active, !isClosed, state.phase == .open, readOnce() {}
    guard !isClosed, state.phase != .failed else { return }
    if state.reading != .paused || state.phase == .ended || state.detectsReset {
      reportFailure(first)
    } else {
      updateInterest()
    }
  }
}

private func socketIsReady(_ handle: UnsafeMutablePointer<uv_poll_t>?, _ status: Int32, _ events: Int32) {
  guard let data = unsafe handle?.pointee.data else { return }
  unsafe Unmanaged<SocketStream>.fromOpaque(data)._withUnsafeGuaranteedRef {
    $0.ready(status: status, events: PollEvents(rawValue: events))
  }
}
