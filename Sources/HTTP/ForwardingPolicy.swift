// What is added to heads and taken from them where HTTP leaves that to whoever runs a proxy.
// It must not know how it was configured, nor find out addresses: it writes the one it is given.

/// The policies by which heads are written anew. As it stands nothing is added, and nothing taken but hop-by-hop fields.
public struct ForwardingPolicy: Hashable, Sendable {
  /// What happens to a field in which proxies name the client's address.
  public enum AddressField: String, CaseIterable, Hashable, Sendable {
    /// It goes on as it came, or not at all.
    case pass
    /// The client's address is added behind what came.
    case append
    /// What came is dropped, and only the client's address goes on.
    case replace
    /// It does not go on.
    case drop
  }

  /// `X-Forwarded-For`.
  public var forwardedFor = AddressField.pass
  /// `Forwarded` (RFC 7239).
  public var forwarded = AddressField.pass
  /// The name this proxy gives itself in a `Via` field of its own (RFC 9110 §7.6.3); nil for none.
  public var via: String?
  /// The protocols, in lower case, that a client may switch to: everything else is served as plain HTTP.
  public var tunnels: [String] = []

  /// A policy that adds nothing.
  public init() {}

  /// Whether clients' addresses are written.
  package var namesClients: Bool { [forwardedFor, forwarded].contains { $0 == .append || $0 == .replace } }
}

extension ForwardingPolicy.AddressField {
  /// How this policy rewrites the fields of one name; nil where it leaves them as they are.
  /// - Parameters:
  ///   - element: what is added, by the name's own syntax.
  ///   - isExtendable: whether something can be added behind what came.
  func rewriting(_ fields: Fields, _ kind: FieldKind, _ element: String, isExtendable: Bool) -> Rewriting? {
    switch self {
    case .pass: nil
    case .append where isExtendable:
      Rewriting(element: element, place: fields.list.lastIndex { $0.kind == kind }, keepsOthers: true)
    case .append, .replace:
      Rewriting(element: element, place: fields.list.firstIndex { $0.kind == kind }, keepsOthers: false)
    case .drop: Rewriting(element: nil, place: nil, keepsOthers: false)
    }
  }
}

/// How the fields of one name are written: one list, whatever the number of lines it came in (RFC 9110 §5.3).
package struct Rewriting {
  /// What is ours.
  package let element: String?
  /// The field that carries what is ours; nil where a new one has to.
  package let place: Int?
  /// Whether what came stays.
  package let keepsOthers: Bool
}

extension Fields {
  /// The rewritings of `X-Forwarded-For` and `Forwarded` that `policy` asks for, with the client's literal address.
  package func rewritings(_ policy: ForwardingPolicy, client: String) -> (
    forwardedFor: Rewriting?, forwarded: Rewriting?
  ) {
    (
      policy.forwardedFor == .pass
        ? nil : policy.forwardedFor.rewriting(self, .forwardedFor, client, isExtendable: true),
      policy.forwarded == .pass
        ? nil
        : policy.forwarded.rewriting(
          self, .forwarded, Self.forwardedElement(client), isExtendable: forwardedIsExtendable)
    )
  }

  /// `for=192.0.2.1`, or `for="[2001:db8::1]"`: a colon cannot stand in a token (RFC 7239 §4 and §6).
  static func forwardedElement(_ client: String) -> String {
    client.contains(":") ? "for=\"[\(client)]\"" : "for=\(client)"
  }

  /// Whether what is added behind the `Forwarded` fields would be read as an element: a quoted string that a client left
  /// open would swallow it.
  private var forwardedIsExtendable: Bool {
    list.allSatisfy { $0.kind != .forwarded || quotesAreClosed($0.value) }
  }

  private func quotesAreClosed(_ range: Range<Int>) -> Bool {
    var isQuoted = false
    var isEscaped = false
    for byte in bytes[range] {
      if isEscaped {
        isEscaped = false
      } else if isQuoted, byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else if byte == UInt8(ascii: "\"") {
        isQuoted.toggle()
      }
    }
    return !isQuoted
  }
}

// MARK: Via

extension Fields {
  /// Whether a `Via` field says that the message has been received by `pseudonym` already.
  package func wentThrough(_ pseudonym: String) -> Bool {
    for field in list where field.kind == .via {
      if receivers(field.value).contains(where: { isText($0, pseudonym) }) { return true }
    }
    return false
  }

  /// Who received a message, by a `Via` value: each element's second word (`1.1 name (comment)`, RFC 9110 §7.6.3).
  private func receivers(_ value: Range<Int>) -> [Range<Int>] {
    var receivers: [Range<Int>] = []
    var words = 0
    var start: Int?
    var depth = 0
    var isEscaped = false
    func endWord(_ end: Int) {
      guard let begun = start else { return }
      words += 1
      if words == 2 { receivers.append(begun..<end) }
      start = nil
    }
    for index in value {
      let byte = bytes[index]
      if depth > 0 {
        // A comment may hold commas, names and further comments: none of them is a receiver.
        if isEscaped {
          isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
          isEscaped = true
        } else if byte == UInt8(ascii: "(") {
          depth += 1
        } else if byte == UInt8(ascii: ")") {
          depth -= 1
        }
      } else if byte == UInt8(ascii: "(") {
        endWord(index)
        depth = 1
      } else if byte == ASCII.comma {
        endWord(index)
        words = 0
      } else if ASCII.isBlank(byte) {
        endWord(index)
      } else if start == nil {
        start = index
      }
    }
    endWord(value.upperBound)
    return receivers
  }

  /// Whether the bytes in `range` are `text`, letters of either case counting as the same.
  package func isText(_ range: Range<Int>, _ text: String) -> Bool {
    range.count == text.utf8.count
      && zip(bytes[range], text.utf8).allSatisfy { ASCII.lowercased($0) == ASCII.lowercased($1) }
  }
}
