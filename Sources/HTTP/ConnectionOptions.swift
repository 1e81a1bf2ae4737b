// Connection's options, and the fields that are not forwarded because of them.

/// The options of all Connection fields of one head (RFC 9110 §7.6.1).
package struct ConnectionOptions: Sendable {
  package private(set) var closes = false
  package private(set) var keepsAlive = false
  package private(set) var upgrades = false
  /// The names of fields that are hop-by-hop because Connection says so.
  package private(set) var names: [Range<Int>] = []

  /// Whether the connection persists behind the message (RFC 9112 §9.3).
  package func isPersistent(isVersion11: Bool) -> Bool { !closes && (isVersion11 || keepsAlive) }

  /// Most names that are accepted: each is compared with all fields.
  private static let maxNames = 64

  package init(_ fields: Fields) throws(HTTPParseError) {
    for field in fields.list where field.kind == .connection || field.kind == .proxyConnection {
      for element in fields.elements(field.value) {
        if fields.matches(element, "close") {
          closes = true
        } else if fields.matches(element, "keep-alive") {
          keepsAlive = true
        } else if field.kind == .connection, fields.matches(element, "upgrade") {
          upgrades = true
        } else {
          guard names.count < Self.maxNames else {
            throw HTTPParseError(.malformedField, "too many connection options")
          }
          names.append(element)
        }
      }
    }
  }
}

extension Fields {
  /// Whether a field is hop-by-hop, and so is not forwarded.
  ///
  /// Fields that frame, route or identify are forwarded even if Connection names them (traefik's CVE-2024-45410).
  package func isHopByHop(_ field: Field, _ options: ConnectionOptions) -> Bool {
    if field.kind.isHopByHop { return true }
    if options.names.isEmpty { return false }
    guard options.names.contains(where: { sameName($0, field.name) }) else { return false }
    return !isProtected(field.name)
  }

  private func isProtected(_ name: Range<Int>) -> Bool {
    if isForwardingField(name) { return true }
    return matches(name, "host") || matches(name, "content-length") || matches(name, "transfer-encoding")
      || matches(name, "content-type") || matches(name, "content-encoding") || matches(name, "authorization")
      || matches(name, "cache-control") || matches(name, "trailer")
  }

  /// Whether a trailer field would change where the message ends if it were in the head: such a message is refused.
  package func isRefusedTrailer(_ name: Range<Int>) -> Bool {
    matches(name, "transfer-encoding") || matches(name, "content-length")
  }

  /// Whether a trailer field routes, authorizes or describes the body, and so is allowed in the head only (RFC 9110 §6.5.1).
  package func isForbiddenTrailer(_ name: Range<Int>) -> Bool {
    matches(name, "host") || matches(name, "connection") || matches(name, "trailer") || matches(name, "te")
      || matches(name, "upgrade")
      || matches(name, "keep-alive") || matches(name, "proxy-connection") || matches(name, "authorization")
      || matches(name, "proxy-authorization") || matches(name, "content-encoding") || matches(name, "content-type")
      || matches(name, "content-range") || matches(name, "expect") || matches(name, "set-cookie")
      || matches(name, "cookie") || matches(name, "cache-control") || isForwardingField(name)
  }

  /// Whether a field says which way a message came. Servers trust the proxy before them to say it.
  private func isForwardingField(_ name: Range<Int>) -> Bool {
    matches(name, "forwarded") || matches(name, "x-real-ip") || matches(name, "via")
      || text(name).lowercased().hasPrefix("x-forwarded-")
  }
}
