// Finds the client of a request behind the proxies in front (X-Forwarded-For).
import HTTP
import Transport

/// The field's values, nearest proxy last.
enum ForwardedFor {
  /// Most elements that are read. No chain of proxies is so long, and each costs a search in the list of trusted ones.
  static let maxHops = 32

  /// The address of the client: going back from the peer, the first address that is not trusted, or the last that is known.
  ///
  /// Several lines are one list (RFC 9110 §5.3). An element that is no address ends the search: its author may have written
  /// what stands before it, too. Nothing is read that no trusted proxy has written: where the peer is not trusted, nothing at
  /// all.
  /// - Parameters:
  ///   - peer: the address that connected; the field is believed only if it is trusted.
  ///   - fields: those of the request's head.
  static func client(behind peer: String, _ fields: Fields, isTrusted: (String) -> Bool) -> String {
    var client = peer
    guard isTrusted(client) else { return client }
    var hops = 0
    for line in fields.values(named: "x-forwarded-for").reversed() {
      var end = line.endIndex
      while end >= line.startIndex {
        let start = line[..<end].lastIndex(of: UInt8(ascii: ",")).map { $0 + 1 } ?? line.startIndex
        let hop = trimmingBlanks(line[start..<end])
        end = start - 1
        if hop.isEmpty { continue }
        hops += 1
        guard hops <= maxHops, hop.count <= maxHopBytes, let address = address(String(decoding: hop, as: UTF8.self))
        else { return client }
        client = address
        guard isTrusted(client) else { return client }
      }
    }
    return client
  }

  /// Longer than an IPv6 address in brackets with its port.
  private static let maxHopBytes = 64

  private static func trimmingBlanks(_ hop: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var hop = hop
    while let first = hop.first, first == UInt8(ascii: " ") || first == UInt8(ascii: "\t") { hop.removeFirst() }
    while let last = hop.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\t") { hop.removeLast() }
    return hop
  }

  /// An address, alone or with a port, as some load balancers write it; IPv6 with a port stands in brackets.
  private static func address(_ hop: String) -> String? {
    var host = hop[...]
    if host.hasPrefix("[") {
      guard let end = host.firstIndex(of: "]") else { return nil }
      let port = host[host.index(after: end)...]
      guard port.isEmpty || port.hasPrefix(":") && UInt16(port.dropFirst()) != nil else { return nil }
      host = host[host.index(after: host.startIndex)..<end]
      guard host.contains(":") else { return nil }
    } else if let colon = host.firstIndex(of: ":"), colon == host.lastIndex(of: ":") {
      guard UInt16(host[host.index(after: colon)...]) != nil else { return nil }
      host = host[..<colon]
    }
    return SocketAddress(literal: String(host), port: 0)?.host
  }
}
