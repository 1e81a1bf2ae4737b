// Addresses as flags give them.
import Transport

extension SocketAddress {
  /// From `ADDRESS:PORT`, the address a literal (an IPv6 one in brackets) or `localhost`.
  init?(text: String) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
    var host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
    self.init(literal: host == "localhost" ? "127.0.0.1" : host, port: port)
  }
}
