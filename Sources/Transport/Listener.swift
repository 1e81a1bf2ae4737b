// Takes clients from a listening socket on a loop, and stops for a while when descriptors run out.
// It must not know what clients want.
import CSocket
import Glibc

/// Accepts the clients of one listening socket, confined to its loop's thread. Several, on several loops, may take from one
/// socket.
@safe
public final class Listener {
  /// Clients taken per turn of the loop, so that a burst of connections does not hold up running streams.
  private static let clientsPerTurn = 64
  /// How long a port is yielded before its socket is closed: handshakes that have begun come to their end.
  private static let yieldMilliseconds: UInt64 = 250
  /// How often what a process that left had the kernel do is undone, should it concern us still.
  private static let shareMilliseconds: UInt64 = 10_000

  /// The address in force, with the real port where 0 was asked for.
  public let address: SocketAddress

  private let loop: EventLoop
  private var poll: SocketPoll
  private let sharing: ListeningSocket.Sharing
  private var descriptor: Int32
  private var file: SocketFile?
  private var onAccept: ((any ByteStream) -> Void)?
  private var onFailure: ((TransportError) -> Void)?
  private var onClose: (() -> Void)?
  private var retry: Timer?
  /// Shares the port evenly from time to time, then ends the yielding.
  private var sharer: Timer?
  private var isPaused = false
  private var isYielding = false

  /// Whether nothing is accepted any more.
  public var isClosed: Bool { descriptor < 0 }

  /// Binds and listens. Accepting begins with `start`.
  /// - Throws: `TransportError` (`EADDRINUSE`, `EACCES`, …).
  public convenience init(loop: EventLoop, address: SocketAddress, sharesPort: Bool) throws(TransportError) {
    try self.init(loop: loop, socket: ListeningSocket(address, sharing: sharesPort ? .workers : .alone))
  }

  /// Prepares to take clients from `socket`, of which it makes a descriptor of its own. Accepting begins with `start`.
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
      poll = try SocketPoll(loop: loop, descriptor: descriptor, trigger: .level)
    } catch {
      _ = Glibc.close(descriptor)
      throw TransportError(.listen, code: error.code)
    }
    poll.attach(to: self)
  }

  /// Begins to accept. `onFailure` is told of clients that could not be taken, descriptors having run out among them.
  public func start(onAccept: @escaping (any ByteStream) -> Void, onFailure: @escaping (TransportError) -> Void) {
    self.onAccept = onAccept
    self.onFailure = onFailure
    if sharing == .processes {
      sharer = Timer(loop: loop) { [unowned self] in sharerFired() }
      sharer?.start(milliseconds: Self.shareMilliseconds, repeating: Self.shareMilliseconds)
    }
    resume()
  }

  /// Accepts nobody until `resume`; clients wait in the kernel's queue.
  public func pause() {
    guard descriptor >= 0 else { return }
    isPaused = true
    poll.stop()
  }

  /// Accepts again.
  public func resume() {
    guard descriptor >= 0 else { return }
    isPaused = false
    unsafe poll.watch(.readable) { handle, _, _ in
      guard let data = unsafe handle?.pointee.data else { return }
      unsafe Unmanaged<Listener>.fromOpaque(data).takeUnretainedValue().acceptClients()
    }
  }

  // MARK: Closing

  /// Stops listening without a client being reset; those who have shaken hands already are still taken, paused or not.
  ///
  /// Where another process may take the port over this takes a moment: the kernel is told to give further handshakes to
  /// that one, and ours are waited for. A second call closes at once.
  /// - Parameter closed: called when no further client will be accepted, perhaps before this returns.
  public func close(_ closed: @escaping () -> Void = {}) {
    guard descriptor >= 0 else { return closed() }
    guard sharing == .processes, !isYielding, let sharer else {
      if !isYielding { onClose = closed }
      return closeNow()
    }
    onClose = closed
    isYielding = true
    _ = tg_yield_port(descriptor)
    if isPaused { resume() }
    sharer.start(milliseconds: Self.yieldMilliseconds)
  }

  private func sharerFired() {
    if isYielding { closeNow() } else { _ = tg_select_by_hash(descriptor) }
  }

  private func closeNow() {
    // Nobody finds the socket any more once its file is gone, so that no client comes behind the last that is accepted.
    file = nil
    acceptClients(atMost: .max, evenPaused: true)
    onAccept = nil
    onFailure = nil
    retry?.close()
    retry = nil
    sharer?.close()
    sharer = nil
    poll.close()
    _ = Glibc.close(descriptor)
    descriptor = -1
    let closed = onClose
    onClose = nil
    closed?()
  }

  // MARK: Accepting

  private func acceptClients(atMost limit: Int = Listener.clientsPerTurn, evenPaused: Bool = false) {
    var taken = 0
    while taken < limit, descriptor >= 0, evenPaused || !isPaused {
      var peer = tg_address()
      let client = unsafe tg_accept(descriptor, &peer)
      if client < 0 { return refused(client) }
      taken += 1
      do throws(TransportError) {
        onAccept?(try SocketStream.accepted(loop: loop, descriptor: client, peer: SocketAddress(peer) ?? address))
      } catch {
        onFailure?(error)
      }
    }
  }

  private func refused(_ code: Int32) {
    guard code != -EAGAIN else { return }
    let error = TransportError(.accept, code: code)
    onFailure?(error)
    guard error.isOutOfDescriptors else { return }
    // The client stays in the kernel's queue; asking again at once would only spin.
    pause()
    if retry == nil { retry = Timer(loop: loop) { [unowned self] in resume() } }
    retry?.start(milliseconds: 100)
  }
}
