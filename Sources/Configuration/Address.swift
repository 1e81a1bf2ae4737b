// The addresses that settings name: the upstream's URL, where to listen, and ranges of peers.
// It must not connect, resolve or look at the machine's interfaces.
import Glibc

/// The LLM server behind the proxy: what an `http://HOST[:PORT]` URL says.
public struct Upstream: Hashable, Sendable, CustomStringConvertible {
  /// A name, an IPv4 address, or an IPv6 address without its brackets.
  public let host: String
  /// 1 to 65535.
  public let port: UInt16

  /// `host:port`, an IPv6 address in brackets: as records write it.
  public var description: String { authority(host, port) }

  /// What stands for an upstream that nobody has named yet; the loader never lets it out.
  static let unset = Upstream(host: "", port: 0)

  /// Reads a URL; userinfo is never repeated in a refusal, for it may be a credential.
  static func parse(_ url: String) throws(Refusal) -> Upstream {
    let lower = url.lowercased()
    guard !lower.hasPrefix("https://") else {
      throw Refusal(what: "TLS to upstream is not built yet", remedy: "use an http:// URL")
    }
    guard lower.hasPrefix("http://") else {
      throw Refusal(what: "expected a URL such as http://127.0.0.1:8000", remedy: "begin it with http://")
    }
    let rest = url.dropFirst("http://".count)
    let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    guard !rest.contains("@") else {
      throw Refusal(what: "the URL names a user", remedy: "leave it out: clients send their own credentials")
    }
    guard rest.dropFirst(authority.count).isEmpty || rest.dropFirst(authority.count) == "/" else {
      throw Refusal(what: "the URL has a path", remedy: "leave it out: the path that a client asks for is forwarded")
    }
    guard let (host, port) = splitAuthority(authority, defaultPort: 80), port > 0, isHost(host) else {
      throw Refusal(what: "expected http://HOST[:PORT]", remedy: "write it like http://127.0.0.1:8000")
    }
    return Upstream(host: host, port: port)
  }
}

/// Where clients connect: an address of this machine and a port.
public struct ListenAddress: Hashable, Sendable, CustomStringConvertible {
  /// An IPv4 or IPv6 address, without brackets.
  public let host: String
  /// 0 to 65535; 0 lets the system choose.
  public let port: UInt16

  /// `host:port`, an IPv6 address in brackets.
  public var description: String { authority(host, port) }

  /// Whether only this machine can reach it.
  public var isLoopback: Bool { bytes(ofAddress: host).map { $0.first == 127 || $0 == Self.loopback6 } ?? false }

  private static let loopback6 = [UInt8](repeating: 0, count: 15) + [1]

  /// Whether what connects to `upstream` comes out here, as far as names of this machine's own tell.
  func isReached(by upstream: Upstream) -> Bool {
    guard port == upstream.port, let mine = bytes(ofAddress: host) else { return false }
    let isEvery = mine.allSatisfy { $0 == 0 }
    return Self.called(upstream.host).contains { called in
      // Every IPv6 address is every IPv4 address too.
      called == mine
        || isEvery && mine.count >= called.count && (called.count == 4 ? called[0] == 127 : called == Self.loopback6)
    }
  }

  /// The addresses that a host may stand for without asking anybody: to call "every" address is to call the loopback.
  private static func called(_ host: String) -> [[UInt8]] {
    switch host.lowercased() {
    case "localhost": [[127, 0, 0, 1], loopback6]
    case "0.0.0.0": [[127, 0, 0, 1]]
    case "::": [loopback6]
    case let host: bytes(ofAddress: host).map { [$0] } ?? []
    }
  }

  static func parse(_ text: String) throws(Refusal) -> ListenAddress {
    guard let (host, port) = splitAuthority(text[...], defaultPort: nil) else {
      throw Refusal(
        what: "expected ADDR:PORT, found \(quoted(text))", remedy: "write it like 127.0.0.1:4141 or [::1]:4141")
    }
    guard host != "localhost" else { return ListenAddress(host: "127.0.0.1", port: port) }
    guard bytes(ofAddress: host) != nil else {
      throw Refusal(
        what: "expected an address of this machine, found \(quoted(host))",
        remedy: "127.0.0.1 is this machine only, 0.0.0.0 every interface")
    }
    return ListenAddress(host: host, port: port)
  }
}

/// A range of addresses in CIDR notation: `10.0.0.0/8`, `::1/128`, or one address alone.
public struct AddressRange: Hashable, Sendable, CustomStringConvertible {
  private let network: [UInt8]
  /// Leading bits that an address of the range shares with it.
  private let prefixBits: Int

  /// As it was written.
  public let description: String

  static func parse(_ text: String) throws(Refusal) -> AddressRange {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let network = parts.first.flatMap({ bytes(ofAddress: String($0)) }),
      let prefixBits = parts.count == 1 ? network.count * 8 : Int(parts[1]),
      (0...network.count * 8).contains(prefixBits)
    else {
      throw Refusal(
        what: "expected a range of addresses, found \(quoted(text))", remedy: "write it like 10.0.0.0/8 or ::1")
    }
    return AddressRange(network: network, prefixBits: prefixBits, description: text)
  }

  /// Whether an address (IPv4, IPv6, or IPv4 mapped into IPv6) is in this range; false for what is no address.
  public func contains(_ address: String) -> Bool {
    guard let bytes = bytes(ofAddress: address), bytes.count == network.count else { return false }
    let whole = prefixBits / 8
    guard bytes[..<whole] == network[..<whole] else { return false }
    let rest = prefixBits % 8
    return rest == 0 || (bytes[whole] ^ network[whole]) >> (8 - rest) == 0
  }
}

/// The 4 or 16 bytes of an address without brackets; IPv4 mapped into IPv6 gives its 4. Nil if it is none.
func bytes(ofAddress text: String) -> [UInt8]? {
  var four = [UInt8](repeating: 0, count: 4)
  if unsafe inet_pton(AF_INET, text, &four) == 1 { return four }
  var sixteen = [UInt8](repeating: 0, count: 16)
  guard unsafe inet_pton(AF_INET6, text, &sixteen) == 1 else { return nil }
  let isMapped = sixteen[..<10].allSatisfy { $0 == 0 } && sixteen[10] == 0xff && sixteen[11] == 0xff
  return isMapped ? Array(sixteen[12...]) : sixteen
}

/// Whether a URL's host is an address or can be a DNS name.
private func isHost(_ host: String) -> Bool {
  bytes(ofAddress: host) != nil
    || !host.isEmpty && host.utf8.allSatisfy { "-._".utf8.contains($0) || isAlphanumeric($0) }
}

/// Whether a byte is an ASCII letter or digit.
func isAlphanumeric(_ byte: UInt8) -> Bool {
  (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
}

private func authority(_ host: String, _ port: UInt16) -> String {
  host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
}

/// `HOST:PORT` or `[IPV6]:PORT` in two; nil if it is neither, or the port is above 65535.
private func splitAuthority(_ text: Substring, defaultPort: UInt16?) -> (host: String, port: UInt16)? {
  var host = text
  var port: Substring?
  if text.hasPrefix("[") {
    guard let end = text.firstIndex(of: "]") else { return nil }
    host = text[text.index(after: text.startIndex)..<end]
    let rest = text[text.index(after: end)...]
    guard host.contains(":"), bytes(ofAddress: String(host)) != nil, rest.isEmpty || rest.hasPrefix(":") else {
      return nil
    }
    port = rest.isEmpty ? nil : rest.dropFirst()
  } else if let colon = text.firstIndex(of: ":") {
    host = text[..<colon]
    port = text[text.index(after: colon)...]
  }
  guard !host.isEmpty else { return nil }
  guard let port else { return defaultPort.map { (String(host), $0) } }
  guard port.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(port) else {
    return nil
  }
  return (String(host), number)
}
