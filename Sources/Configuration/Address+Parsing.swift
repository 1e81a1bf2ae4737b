// How addresses are written in settings: the upstream server's URL, ADDR:PORT, ranges in CIDR notation.
import SettingValues

extension UpstreamAddress {
  /// Stands for an upstream that nobody has named yet; the loader never returns it.
  static let unset = UpstreamAddress(host: "", port: 0)

  /// Reads an `http://HOST[:PORT]` URL. A user in it is never repeated in a refusal: it may be a credential.
  static func parse(_ url: String) throws(InvalidValue) -> UpstreamAddress {
    let lower = url.lowercased()
    guard !lower.hasPrefix("https://") else {
      throw InvalidValue(what: "TLS to upstream is not supported yet", remedy: "use an http:// URL")
    }
    guard lower.hasPrefix("http://") else {
      throw InvalidValue(what: "expected a URL such as http://127.0.0.1:8000", remedy: "begin it with http://")
    }
    let rest = url.dropFirst("http://".count)
    let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    guard !rest.contains("@") else {
      throw InvalidValue(what: "the URL has a user name in it", remedy: "remove it: clients send their own credentials")
    }
    guard rest.dropFirst(authority.count).isEmpty || rest.dropFirst(authority.count) == "/" else {
      throw InvalidValue(
        what: "the URL has a path", remedy: "remove it: the path of each request is forwarded as it is")
    }
    guard let (host, port) = splitAuthority(authority, defaultPort: 80), port > 0, isHost(host) else {
      throw InvalidValue(what: "expected http://HOST[:PORT]", remedy: "write it like http://127.0.0.1:8000")
    }
    return UpstreamAddress(host: host, port: port)
  }
}

extension ListenAddress {
  /// Reads `ADDR:PORT`; `localhost` is 127.0.0.1.
  static func parse(_ text: String) throws(InvalidValue) -> ListenAddress {
    guard let (host, port) = splitAuthority(text[...], defaultPort: nil) else {
      throw InvalidValue(
        what: "expected ADDR:PORT, found \(quoted(text))", remedy: "write it like 127.0.0.1:4141 or [::1]:4141")
    }
    guard host != "localhost" else { return ListenAddress(host: "127.0.0.1", port: port) }
    guard bytes(ofAddress: host) != nil else {
      throw InvalidValue(
        what: "expected an address of this machine, found \(quoted(host))",
        remedy: "127.0.0.1 is this machine only, 0.0.0.0 is every interface")
    }
    return ListenAddress(host: host, port: port)
  }
}

extension AddressRange {
  static func parse(_ text: String) throws(InvalidValue) -> AddressRange {
    guard let range = AddressRange(text) else {
      throw InvalidValue(
        what: "expected a range of addresses, found \(quoted(text))", remedy: "write it like 10.0.0.0/8 or ::1")
    }
    return range
  }
}

/// Whether a URL's host is an address or can be a DNS name.
private func isHost(_ host: String) -> Bool {
  bytes(ofAddress: host) != nil
    || !host.isEmpty && host.utf8.allSatisfy { "-._".utf8.contains($0) || isAlphanumeric($0) }
}

/// Whether a text may stand in a Host field: a name or an address, perhaps with a port.
func isAuthority(_ text: String) -> Bool { splitAuthority(text[...], defaultPort: 80).map { isHost($0.host) } ?? false }

/// Whether a byte is an ASCII letter or digit.
func isAlphanumeric(_ byte: UInt8) -> Bool {
  (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
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
