// Switching protocols (RFC 9110 §7.8): which offers are forwarded, and which responses accept one.

/// The protocols that a request offers to switch to, among those that may be tunnelled.
public struct UpgradeOffer: Hashable, Sendable {
  /// Where they are in the head, in the client's order of preference.
  package let elements: [Range<Int>]
  /// The same in lower case.
  let names: [String]
}

extension RequestHead {
  /// Whether it offers to switch to another protocol.
  ///
  /// Only an HTTP/1.1 GET without a body can: one side could take the bytes behind any other request for its body, and the
  /// other side for the new protocol.
  public var asksToSwitch: Bool { connection.upgrades && method == .get && isVersion11 && framing.isEmpty }

  /// Most protocols that one request can offer: each becomes a name of its own, and a head has room for thousands.
  private static let maxOffers = 64

  /// The first 64 protocols among `allowed` (lower-case names) that this request offers; nil where there is none. Others are
  /// not offered.
  public func offer(of allowed: [String]) -> UpgradeOffer? {
    guard asksToSwitch else { return nil }
    let elements = fields.upgradeElements(allowed, atMost: Self.maxOffers)
    return elements.isEmpty
      ? nil : UpgradeOffer(elements: elements, names: elements.map { fields.text($0).lowercased() })
  }
}

extension ResponseHead {
  /// Whether this is a 101 that accepts `offer`, so that the bytes behind it are of another protocol.
  public func takesUp(_ offer: UpgradeOffer?) -> Bool {
    guard let offer, status == 101, isVersion11, connection.upgrades else { return false }
    let all = fields.upgradeElements(nil)
    return !all.isEmpty && all.count == fields.upgradeElements(offer.names).count
  }
}

extension Fields {
  /// The elements of all Upgrade fields; where `allowed` is given, only those whose lower-case names it contains.
  /// Reading ends at `limit` of them.
  package func upgradeElements(_ allowed: [String]?, atMost limit: Int = .max) -> [Range<Int>] {
    var found: [Range<Int>] = []
    for field in list where field.kind == .upgrade {
      for element in elements(field.value) where allowed?.contains(where: { isText(element, $0) }) ?? true {
        guard found.count < limit else { return found }
        found.append(element)
      }
    }
    return found
  }
}
