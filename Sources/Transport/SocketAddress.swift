// The address of a socket, as system calls have it and as people write it.
import CSocket
import Glibc

/// An IPv4 or IPv6 address with its port, or the path of a Unix-domain socket.
@safe
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// What kind of address it is.
  public enum Family: Sendable {
    case ipv4
    case ipv6
    case unix

    /// The system's number.
    var number: Int32 {
      switch self {
      case .ipv4: AF_INET
      case .ipv6: AF_INET6
      case .unix: AF_UNIX
      }
    }
  }

  var raw: tg_address
  /// What kind of address it is.
  public let family: Family

  /// - Returns: nil for an address of another family.
  init?(_ raw: tg_address) {
    self.raw = raw
    switch unsafe withUnsafePointer(to: raw, { unsafe tg_family($0) }) {
    case AF_INET: family = .ipv4
    case AF_INET6: family = .ipv6
    case AF_UNIX: family = .unix
    default: return nil
    }
  }

  /// From a literal: `127.0.0.1`, `::1`; nil where `host` is a name.
  public init?(literal host: String, port: UInt16) {
    var raw = tg_address()
    // C would take the text for what stands before a NUL.
    guard !host.utf8.contains(0), unsafe tg_parse_address(host, port, &raw) == 0 else { return nil }
    self.init(raw)
  }

  /// Of a socket's file; nil where `path` is empty, has a NUL, is longer than an address holds (107 bytes), or begins with
  /// `@`, which is how a name that is no file is written (say `./@name` for a file).
  public init?(unixPath path: String) {
    var raw = tg_address()
    guard !path.hasPrefix("@"), !path.utf8.contains(0), unsafe tg_unix_address(path, &raw) == 0 else { return nil }
    self.init(raw)
  }

  /// The address without its port. An IPv4 address mapped into IPv6, as a socket of both families gives it, is written as
  /// what it is. A Unix socket's is `unix:` and its path, `unix:` alone where it has none, as a client's.
  public var host: String { parts.host }
  /// The port; 0 for a Unix socket.
  public var port: UInt16 { parts.port }
  /// The path of a Unix socket's file; nil where it has none.
  public var path: String? {
    let host = family == .unix ? parts.host.dropFirst("unix:".count) : ""
    return host.isEmpty || host.hasPrefix("@") ? nil : String(host)
  }
  /// `127.0.0.1:80`, `[::1]:80` or `unix:/run/llm.sock`.
  public var description: String {
    let (host, port) = parts
    return switch family {
    case .unix: host
    case .ipv4, .ipv6: host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
  }

  /// Whether both name the same host and port, or the same path.
  public static func == (one: SocketAddress, other: SocketAddress) -> Bool {
    unsafe withUnsafePointer(to: one.raw) { one in
      unsafe withUnsafePointer(to: other.raw) { other in unsafe tg_same_address(one, other) != 0 }
    }
  }

  /// By host and port.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(parts.host)
    hasher.combine(parts.port)
  }

  private var parts: (host: String, port: UInt16) {
    unsafe withUnsafePointer(to: raw) { address in
      if family == .unix { return (unsafe Self.unixHost(address), 0) }
      var port: UInt16 = 0
      let host = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
        guard let start = text.baseAddress else { return "" }
        port = unsafe tg_format_address(address, start, text.count)
        let text = unsafe String(cString: start)
        return text.hasPrefix("::ffff:") && text.contains(".") ? String(text.dropFirst(7)) : text
      }
      return (host, port)
    }
  }

  /// A name that is no file begins with a NUL, for which people write `@` (unix(7)).
  private static func unixHost(_ address: UnsafePointer<tg_address>) -> String {
    var count = 0
    guard let start = unsafe tg_unix_path(address, &count), count > 0 else { return "unix:" }
    let path = unsafe UnsafeRawBufferPointer(start: start, count: count)
    let text = unsafe String(decoding: path, as: UTF8.self)
    return "unix:" + text.replacing("\0", with: "@")
  }
}
