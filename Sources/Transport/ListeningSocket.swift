// A TCP socket that listens already and from which no loop takes clients yet: bound here, or handed down by who started us.
// It must not accept anybody, nor read the environment.
import CSocket
import Glibc
import Synchronization

/// A listening TCP socket. Loops that take clients from it (`Listener`) have descriptors of their own: close this one once
/// they do, for the kernel gives clients to the socket for as long as any is open.
public final class ListeningSocket: Sendable {
  /// Who else may have clients of the same address, and so what closing has to mind.
  public enum Sharing: Sendable {
    /// Nobody.
    case alone
    /// Further sockets of this process (SO_REUSEPORT): they all close together.
    case workers
    /// A process that starts while this one drains (SO_REUSEPORT): it takes over without a client being lost.
    case processes
    /// The socket is also open in the process that handed it down: it does not close when we close it.
    case inherited
  }

  /// The address in force, with the real port where 0 was asked for.
  public let address: SocketAddress
  /// Who else may have clients of it.
  public let sharing: Sharing
  private let held: Atomic<Int32>
  /// -1 once closed.
  var descriptor: Int32 { held.load(ordering: .relaxed) }

  /// Binds and listens.
  /// - Throws: `TransportError` (`EADDRINUSE`, `EACCES`, …).
  public init(_ address: SocketAddress, sharing: Sharing = .alone, backlog: Int32 = 4096) throws(TransportError) {
    let descriptor = tg_tcp_socket(address.family)
    guard descriptor >= 0 else { throw TransportError(.listen, code: descriptor) }
    _ = tg_set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
    if sharing != .alone { _ = tg_set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
    var raw = address.raw
    var result = unsafe tg_bind(descriptor, &raw)
    if result == 0, Glibc.listen(descriptor, backlog) < 0 { result = -errno }
    if result == 0 { result = unsafe tg_local_address(descriptor, &raw) }
    guard result == 0 else {
      _ = Glibc.close(descriptor)
      throw TransportError(.listen, code: result)
    }
    held = Atomic(descriptor)
    self.sharing = sharing
    self.address = SocketAddress(raw)
    shareEvenly()
  }

  /// Takes over a descriptor that this process was started with.
  /// - Throws: `TransportError`: `EBADF` where there is none, `ENOTSOCK`, `EPROTOTYPE` where it is no stream,
  ///   `EINVAL` where it does not listen, `EAFNOSUPPORT` where it is neither IPv4 nor IPv6. It stays open then.
  public init(inherited descriptor: Int32) throws(TransportError) {
    func option(_ name: Int32) -> Int32 { tg_get_option(descriptor, SOL_SOCKET, name) }
    var raw = tg_address()
    var failure = option(SO_TYPE)
    if failure >= 0 { failure = failure == Int32(SOCK_STREAM.rawValue) ? 0 : -EPROTOTYPE }
    if failure == 0 { failure = option(SO_ACCEPTCONN) == 1 ? 0 : -EINVAL }
    if failure == 0 { failure = unsafe tg_local_address(descriptor, &raw) }
    if failure == 0 { failure = [AF_INET, AF_INET6].contains(SocketAddress(raw).family) ? 0 : -EAFNOSUPPORT }
    // Its description is shared with who handed it down, who expects this (sd_listen_fds(3)); the rest is ours alone.
    if failure == 0 { failure = tg_set_nonblocking(descriptor) }
    guard failure == 0 else { throw TransportError(.listen, code: failure) }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    held = Atomic(descriptor)
    sharing = .inherited
    address = SocketAddress(raw)
  }

  deinit { close() }

  /// Lets go of this descriptor. From any thread; safe to call twice.
  public func close() {
    let descriptor = held.exchange(-1, ordering: .relaxed)
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
  }

  /// Has the kernel spread clients over all processes on the port again, whatever one that left had it do.
  func shareEvenly() {
    if sharing == .processes { _ = tg_select_by_hash(descriptor) }
  }
}
