// Who sent a request, in which conversation, and by which ids: from its head, its body's facts and its address.
// It must not keep a credential or any header but those it is asked to look at.
import TokenWire

/// A user, and how we know (record.md: `user`, `user_from`).
public struct Identity: Hashable, Sendable {
  /// Name or fingerprint, at most `ShortText.limit` bytes.
  public var user: String
  /// `header:NAME`, `body:KEY`, `api_key` or `client_ip`.
  public var from: String

  /// Makes an identity; the user's name is cut to `ShortText.limit`.
  public init(user: String, from: String) {
    self.user = ShortText.capped(user)
    self.from = from
  }
}

/// Which header fields name the user and the session, in order of precedence.
public struct IdentityHeaders: Sendable {
  /// Fields that name the user, lower case.
  public let user: [String]
  /// Fields that name the session, lower case.
  public let session: [String]
  /// `user` as `user_from` writes it: made once, not per request.
  let userFrom: [String]

  /// What the usual gateways and chat front ends send (dialects.md, 2.18; LiteLLM's order first).
  public static let usual = IdentityHeaders(
    user: [
      "x-litellm-customer-id", "x-litellm-end-user-id", "x-openwebui-user-id", "helicone-user-id", "x-user-id",
    ],
    session: ["x-openwebui-chat-id", "helicone-session-id", "x-litellm-trace-id", "x-session-id"])

  /// Makes the lists from names in any case.
  public init(user: [String], session: [String]) {
    self.user = user.map { $0.lowercased() }
    self.session = session.map { $0.lowercased() }
    userFrom = self.user.map { "header:" + $0 }
  }

  /// All fields that tell who sends a request, lower case.
  public var all: [String] { user + session + IdentityReader.credentials }
}

/// What a request's head says of who sends it: the few strings a record needs, so that the head itself can go.
public struct HeadIdentity: Hashable, Sendable {
  /// Of a request whose head says nothing.
  public init() {}

  var user: Identity?
  var keyFingerprint: String?
  var session: String?
  /// The client's `x-request-id`.
  public var requestID: String?
  /// The trace id of a valid `traceparent`.
  public var traceID: String?

  /// The user: configured headers, then the body, then the API key's fingerprint, then the client's address.
  public func identity(facts: borrowing RequestFacts, client: String) -> Identity {
    if let user { return user }
    if let name = facts.user, !name.isEmpty { return Identity(user: name, from: facts.userKey ?? "body:user") }
    if let keyFingerprint { return Identity(user: keyFingerprint, from: "api_key") }
    return Identity(user: client, from: "client_ip")
  }

  /// Reads the ids that the request's head gives to it alone: the values of `x-request-id` and `traceparent`.
  public mutating func readIDs(request: String?, trace: String?) {
    requestID = IdentityReader.present(request).map(ShortText.capped)
    traceID = trace.flatMap(TraceParent.traceID)
  }

  /// The session: configured headers, then the body.
  public func session(facts: borrowing RequestFacts) -> String? {
    session ?? facts.session.flatMap { $0.isEmpty ? nil : ShortText.capped($0) }
  }
}

/// Reads heads: one value a worker, for it remembers the fingerprints of the keys it saw.
public struct IdentityReader: Sendable {
  private let headers: IdentityHeaders
  private var fingerprints: KeyFingerprints

  /// Makes a reader.
  public init(headers: IdentityHeaders, secret: KeySecret) {
    self.headers = headers
    fingerprints = KeyFingerprints(secret: secret)
  }

  /// Reads what a head says.
  /// - Parameter field: the first value of the field of this lower-case name; nil where the head has none.
  public mutating func read(_ field: (String) -> String?) -> HeadIdentity {
    var head = readSender(field)
    head.readIDs(request: field("x-request-id"), trace: field("traceparent"))
    return head
  }

  /// Reads who sent a head, without the ids of the request itself: the same for equal values of `IdentityHeaders.all`.
  public mutating func readSender(_ field: (String) -> String?) -> HeadIdentity {
    var head = HeadIdentity()
    for index in headers.user.indices {
      guard let value = Self.present(field(headers.user[index])) else { continue }
      head.user = Identity(user: value, from: headers.userFrom[index])
      break
    }
    if head.user == nil {
      head.keyFingerprint = Self.credential(field).map { fingerprints.fingerprint(of: $0) }
    }
    for name in headers.session {
      guard let value = Self.present(field(name)) else { continue }
      head.session = ShortText.capped(value)
      break
    }
    return head
  }

  /// The fields that carry API keys.
  fileprivate static let credentials = ["authorization", "x-api-key", "api-key"]

  /// The API key a head carries, where it carries one.
  private static func credential(_ field: (String) -> String?) -> String? {
    if let authorization = field("authorization"), let key = bearer(authorization) { return key }
    return present(field("x-api-key")) ?? present(field("api-key"))
  }

  /// The token of a Bearer credential (RFC 6750 §2.1; the scheme in any case, RFC 9110 §11.1).
  private static func bearer(_ value: String) -> String? {
    let text = value.utf8.drop { isBlank($0) }
    let scheme = "bearer".utf8
    guard text.count > scheme.count, isBlank(text[text.index(text.startIndex, offsetBy: scheme.count)]),
      zip(text, scheme).allSatisfy({ $0 | 0x20 == $1 })
    else { return nil }
    return present(String(Substring(text.dropFirst(scheme.count))))
  }

  /// `value` without the blanks around it; nil where nothing is left.
  fileprivate static func present(_ value: String?) -> String? {
    guard let value, let first = value.utf8.firstIndex(where: { !isBlank($0) }),
      let last = value.utf8.lastIndex(where: { !isBlank($0) })
    else { return nil }
    if first == value.startIndex, value.utf8.index(after: last) == value.endIndex { return value }
    return String(value[first...last])
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}
