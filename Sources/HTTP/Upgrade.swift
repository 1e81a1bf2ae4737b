// Switching protocols (RFC 9110 §7.8): which offer goes on to upstream, and which answer to it holds.
// It must not know what the protocols are, nor touch the bytes that follow a switch.

/// The protocols that a request offers to switch to, of those that may be tunnelled.
public struct UpgradeOffer: Hashable, Sendable {
  /// As the client wrote them, in its order of preference.
  package let elements: [Range<Int>]
  /// The same in lower case.
  let names: [String]
}

extension RequestHead {
  /// Whether it may switch to another protocol.
  ///
  /// Only a GET of HTTP/1.1 without a body does: bytes behind any other could be taken for its body on one side, and for the
  /// new protocol on the other.
  public var asksToSwitch: Bool { connection.upgrades && method == .get && isVersion11 && framing.isEmpty }

  /// What this request offers of `allowed` (lower-case names); nil where it is to be served as plain HTTP.
  public func offer(of allowed: [String]) -> UpgradeOffer? {
    guard asksToSwitch else { return nil }
    let elements = fields.upgradeElements(allowed)
    return elements.isEmpty
      ? nil : UpgradeOffer(elements: elements, names: elements.map { fields.text($0).lowercased() })
  }
}

extension ResponseHead {
  /// Whether this is a 101 that takes up `offer`, and so the connection is no longer HTTP's behind it.
  public func takesUp(_ offer: UpgradeOffer?) -> Bool {
    guard let offer, status == 101, isVersion11, connection.upgrades else { return false }
    let all = fields.upgradeElements(nil)
    return !all.isEmpty && all.count == fields.upgradeElements(offer.names).count
  }
}

extension Fields {
  /// The elements of all Upgrade fields; where `allowed` is given, those whose lower-case names it holds.
  package func upgradeElements(_ allowed: [String]?) -> [Range<Int>] {
    var found: [Range<Int>] = []
    for field in list where field.kind == .upgrade {
      for element in elements(field.value) where allowed?.contains(where: { isText(element, $0) }) ?? true {
        found.append(element)
      }
    }
    return found
  }
}
