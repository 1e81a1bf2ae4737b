// Connection's options, and the fields that are not forwarded because of them.

/// The options of all Connection fields of one head (RFC 9110 §7.6.1).
package struct ConnectionOptions: Sendable {
  package private(set) var closes = false
  package private(set) var keepsAlive = false
  package private(set) var upgrades = false
  /// The names of fields that are hop-by-hop because Connection says so.
  package private(set) var names: [Range<Int>] = []
  /// Their hashes: each field of the head is looked for among them, and names may be long and alike.
  private var hashes: [UInt64] = []

  /// Whether the connection persists behind the message (RFC 9112 §9.3).
  package func isPersistent(isVersion11: Bool) -> Bool { !closes && (isVersion11 || keepsAlive) }

  /// Whether it names the field that has this name in `fields`.
  package func contains(_ name: Range<Int>, of fields: Fields) -> Bool {
    guard !names.isEmpty else { return false }
    let hash = fields.nameHash(name)
    return hashes.indices.contains { hashes[$0] == hash && fields.sameName(names[$0], name) }
  }

  /// Most names that are accepted: each field's hash is compared with all of theirs.
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
          hashes.append(fields.nameHash(element))
        }
      }
    }
  }
}

extension Fields {
  /// Whether a field is hop-by-hop, and so is not forwarded.
  ///
  /// Fields that frame, route or identify are forwarded even if Connection names them (traefik's CVE-2024-45410): what the
  /// record says of a request's sender is what the server is told of it.
  package func isHopByHop(_ field: Field, _ options: ConnectionOptions, _ policy: ForwardingPolicy) -> Bool {
    if field.kind.isHopByHop { return true }
    guard options.contains(field.name, of: self) else { return false }
    return !isProtected(field.name) && !policy.endToEnd.contains { isText(field.name, $0) }
  }

  private func isProtected(_ name: Range<Int>) -> Bool {
    if isForwardingField(name) { return true }
    return matches(name, "x-api-key") || matches(name, "api-key") || matches(name, "cookie")
      || matches(name, "x-request-id") || matches(name, "traceparent") || matches(name, "tracestate")
      || matches(name, "host") || matches(name, "content-length") || matches(name, "transfer-encoding")
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
      || matches(name, "proxy-authorization") || matches(name, "x-api-key") || matches(name, "api-key")
      || matches(name, "content-encoding") || matches(name, "content-type")
      || matches(name, "content-range") || matches(name, "expect") || matches(name, "set-cookie")
      || matches(name, "cookie") || matches(name, "cache-control") || isForwardingField(name)
  }

  /// Whether a field says which way a message came. Servers trust the proxy before them to say it.
  private func isForwardingField(_ name: Range<Int>) -> Bool {
    matches(name, "forwarded") || matches(name, "x-real-ip") || matches(name, "via")
      || text(name).lowercased().hasPrefix("x-forwarded-")
  }
}
