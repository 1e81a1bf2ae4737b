// Which fields a proxy adds to heads and removes from them, where HTTP leaves that to its operator.

/// The operator's choices. By default nothing is added, and only hop-by-hop fields are removed.
public struct ForwardingPolicy: Hashable, Sendable {
  /// What happens to a field in which proxies write the client's address.
  public enum AddressField: String, CaseIterable, Hashable, Sendable {
    /// It is forwarded as it was received, if it was.
    case pass
    /// The client's address is appended to what was received.
    case append
    /// What was received is removed, and only the client's address is forwarded.
    case replace
    /// It is not forwarded.
    case drop
  }

  /// What a server is told in `Host`.
  public enum HostField: Hashable, Sendable {
    /// What the client said, or the authority of an absolute form (RFC 9112 §3.2.2).
    case pass
    /// The server's own authority.
    case upstream
    /// This one.
    case name(String)
  }

  /// `Host`.
  public var host = HostField.pass
  /// `X-Forwarded-For`.
  public var forwardedFor = AddressField.pass
  /// `Forwarded` (RFC 7239).
  public var forwarded = AddressField.pass
  /// This proxy's own name in the `Via` field that it adds (RFC 9110 §7.6.3); nil if it adds none.
  public var via: String?
  /// The protocols that a client may switch to, in lower case. Offers of others are removed, and the request is served as HTTP.
  public var tunnels: [String] = []

  /// Lower-case names of fields that are forwarded even where Connection names them: those that tell the record who sends a
  /// request.
  public var endToEnd: [String] = []

  /// The default policy.
  public init() {}

  /// What Host is set to; nil where it stays as it came.
  package func hostText(ownAuthority: String) -> String? {
    switch host {
    case .pass: nil
    case .upstream: ownAuthority
    case .name(let name): name
    }
  }

  /// Whether the client's address is part of what is forwarded.
  package var namesClients: Bool { [forwardedFor, forwarded].contains { $0 == .append || $0 == .replace } }
}

extension ForwardingPolicy.AddressField {
  /// How this policy rewrites the fields of one name; nil where it does not.
  /// - Parameters:
  ///   - element: the client's address in the field's syntax.
  ///   - isExtendable: whether an element can be appended to what was received.
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

/// How the fields of one name are rewritten. Several lines are one list (RFC 9110 §5.3).
package struct Rewriting {
  /// The element that is added.
  package let element: String?
  /// The index of the field that it is added to; nil where a new field is added.
  package let place: Int?
  /// Whether what was received is forwarded.
  package let keepsOthers: Bool
}

extension Fields {
  /// The rewritings of `X-Forwarded-For` and `Forwarded` that `policy` asks for, for a client with this literal address.
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

  /// `for=192.0.2.1`, or `for="[2001:db8::1]"`: a colon is not allowed in a token (RFC 7239 §4 and §6).
  static func forwardedElement(_ client: String) -> String {
    client.contains(":") ? "for=\"[\(client)]\"" : "for=\(client)"
  }

  /// Whether what is appended to the `Forwarded` fields would be read as an element. It would not be behind a quoted string
  /// that the client did not close.
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
  /// Whether a `Via` field says that `pseudonym` has received the message before.
  package func wentThrough(_ pseudonym: String) -> Bool {
    for field in list where field.kind == .via {
      if receivers(field.value).contains(where: { isText($0, pseudonym) }) { return true }
    }
    return false
  }

  /// The receivers that a `Via` value names: each element's second word (`1.1 name (comment)`, RFC 9110 §7.6.3).
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
        // A comment may contain commas, names and other comments: none of them is a receiver.
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

  /// Whether the bytes in `range` are `text`, compared without case.
  package func isText(_ range: Range<Int>, _ text: String) -> Bool {
    range.count == text.utf8.count
      && zip(bytes[range], text.utf8).allSatisfy { ASCII.lowercased($0) == ASCII.lowercased($1) }
  }
}
