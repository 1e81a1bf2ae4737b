// Finds the client of a request behind the proxies in front (X-Forwarded-For).
import Transport

/// The field's values, nearest proxy last.
enum ForwardedFor {
  /// The address of the client: going back from the peer, the first address that is not trusted, or the last that is known.
  ///
  /// Several lines are one list (RFC 9110 §5.3). An element that is no address ends the search: its author may have written
  /// what stands before it, too.
  /// - Parameters:
  ///   - peer: the address that connected; the field is believed only if it is trusted.
  ///   - lines: the field's lines, in their order.
  static func client(behind peer: String, _ lines: [String], isTrusted: (String) -> Bool) -> String {
    var client = peer
    let hops = lines.flatMap { $0.split(separator: ",") }.map { $0.trimmingBlanks() }.filter { !$0.isEmpty }
    for hop in hops.reversed() {
      guard isTrusted(client), let address = address(hop) else { break }
      client = address
    }
    return client
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

extension Substring {
  /// Without spaces and tabs at its ends.
  fileprivate func trimmingBlanks() -> String {
    let blank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
    return String(drop(while: blank).reversed().drop(while: blank).reversed())
  }
}
