// Who sent a request, in which conversation, and by which ids: from its head, its body's facts and its address.
// It must not store a credential, nor any header but those that it is asked for.
import TokenWire

/// A user, and where the name comes from (Documentation.docc/Record.md, "Identity": `user`, `user_from`).
public struct Identity: Hashable, Sendable {
  /// Name or fingerprint, at most `StringLimit.limit` bytes.
  public var user: String
  /// `header:NAME`, `body:KEY`, `api_key` or `client_ip`.
  public var from: String

  /// Makes an identity; the user's name is cut to `StringLimit.limit`.
  public init(user: String, from: String) {
    self.user = StringLimit.capped(user)
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

  /// Makes the lists from names in any case.
  public init(user: [String], session: [String]) {
    self.user = user.map { $0.lowercased() }
    self.session = session.map { $0.lowercased() }
    userFrom = self.user.map { "header:" + $0 }
  }

  /// All fields that tell who sends a request, lower case.
  public var all: [String] { user + session + IdentityReader.credentials }
}

/// Who sent a request, by its head: the few strings a record needs, so that the head itself can go. The same for all
/// heads with equal values of `IdentityHeaders.all`, which share it; so a class.
public final class RequestOrigin: Sendable {
  let user: Identity?
  let keyOwner: Identity?
  let session: String?

  init(user: Identity? = nil, keyOwner: Identity? = nil, session: String? = nil) {
    self.user = user
    self.keyOwner = keyOwner
    self.session = session
  }

  /// The same head as sent by a peer whose identity headers do not count: only its API key says who sent it.
  public var withoutHeaders: RequestOrigin {
    user == nil && session == nil ? self : RequestOrigin(keyOwner: keyOwner)
  }

  /// The user: configured headers, then the body, then the API key's fingerprint, then the client's address.
  /// - Parameter isBodyRead: whether `facts` has all that the body says.
  /// - Returns: nil where the body may name a user that was not read: anyone else would be a guess.
  public func identity(facts: borrowing RequestFacts, client: String, isBodyRead: Bool = true) -> Identity? {
    if let user { return user }
    if let name = facts.user, !name.isEmpty { return Identity(user: name, from: facts.userKey ?? "body:user") }
    guard isBodyRead else { return nil }
    return keyOwner ?? Identity(user: client, from: "client_ip")
  }

  /// The session: configured headers, then the body.
  public func session(facts: borrowing RequestFacts) -> String? {
    session ?? facts.session.flatMap { $0.isEmpty ? nil : StringLimit.capped($0) }
  }
}

/// The ids that a request's head gives to it alone.
public enum RequestIDs {
  /// By the value of `x-request-id`.
  public static func requestID(_ value: ArraySlice<UInt8>) -> String? {
    IdentityReader.present(value).map { StringLimit.capped(IdentityReader.text($0)) }
  }

  /// The trace it is part of, by the value of `traceparent`; nil where that is not valid.
  public static func traceID(_ value: String) -> String? { TraceParent.traceID(value) }
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

  /// Reads who sent a head.
  /// - Parameter field: the bytes of the first value of the field of this lower-case name; nil where the head has none.
  public mutating func read(_ field: (String) -> ArraySlice<UInt8>?) -> RequestOrigin {
    var user: Identity?
    for index in headers.user.indices {
      guard let value = Self.present(field(headers.user[index])) else { continue }
      user = Identity(user: name(value, of: headers.user[index]), from: headers.userFrom[index])
      break
    }
    var keyOwner: Identity?
    if let key = Self.credential(field) {
      keyOwner = Identity(user: fingerprints.fingerprint(of: key), from: "api_key")
    }
    for header in headers.session {
      guard let value = Self.present(field(header)) else { continue }
      return RequestOrigin(user: user, keyOwner: keyOwner, session: name(value, of: header))
    }
    return RequestOrigin(user: user, keyOwner: keyOwner)
  }

  /// What a configured field's value is called in a record: a credential by its fingerprint, anything else as it stands.
  private mutating func name(_ value: ArraySlice<UInt8>, of field: String) -> String {
    guard let credential = Credential.find(in: value, of: field) else { return StringLimit.capped(Self.text(value)) }
    return fingerprints.fingerprint(of: credential)
  }

  /// As much of a value as a name can be long; what is not UTF-8 is replaced.
  fileprivate static func text(_ value: ArraySlice<UInt8>) -> String {
    // A scalar that is cut in two lies beyond the limit.
    String(decoding: value.prefix(StringLimit.limit + 4), as: UTF8.self)
  }

  /// The fields that carry API keys.
  fileprivate static let credentials = ["authorization", "x-api-key", "api-key"]

  /// The API key a head carries, where it carries one.
  private static func credential(_ field: (String) -> ArraySlice<UInt8>?) -> ArraySlice<UInt8>? {
    Credential.inAuthorization(present(field("authorization")) ?? []) ?? present(field("x-api-key"))
      ?? present(field("api-key"))
  }

  /// `value` without the blanks around it; nil where nothing is left.
  fileprivate static func present(_ value: ArraySlice<UInt8>?) -> ArraySlice<UInt8>? {
    guard let value, let first = value.firstIndex(where: { !isBlank($0) }),
      let last = value.lastIndex(where: { !isBlank($0) })
    else { return nil }
    return value[first...last]
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}
