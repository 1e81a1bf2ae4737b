// A listening socket on a loop: accepts clients, and stops for a while when descriptors run out.
// It must not know what clients want.
import CLibuv
import CSocket
import Glibc

/// A listening TCP socket, confined to its loop's thread. Several may share a port (SO_REUSEPORT): one a worker.
@safe
public final class Listener {
  /// Clients taken per turn of the loop, so that a burst of connections does not hold up running streams.
  private static let clientsPerTurn = 64

  /// The address in force, with the real port where 0 was asked for.
  public let address: SocketAddress

  private let loop: EventLoop
  private let poll: UnsafeMutablePointer<uv_poll_t>
  private var descriptor: Int32
  private var onAccept: ((Stream) -> Void)?
  private var onFailure: ((TransportError) -> Void)?
  private var retry: Timer?
  private var isPaused = false

  /// Binds and listens. Accepting begins with `start`.
  /// - Throws: `TransportError` (`EADDRINUSE`, `EACCES`, …).
  public init(loop: EventLoop, address: SocketAddress, sharesPort: Bool, backlog: Int32 = 4096) throws(TransportError) {
    let descriptor = tg_tcp_socket(address.family)
    guard descriptor >= 0 else { throw TransportError(.listen, code: descriptor) }
    do throws(TransportError) {
      self.address = try Self.listen(descriptor, address, sharesPort: sharesPort, backlog: backlog)
    } catch {
      _ = Glibc.close(descriptor)
      throw error
    }
    self.loop = loop
    self.descriptor = descriptor
    unsafe poll = .allocate(capacity: 1)
    let result = unsafe uv_poll_init(loop.handle, poll, descriptor)
    guard result == 0 else {
      _ = Glibc.close(descriptor)
      throw TransportError(.listen, code: result)
    }
    unsafe poll.pointee.data = Unmanaged.passRetained(self).toOpaque()
  }

  deinit { unsafe poll.deallocate() }

  private static func listen(
    _ descriptor: Int32, _ address: SocketAddress, sharesPort: Bool, backlog: Int32
  ) throws(TransportError) -> SocketAddress {
    _ = tg_set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
    if sharesPort { _ = tg_set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
    var raw = address.raw
    var result = unsafe tg_bind(descriptor, &raw)
    if result == 0, Glibc.listen(descriptor, backlog) < 0 { result = -errno }
    if result == 0 { result = unsafe tg_local_address(descriptor, &raw) }
    guard result == 0 else { throw TransportError(.listen, code: result) }
    return SocketAddress(raw)
  }

  /// Begins to accept. `onFailure` is told of clients that could not be taken, descriptors having run out among them.
  public func start(onAccept: @escaping (Stream) -> Void, onFailure: @escaping (TransportError) -> Void) {
    self.onAccept = onAccept
    self.onFailure = onFailure
    resume()
  }

  /// Accepts nobody until `resume`; clients wait in the kernel's queue.
  public func pause() {
    guard descriptor >= 0 else { return }
    isPaused = true
    _ = unsafe uv_poll_stop(poll)
  }

  /// Accepts again.
  public func resume() {
    guard descriptor >= 0 else { return }
    isPaused = false
    _ = unsafe uv_poll_start(poll, Int32(UV_READABLE.rawValue)) { handle, status, _ in
      guard let data = unsafe handle?.pointee.data else { return }
      unsafe Unmanaged<Listener>.fromOpaque(data).takeUnretainedValue().acceptClients()
    }
  }

  /// Takes what is queued, then stops listening: clients that already shook hands are served, not reset.
  public func close() {
    guard descriptor >= 0 else { return }
    acceptClients(atMost: .max, evenPaused: true)
    onAccept = nil
    onFailure = nil
    retry?.close()
    retry = nil
    unsafe uv_close(tg_poll_handle(poll)) { handle in
      guard let data = unsafe handle?.pointee.data else { return }
      unsafe Unmanaged<Listener>.fromOpaque(data).release()
    }
    _ = Glibc.close(descriptor)
    descriptor = -1
  }

  private func acceptClients(atMost limit: Int = Listener.clientsPerTurn, evenPaused: Bool = false) {
    var taken = 0
    while taken < limit, descriptor >= 0, evenPaused || !isPaused {
      var peer = tg_address()
      let client = unsafe tg_accept(descriptor, &peer)
      if client < 0 { return refused(client) }
      taken += 1
      do throws(TransportError) {
        onAccept?(try Stream.accepted(loop: loop, descriptor: client, peer: SocketAddress(peer)))
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
