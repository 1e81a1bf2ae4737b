// An IP address and port, as the system's calls and as people write it.
// It must not resolve names.
import CSocket

/// An IPv4 or IPv6 address with its port.
@safe
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  var raw: tg_address

  init(_ raw: tg_address) { self.raw = raw }

  /// From a literal: `127.0.0.1`, `::1`; nil where `host` is a name.
  public init?(literal host: String, port: UInt16) {
    var raw = tg_address()
    // C would take the text for what stands before a NUL.
    guard !host.utf8.contains(0), unsafe tg_parse_address(host, port, &raw) == 0 else { return nil }
    self.raw = raw
  }

  /// The address without its port. An IPv4 address mapped into IPv6, as a socket of both families gives it, is written as
  /// what it is.
  public var host: String { parts.host }
  /// The port.
  public var port: UInt16 { parts.port }
  /// `127.0.0.1:80` or `[::1]:80`.
  public var description: String {
    let (host, port) = parts
    return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }

  /// Whether both name the same host and port.
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

  var family: Int32 { unsafe withUnsafePointer(to: raw) { unsafe tg_family($0) } }

  private var parts: (host: String, port: UInt16) {
    unsafe withUnsafePointer(to: raw) { address in
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
}
