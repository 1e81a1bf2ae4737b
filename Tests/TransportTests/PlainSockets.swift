// Sockets of the test's own, without a loop: what streams, listeners and connectors are tried against.
import CSocket
import Glibc
import Synchronization
import Testing

@testable import Transport

/// A path for a socket's file, which is removed at the end.
final class SocketPath {
  private static let count = Atomic(0)

  let text = "/tmp/tachograph-\(getpid())-\(SocketPath.count.add(1, ordering: .relaxed).newValue).sock"
  var exists: Bool { access(text, F_OK) == 0 }

  func address() throws -> SocketAddress { try #require(SocketAddress(unixPath: text)) }

  deinit { unlink(text) }
}

/// A listening socket whose clients the test accepts by itself.
final class PlainListener {
  let descriptor: Int32
  let address: SocketAddress
  private let path: SocketPath?

  init(_ family: SocketAddress.Family = .ipv4, backlog: Int32 = 16) throws {
    path = family == .unix ? SocketPath() : nil
    descriptor = socket(family.number, Int32(SOCK_STREAM.rawValue), 0)
    var raw = try (path?.address() ?? #require(SocketAddress(literal: "127.0.0.1", port: 0))).raw
    try #require(tg_bind(descriptor, &raw) == 0 && listen(descriptor, backlog) == 0)
    try #require(tg_local_address(descriptor, &raw) == 0)
    address = try #require(SocketAddress(raw))
  }

  deinit { close(descriptor) }

  /// Whether a client waits to be accepted.
  var hasClient: Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, 0) == 1
  }
}

/// A blocking client of `address`.
func plainClient(of address: SocketAddress) throws -> Int32 {
  let descriptor = socket(address.family.number, Int32(SOCK_STREAM.rawValue), 0)
  var raw = address.raw
  try #require(tg_connect(descriptor, &raw) == 0)
  return descriptor
}

/// A socket that is bound to `address` and does not listen.
func boundSocket(_ address: SocketAddress) throws -> Int32 {
  let descriptor = socket(address.family.number, Int32(SOCK_STREAM.rawValue), 0)
  var raw = address.raw
  try #require(tg_bind(descriptor, &raw) == 0)
  return descriptor
}
