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

/// Who sent a request, by its head: the few strings a record needs, so that the head itself can go. The same for all
/// heads with equal values of `IdentityRules.fields`, which share it; so a class.
public final class RequestOrigin: Sendable {
  /// What the head says for one rule.
  enum Candidate: Sendable {
    case name(String)
    case token(ClaimedToken)
  }

  let rules: IdentityRules
  private let secret: KeySecret?
  /// By the rules' numbers, rising.
  let candidates: [(rule: Int, candidate: Candidate)]
  /// Whether its headers count: otherwise only the API key does, and tokens whose signature is good.
  private let isTrusted: Bool
  let session: String?
  let task: String?

  init(
    _ rules: IdentityRules = IdentityRules(user: [], session: []), _ secret: KeySecret? = nil,
    candidates: [(rule: Int, candidate: Candidate)] = [], isTrusted: Bool = true, session: String? = nil,
    task: String? = nil
  ) {
    self.rules = rules
    self.secret = secret
    self.candidates = candidates
    self.isTrusted = isTrusted
    self.session = session
    self.task = task
  }

  /// The same head as sent by a peer whose identity headers do not count: only its API key says who sent it, and a token
  /// whose signature is good.
  public var withoutHeaders: RequestOrigin {
    guard isTrusted else { return self }
    let kept = candidates.filter { number, candidate in
      if case .token = candidate { return true }
      return rules.rules[number] == .apiKey
    }
    return RequestOrigin(rules, secret, candidates: kept, isTrusted: false)
  }

  /// The user: the first rule that names one.
  /// - Parameters:
  ///   - isBodyRead: whether `facts` has all that the body says.
  ///   - seconds: when the request came, since 1970: tokens have to be valid then.
  ///   - didFail: told of each token that names nobody.
  /// - Returns: nil where the body may name a user that was not read: anyone else would be a guess.
  public func identity(
    facts: borrowing RequestFacts, client: String, isBodyRead: Bool = true, at seconds: Double = 0,
    didFail: (TokenFailure) -> Void = { _ in }
  ) -> Identity? {
    var next = candidates.startIndex
    var mayBeUnread = false
    for (number, rule) in rules.rules.enumerated() {
      while next < candidates.endIndex, candidates[next].rule < number { next += 1 }
      let candidate = next < candidates.endIndex && candidates[next].rule == number ? candidates[next].candidate : nil
      if case .body = rule {
        if let name = facts.user(namedBy: rules.from[number]), !name.isEmpty {
          return Identity(user: name, from: rules.from[number])
        }
        mayBeUnread = !isBodyRead
        continue
      }
      guard let found = identity(rule, number, candidate, client: client, at: seconds, didFail) else { continue }
      return mayBeUnread ? nil : found
    }
    return nil
  }

  private func identity(
    _ rule: IdentityRule, _ number: Int, _ candidate: Candidate?, client: String, at seconds: Double,
    _ didFail: (TokenFailure) -> Void
  ) -> Identity? {
    switch (rule, candidate) {
    case (.clientAddress, _): return Identity(user: client, from: rules.from[number])
    case (.fixed(let name), _): return Identity(user: name, from: rules.from[number])
    case (_, .name(let name)): return Identity(user: name, from: rules.from[number])
    case (_, .token(let token)):
      let claim: TokenClaim
      switch token.read(rules.tokenKey) {
      case .success(let read): claim = read
      case .failure(let failure):
        didFail(failure)
        return nil
      }
      if let failure = claim.failure(at: seconds) {
        didFail(failure)
        return nil
      }
      guard isTrusted || claim.isVerified else { return nil }
      return Identity(user: claim.name, from: rule.from(isVerified: claim.isVerified))
    case (_, nil): return nil
    }
  }

  /// What a record says of a user, by the policy for names; nil where that is nothing.
  public func shown(_ identity: Identity?) -> String? {
    guard let identity, identity.from != "fixed", !rules.names.allows(identity.user) else { return identity?.user }
    switch rules.names.mode {
    case .keep: return identity.user
    case .drop: return nil
    // Of a key there is the fingerprint already.
    case .hash:
      return identity.from == "api_key" ? identity.user : secret.map { KeyFingerprints.name(identity.user, $0) }
    }
  }

  /// The session: configured headers, then the body.
  public func session(facts: borrowing RequestFacts) -> String? {
    session ?? facts.session.flatMap { $0.isEmpty ? nil : StringLimit.capped($0) }
  }

  /// The front end's word for a call of its own: its header's, or what the prompt's first words show.
  public func task(facts: borrowing RequestFacts) -> String? { task ?? facts.task }
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
  private let rules: IdentityRules
  private let secret: KeySecret
  private var fingerprints: KeyFingerprints

  /// Makes a reader.
  public init(_ rules: IdentityRules, secret: KeySecret) {
    self.rules = rules
    self.secret = secret
    fingerprints = KeyFingerprints(secret: secret)
  }

  /// Reads who sent a head.
  /// - Parameter field: the bytes of the first value of the field of this lower-case name; nil where the head has none.
  public mutating func read(_ field: (String) -> ArraySlice<UInt8>?) -> RequestOrigin {
    var candidates: [(rule: Int, candidate: RequestOrigin.Candidate)] = []
    var isNamed = false
    for (number, rule) in rules.rules.enumerated() {
      switch rule {
      case .header(let name):
        // Of the headers only the first one that says something is ever asked for.
        guard !isNamed, let value = Self.present(field(name)) else { continue }
        candidates.append((number, .name(self.name(value, of: name))))
        isNamed = true
      case .token(let claim, let name):
        guard let value = Self.present(field(name)) else { continue }
        candidates.append((number, .token(ClaimedToken(Credential.token(in: value), claim: claim))))
      case .apiKey:
        guard let key = Self.credential(field) else { continue }
        candidates.append((number, .name(fingerprints.fingerprint(of: key))))
      case .body, .clientAddress, .fixed: continue
      }
    }
    var session: String?
    for header in rules.session where session == nil {
      session = Self.present(field(header)).map { name($0, of: header) }
    }
    return RequestOrigin(
      rules, secret, candidates: candidates, session: session,
      task: Self.present(field(IdentityRules.task)).flatMap(Self.task))
  }

  /// A task is one word of at most 64 letters, digits, `_`, `-` or `.`: also a template that was not filled in is none.
  private static func task(_ value: ArraySlice<UInt8>) -> String? {
    let word = String(decoding: value, as: UTF8.self)
    let isWord =
      word.utf8.count <= 64
      && word.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0 & 0xDF) || $0 == 0x5F || $0 == 0x2D || $0 == 0x2E
      }
    return isWord && !["none", "null"].contains(word.lowercased()) ? word : nil
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
  static let credentials = ["authorization", "x-api-key", "api-key"]

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
