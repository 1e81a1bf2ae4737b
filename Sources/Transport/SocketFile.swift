// The file by which a Unix-domain socket is found.
import CSocket
import Glibc

/// The file of a socket that listens here, removed when the last of its owners lets go of it.
///
/// Where another process has put a socket of its own in its place, that one stays.
final class SocketFile: Sendable {
  private struct Identity: Hashable {
    var device: UInt64 = 0
    var inode: UInt64 = 0
  }

  private let path: String
  private let identity: Identity?

  /// Of the file that `bind` has just made at `path`.
  init(path: String) {
    self.path = path
    identity = Self.identity(path)
  }

  deinit { if let identity, Self.identity(path) == identity { _ = unsafe unlink(path) } }

  /// Which socket stands at `path`; nil where there is none.
  private static func identity(_ path: String) -> Identity? {
    var identity = Identity()
    return unsafe tg_socket_file(path, &identity.device, &identity.inode) == 1 ? identity : nil
  }

  /// Removes the file of a socket that nobody listens on any more: a process that was killed leaves one, and `bind` fails
  /// as long as it is there.
  /// - Returns: whether it did.
  static func removeStale(_ address: SocketAddress) -> Bool {
    guard let path = address.path, identity(path) != nil else { return false }
    let probe = tg_stream_socket(AF_UNIX)
    guard probe >= 0 else { return false }
    defer { _ = close(probe) }
    var raw = address.raw
    guard unsafe tg_connect(probe, &raw) == -ECONNREFUSED else { return false }
    return unsafe unlink(path) == 0
  }
}
