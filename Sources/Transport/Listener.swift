// Accepts clients from a listening socket on a loop, and stops for a moment when descriptors run out.
import CLibuv
import CSocket
import Glibc

/// Accepts the clients of one listening socket, confined to its loop's thread. Several, on several loops, may accept from one
/// socket.
@safe
public final class Listener {
  /// Clients accepted per turn of the loop, so that a burst of connections does not delay running streams.
  private static let clientsPerTurn = 64
  /// How long a port is left to its successor before the socket is closed: handshakes that have begun come to their end.
  private static let handoverMilliseconds: UInt64 = 250
  /// How often the kernel is told to spread clients evenly: a process that left the port may have had it do otherwise.
  private static let balancingMilliseconds: UInt64 = 10_000

  /// The address in force, with the real port where 0 was asked for.
  public let address: SocketAddress

  private let loop: EventLoop
  private let poll: SocketPoll
  private let sharing: ListeningSocket.Sharing
  private var descriptor: Int32
  /// A Unix socket's file; it is removed when the last listener releases it.
  private var file: SocketFile?
  private var onAccept: ((any ByteStream) -> Void)?
  private var onFailure: ((TransportError) -> Void)?
  private var onClose: (() -> Void)?
  /// Runs while no descriptor is left for a client.
  private var retryTimer: Timer?
  /// Balances a shared port from time to time; at the end it ends the handover.
  private var portTimer: Timer?
  private var isPaused = false
  private var isOutOfDescriptors = false
  private var isHandingOver = false

  /// How long after descriptors have run out the next client is accepted; tests shorten it.
  var retryMilliseconds: UInt64 = 100
  /// The system call; tests make it fail.
  var acceptClient: (_ descriptor: Int32) -> (client: Int32, peer: tg_address) = { descriptor in
    var peer = tg_address()
    return (unsafe tg_accept(descriptor, &peer), peer)
  }

  /// Whether nothing is accepted any more.
  public var isClosed: Bool { descriptor < 0 }

  /// Binds and listens. Accepting begins with `start`.
  /// - Throws: `TransportError` (`EADDRINUSE`, `EACCES`, …).
  public convenience init(loop: EventLoop, address: SocketAddress, sharesPort: Bool) throws(TransportError) {
    try self.init(loop: loop, socket: ListeningSocket(address, sharing: sharesPort ? .workers : .alone))
  }

  /// Prepares to accept from `socket`, of which it makes a descriptor of its own. Accepting begins with `start`.
  /// - Throws: `TransportError` where no descriptor is left.
  public init(loop: EventLoop, socket: ListeningSocket) throws(TransportError) {
    let descriptor = fcntl(socket.descriptor, F_DUPFD_CLOEXEC, 0)
    guard descriptor >= 0 else { throw TransportError(.listen, code: -errno) }
    address = socket.address
    sharing = socket.sharing
    file = socket.file
    self.loop = loop
    self.descriptor = descriptor
    do throws(TransportError) {
      poll = try SocketPoll(
        loop: loop, descriptor: descriptor, trigger: socket.sharing.hasFurtherLoops ? .exclusive : .level)
    } catch {
      _ = Glibc.close(descriptor)
      throw TransportError(.listen, code: error.code)
    }
    poll.attach(to: self)
  }

  /// Begins to accept. `onFailure` is called for a client that could not be accepted, and when descriptors have run out.
  public func start(onAccept: @escaping (any ByteStream) -> Void, onFailure: @escaping (TransportError) -> Void) {
    self.onAccept = onAccept
    self.onFailure = onFailure
    if sharing == .processes {
      portTimer = Timer(loop: loop) { [unowned self] in portTimerFired() }
      portTimer?.start(milliseconds: Self.balancingMilliseconds, repeating: Self.balancingMilliseconds)
    }
    updatePoll()
  }

  /// Finds out those of its clients that vanish: of the clients that are accepted from now on.
  public func apply(_ liveness: Liveness) {
    if descriptor >= 0, address.family != .unix { liveness.apply(to: descriptor) }
  }

  /// Accepts nobody until `resume`; clients wait in the kernel's queue.
  public func pause() {
    isPaused = true
    updatePoll()
  }

  /// Accepts again.
  public func resume() {
    isPaused = false
    updatePoll()
  }

  private func updatePoll() {
    guard descriptor >= 0 else { return }
    unsafe poll.watch(isPaused || isOutOfDescriptors ? [] : .readable, Self.onReady)
  }

  private static let onReady: uv_poll_cb = { handle, _, _ in
    guard let data = unsafe handle?.pointee.data else { return }
    let listener = unsafe Unmanaged<Listener>.fromOpaque(data).takeUnretainedValue()
    listener.acceptClients()
    listener.checkForClients()
  }

  /// Looks whether clients wait, where several loops accept from one socket. Call it from time to time: the kernel wakes one
  /// loop for a client, and that one may have been paused meanwhile. The loop is then the last to be woken, so that clients
  /// are spread over all of them.
  public func checkForClients() {
    guard descriptor >= 0 else { return }
    unsafe poll.rearm(Self.onReady)
  }

  // MARK: Closing

  /// Stops listening without a client being reset; those whose handshake is complete are still accepted, paused or not.
  ///
  /// Where another process may share the port this takes a moment: the kernel is told to give further handshakes to that
  /// process, and those of this one are waited for. A second call closes at once.
  /// - Parameter closed: called when no further client will be accepted, perhaps before this returns.
  public func close(_ closed: @escaping () -> Void = {}) {
    guard descriptor >= 0 else { return closed() }
    guard sharing == .processes, !isHandingOver, let portTimer else {
      if !isHandingOver { onClose = closed }
      return closeNow()
    }
    onClose = closed
    isHandingOver = true
    _ = tg_yield_port(descriptor)
    resume()
    portTimer.start(milliseconds: Self.handoverMilliseconds)
  }

  private func portTimerFired() {
    if isHandingOver { closeNow() } else { _ = tg_select_by_hash(descriptor) }
  }

  private func closeNow() {
    // Nobody finds a Unix socket any more once its file is gone, so that no client comes behind the last one accepted.
    file = nil
    acceptClients(atMost: .max, evenPaused: true)
    onAccept = nil
    onFailure = nil
    retryTimer?.close()
    retryTimer = nil
    portTimer?.close()
    portTimer = nil
    poll.close()
    _ = Glibc.close(descriptor)
    descriptor = -1
    let closed = onClose
    onClose = nil
    closed?()
  }

  // MARK: Accepting

  private func acceptClients(atMost limit: Int = Listener.clientsPerTurn, evenPaused: Bool = false) {
    var accepted = 0
    while accepted < limit, descriptor >= 0, evenPaused || !isPaused {
      let (client, peer) = acceptClient(descriptor)
      if client < 0 { return acceptFailed(client) }
      accepted += 1
      do throws(TransportError) {
        onAccept?(try SocketStream.accepted(loop: loop, descriptor: client, peer: SocketAddress(peer) ?? address))
      } catch {
        onFailure?(error)
      }
    }
  }

  private func acceptFailed(_ code: Int32) {
    guard code != -EAGAIN else { return }
    let error = TransportError(.accept, code: code)
    onFailure?(error)
    guard error.isOutOfDescriptors, descriptor >= 0 else { return }
    // The client stays in the kernel's queue, and so the socket readable: without a rest the loop would spin.
    isOutOfDescriptors = true
    updatePoll()
    let timer = retryTimer ?? Timer(loop: loop) { [unowned self] in retry() }
    retryTimer = timer
    timer.start(milliseconds: retryMilliseconds)
  }

  private func retry() {
    isOutOfDescriptors = false
    updatePoll()
  }
}
