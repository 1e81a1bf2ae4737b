// The addresses that settings name: the LLM server, where to listen, and ranges of peers. Nothing here connects or
// resolves.
import Glibc

/// The address of the LLM server behind the proxy.
public struct UpstreamAddress: Hashable, Sendable, CustomStringConvertible {
  /// A name, an IPv4 address, or an IPv6 address without its brackets.
  public let host: String
  /// 1 to 65535.
  public let port: UInt16

  /// An address of checked parts.
  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// `host:port`, an IPv6 address in brackets: as records and a `Host` field write it.
  public var description: String { authority(host, port) }
}

/// Where clients connect: an address of this machine and a port.
public struct ListenAddress: Hashable, Sendable, CustomStringConvertible {
  /// An IPv4 or IPv6 address, without brackets.
  public let host: String
  /// 0 to 65535; 0 lets the system choose.
  public let port: UInt16

  /// An address of checked parts.
  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// `host:port`, an IPv6 address in brackets.
  public var description: String { authority(host, port) }

  /// Whether only this machine can reach it.
  public var isLoopback: Bool { bytes(ofAddress: host).map { $0.first == 127 || $0 == Self.loopback6 } ?? false }

  private static let loopback6 = [UInt8](repeating: 0, count: 15) + [1]

  /// Whether a connection to `upstream` would arrive here, as far as this machine's own names tell.
  public func isReached(by upstream: UpstreamAddress) -> Bool {
    guard port == upstream.port, let mine = bytes(ofAddress: host) else { return false }
    let isEvery = mine.allSatisfy { $0 == 0 }
    return Self.called(upstream.host).contains { called in
      // A socket on every IPv6 address takes IPv4 connections too.
      called == mine
        || isEvery && mine.count >= called.count && (called.count == 4 ? called[0] == 127 : called == Self.loopback6)
    }
  }

  /// The addresses that a host name stands for without a resolver. To connect to "every" address is to connect to the
  /// loopback address.
  private static func called(_ host: String) -> [[UInt8]] {
    switch host.lowercased() {
    case "localhost": [[127, 0, 0, 1], loopback6]
    case "0.0.0.0": [[127, 0, 0, 1]]
    case "::": [loopback6]
    case let host: bytes(ofAddress: host).map { [$0] } ?? []
    }
  }
}

/// A range of addresses in CIDR notation: `10.0.0.0/8`, `::1/128`, or one address alone.
public struct AddressRange: Hashable, Sendable, CustomStringConvertible {
  private let network: [UInt8]
  /// Leading bits that an address of the range shares with it.
  private let prefixBits: Int

  /// As it was written.
  public let description: String

  /// Nil where `text` is no range.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let network = parts.first.flatMap({ bytes(ofAddress: String($0)) }),
      let prefixBits = parts.count == 1 ? network.count * 8 : Int(parts[1]),
      (0...network.count * 8).contains(prefixBits)
    else { return nil }
    self.network = network
    self.prefixBits = prefixBits
    description = text
  }

  /// Whether an address (IPv4, IPv6, or IPv4 mapped into IPv6) is in this range; false for a text that is no address.
  public func contains(_ address: String) -> Bool {
    guard let bytes = bytes(ofAddress: address), bytes.count == network.count else { return false }
    let whole = prefixBits / 8
    guard bytes[..<whole] == network[..<whole] else { return false }
    let rest = prefixBits % 8
    return rest == 0 || (bytes[whole] ^ network[whole]) >> (8 - rest) == 0
  }
}

/// The 4 or 16 bytes of an address without brackets; IPv4 mapped into IPv6 gives its 4. Nil if it is none.
package func bytes(ofAddress text: String) -> [UInt8]? {
  var four = [UInt8](repeating: 0, count: 4)
  if unsafe inet_pton(AF_INET, text, &four) == 1 { return four }
  var sixteen = [UInt8](repeating: 0, count: 16)
  guard unsafe inet_pton(AF_INET6, text, &sixteen) == 1 else { return nil }
  let isMapped = sixteen[..<10].allSatisfy { $0 == 0 } && sixteen[10] == 0xff && sixteen[11] == 0xff
  return isMapped ? Array(sixteen[12...]) : sixteen
}

private func authority(_ host: String, _ port: UInt16) -> String {
  host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
}
