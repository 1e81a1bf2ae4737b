// Watches one socket for what it is ready for: by level, by edge, or as one of several loops.
import CLibuv
import Glibc

/// What a socket is watched for, and found ready for: libuv's bits.
struct PollEvents: OptionSet, Hashable, Sendable {
  let rawValue: Int32

  /// Bytes wait, or a client, or the peer's end.
  static var readable: PollEvents { PollEvents(rawValue: Int32(UV_READABLE.rawValue)) }
  /// There is room for bytes, or the connection stands.
  static var writable: PollEvents { PollEvents(rawValue: Int32(UV_WRITABLE.rawValue)) }
  /// The peer has ended its side.
  static var disconnect: PollEvents { PollEvents(rawValue: Int32(UV_DISCONNECT.rawValue)) }
  /// Urgent data waits.
  static var urgent: PollEvents { PollEvents(rawValue: Int32(UV_PRIORITIZED.rawValue)) }
}

/// How the kernel reports that a socket has something to be read.
public enum PollTrigger: Sendable {
  /// Once for what has arrived: who is told reads it all, or asks again. One look at the socket an arrival.
  case edge
  /// For as long as anything is left: the kernel looks at each ready socket a second time at the next wait.
  case level
  /// As by level, but of the loops that watch a listening socket only one that waits is woken for a client. They are woken in
  /// the order in which they began to watch: whoever calls `rearm` is the last again. A client whose loop is woken and then
  /// accepts nobody waits until another loop calls `rearm`.
  case exclusive

  /// What epoll_ctl(2) is told beside the events.
  fileprivate var mode: UInt32 {
    switch self {
    case .edge: EPOLLET.rawValue
    case .level: 0
    case .exclusive: UInt32(EPOLLEXCLUSIVE.rawValue)
    }
  }
}

/// The `uv_poll_t` of one socket: its memory, what it is watched for, and by which trigger. libuv offers polling by level;
/// for the other ways a bit is set in a private field of libuv's (CLibuv's shim says why that works), here and nowhere else.
///
/// The loop retains the owner from `attach` until the close callback; the memory is freed with the owner, and so after it.
/// All state is in that memory, and nothing here mutates: each read looks at it, and accesses to a variable property of the
/// owner would be checked for exclusivity.
@safe
struct SocketPoll: ~Copyable {
  @safe
  private struct State {
    /// First, so that it has the address of the whole.
    var handle: uv_poll_t
    var events: PollEvents = []
    var trigger: PollTrigger
    /// How `events` are reported.
    var active = PollTrigger.level
  }

  private let state: UnsafeMutablePointer<State>
  private var handle: UnsafeMutablePointer<uv_poll_t> {
    unsafe UnsafeMutableRawPointer(state).assumingMemoryBound(to: uv_poll_t.self)
  }
  /// Whether what is watched for now is reported by edge: a read that may have left something calls `rearm`.
  var isByEdge: Bool { unsafe state.pointee.active == .edge }

  /// - Parameter trigger: how reads are reported where nothing else is waited for; writes are by level in any case.
  init(loop: EventLoop, descriptor: Int32, trigger: PollTrigger) throws(TransportError) {
    unsafe state = .allocate(capacity: 1)
    unsafe state.initialize(to: State(handle: uv_poll_t(), trigger: trigger))
    let result = unsafe uv_poll_init(loop.handle, handle, descriptor)
    guard result == 0 else { throw TransportError(.loop, code: result) }
  }

  deinit { unsafe state.deallocate() }

  /// Has the loop retain `owner`, whom the callback finds in the handle's `data`. Call it once, before `watch`.
  func attach(to owner: AnyObject) { unsafe handle.pointee.data = Unmanaged.passRetained(owner).toOpaque() }

  /// Watches for `wanted` from now on; for nothing at all where that is empty.
  func watch(_ wanted: PollEvents, _ ready: uv_poll_cb) {
    let trigger = unsafe wanted == .readable ? state.pointee.trigger : .level
    // The end and urgent data are asked for by name: by edge, the kernel says once what stands behind the bytes.
    let wanted: PollEvents = trigger == .edge ? [.readable, .disconnect, .urgent] : wanted
    guard unsafe wanted != state.pointee.events else { return }
    clearMode()
    unsafe state.pointee.events = wanted
    guard !wanted.isEmpty else { return _ = unsafe uv_poll_stop(handle) }
    guard unsafe uv_poll_start(handle, wanted.rawValue, ready) == 0, trigger != .level else { return }
    unsafe state.pointee.active = trigger
    unsafe tg_poll_set_mode(handle, trigger.mode)
  }

  /// Before any other call on the handle.
  private func clearMode() {
    guard unsafe state.pointee.active != .level else { return }
    unsafe state.pointee.active = .level
    unsafe tg_poll_clear_mode(handle)
  }

  /// Has the kernel look at the socket anew, where something may be left that it has reported already, or to another loop.
  func rearm(_ ready: uv_poll_cb) {
    guard unsafe state.pointee.active != .level else { return }
    unsafe state.pointee.events = []
    unsafe watch(.readable, ready)
  }

  /// Uses no edge any more. What is watched for now stays as it is until the next `watch`.
  func useLevel() { unsafe state.pointee.trigger = .level }

  /// Watches for nothing. Also where libuv has stopped by itself, as it does at an error.
  func stop() {
    clearMode()
    unsafe state.pointee.events = []
    _ = unsafe uv_poll_stop(handle)
  }

  /// Takes the descriptor off the loop, after which it may be closed, and releases the owner once libuv is done. Call it
  /// once.
  func close() {
    stop()
    unsafe uv_close(tg_poll_handle(handle)) { handle in
      guard let data = unsafe handle?.pointee.data else { return }
      unsafe Unmanaged<AnyObject>.fromOpaque(data).release()
    }
  }
}
