// A socket that listens and from which no loop accepts clients yet: bound here, or handed down by who started this process.
import CSocket
import Glibc
import Synchronization

/// A listening socket, TCP or Unix. Loops that accept its clients (`Listener`) have descriptors of their own: close this one
/// once they do, for the kernel queues clients for the socket as long as any descriptor of it is open. A Unix socket's file
/// is removed with the last of them.
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

    /// Whether several loops accept from one socket.
    var hasFurtherLoops: Bool {
      switch self {
      case .alone, .workers: false
      case .processes, .inherited: true
      }
    }
  }

  /// The address in force, with the real port where 0 was asked for.
  public let address: SocketAddress
  /// Who else may have clients of it.
  public let sharing: Sharing
  private let held: Atomic<Int32>
  private let fileOwner: Mutex<SocketFile?>
  /// -1 once closed.
  var descriptor: Int32 { held.load(ordering: .relaxed) }
  /// A Unix socket's file, which stays for as long as anybody holds on to it; nil for others and once closed.
  var file: SocketFile? { fileOwner.withLock { $0 } }

  /// Binds and listens. A Unix socket's file that nobody listens on is replaced.
  /// - Throws: `TransportError`: `EADDRINUSE`, `EACCES`, …; `EOPNOTSUPP` for a Unix socket that is to be shared.
  public init(_ address: SocketAddress, sharing: Sharing = .alone, backlog: Int32 = 4096) throws(TransportError) {
    guard address.family != .unix || sharing == .alone else { throw TransportError(.listen, code: -EOPNOTSUPP) }
    let descriptor = tg_stream_socket(address.family.number)
    guard descriptor >= 0 else { throw TransportError(.listen, code: descriptor) }
    if address.family != .unix { _ = tg_set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1) }
    if sharing != .alone { _ = tg_set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
    var raw = address.raw
    var result = unsafe tg_bind(descriptor, &raw)
    if result == -EADDRINUSE, SocketFile.removeStale(address) { result = unsafe tg_bind(descriptor, &raw) }
    let file = result == 0 ? address.path.map { SocketFile(path: $0) } : nil
    if result == 0, Glibc.listen(descriptor, backlog) < 0 { result = -errno }
    if result == 0 { result = unsafe tg_local_address(descriptor, &raw) }
    guard result == 0 else {
      _ = Glibc.close(descriptor)
      throw TransportError(.listen, code: result)
    }
    held = Atomic(descriptor)
    fileOwner = Mutex(file)
    self.sharing = sharing
    self.address = SocketAddress(raw) ?? address
    shareEvenly()
  }

  /// Takes over a descriptor that this process was started with. A Unix socket's file is left to who made it.
  /// - Parameter families: what it may be.
  /// - Throws: `TransportError`: `EBADF` where there is none, `ENOTSOCK`, `EPROTOTYPE` where it is no stream,
  ///   `EINVAL` where it does not listen, `EAFNOSUPPORT` where it is of another family. It stays open then.
  public init(
    inherited descriptor: Int32, families: Set<SocketAddress.Family> = [.ipv4, .ipv6]
  ) throws(TransportError) {
    func option(_ name: Int32) -> Int32 { tg_get_option(descriptor, SOL_SOCKET, name) }
    var raw = tg_address()
    var failure = option(SO_TYPE)
    if failure >= 0 { failure = failure == Int32(SOCK_STREAM.rawValue) ? 0 : -EPROTOTYPE }
    if failure == 0 { failure = option(SO_ACCEPTCONN) == 1 ? 0 : -EINVAL }
    if failure == 0 { failure = unsafe tg_local_address(descriptor, &raw) }
    guard failure == 0 else { throw TransportError(.listen, code: failure) }
    guard let address = SocketAddress(raw), families.contains(address.family) else {
      throw TransportError(.listen, code: -EAFNOSUPPORT)
    }
    // Its description is shared with who handed it down, who expects this (sd_listen_fds(3)); the rest is ours alone.
    failure = tg_set_nonblocking(descriptor)
    guard failure == 0 else { throw TransportError(.listen, code: failure) }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    held = Atomic(descriptor)
    fileOwner = Mutex(nil)
    sharing = .inherited
    self.address = address
  }

  deinit { close() }

  /// Closes this descriptor. From any thread; safe to call twice.
  public func close() {
    fileOwner.withLock { $0 = nil }
    let descriptor = held.exchange(-1, ordering: .relaxed)
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
  }

  /// Has the kernel spread clients over all processes on the port again, whatever one that left had it do.
  func shareEvenly() {
    if sharing == .processes { _ = tg_select_by_hash(descriptor) }
  }
}
