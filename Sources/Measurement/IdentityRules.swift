// How a user is found: rules in order, of which the first that says something counts.

/// One way to name the user.
public enum IdentityRule: Hashable, Sendable {
  /// A header field, in lower case.
  case header(String)
  /// A member of the body: `user`, `safety_identifier`, `metadata.user_id`, `litellm_metadata.user` or `prompt_cache_key`.
  case body(String)
  /// A claim of a JSON Web Token in a header field.
  case token(claim: String, header: String)
  /// The API key's fingerprint.
  case apiKey
  /// The client's address.
  case clientAddress
  /// Always this name.
  case fixed(String)

  /// Members of the body that name the user unless rules say otherwise, in LiteLLM's order.
  public static let standardBody = ["user", "litellm_metadata.user", "metadata.user_id", "safety_identifier"]
    .map(IdentityRule.body)

  /// `user_from` of a user that this rule found; a token's claim whose signature was not checked is marked.
  func from(isVerified: Bool = true) -> String {
    switch self {
    case .header(let name): "header:" + name
    case .body(let key): "body:" + key
    case .token(let claim, _): (isVerified ? "jwt:" : "jwt_unverified:") + claim
    case .apiKey: "api_key"
    case .clientAddress: "client_ip"
    case .fixed: "fixed"
    }
  }
}

/// What a record may say of a name.
public struct NamePolicy: Hashable, Sendable {
  /// What becomes of a name.
  public enum Mode: String, CaseIterable, Hashable, Sendable {
    /// It is recorded.
    case keep
    /// Its fingerprint is.
    case hash
    /// Nothing is.
    case drop
  }

  /// What becomes of names that are not allowed.
  public var mode: Mode
  /// Names that are recorded as they are; a `*` at the end stands for anything.
  public var allowed: [String]

  /// A policy; without arguments everything is recorded.
  public init(_ mode: Mode = .keep, allowed: [String] = []) {
    self.mode = mode
    self.allowed = allowed
  }

  func allows(_ name: String) -> Bool {
    allowed.contains { $0.hasSuffix("*") ? name.utf8.starts(with: $0.utf8.dropLast()) : $0 == name }
  }
}

/// How user, session and task of a request are found. A class, since every request refers to it.
public final class IdentityRules: Sendable {
  /// In order of precedence.
  public let rules: [IdentityRule]
  /// Fields that name the session, lower case, in order of precedence.
  public let session: [String]
  /// What may be recorded of a name.
  public let names: NamePolicy
  /// By which tokens' signatures are checked; nil where none is.
  public let tokenKey: TokenKey?
  /// `user_from` of each rule: made once, not per request.
  let from: [String]
  /// All fields that tell who sends a request, lower case, each once.
  public let fields: [String]

  /// The field in which Open WebUI names a call of its own.
  static let task = "x-openwebui-task"

  /// Makes rules. Headers' names may be in any case.
  public init(_ rules: [IdentityRule], session: [String], names: NamePolicy = NamePolicy(), tokenKey: TokenKey? = nil) {
    self.rules = rules.map { rule in
      switch rule {
      case .header(let name): .header(name.lowercased())
      case .token(let claim, let header): .token(claim: claim, header: header.lowercased())
      default: rule
      }
    }
    self.session = session.map { $0.lowercased() }
    self.names = names
    self.tokenKey = tokenKey
    from = self.rules.map { $0.from() }
    let users = self.rules.compactMap { rule -> String? in
      switch rule {
      case .header(let name), .token(_, let name): name
      default: nil
      }
    }
    var fields: [String] = []
    for name in users + self.session + [Self.task] + IdentityReader.credentials where !fields.contains(name) {
      fields.append(name)
    }
    self.fields = fields
  }

  /// The rules that hold where only headers are configured: those headers, the body, the API key, the client's address.
  public convenience init(
    user: [String], session: [String], names: NamePolicy = NamePolicy(), tokenKey: TokenKey? = nil
  ) {
    self.init(
      user.map(IdentityRule.header) + IdentityRule.standardBody + [.apiKey, .clientAddress], session: session,
      names: names,
      tokenKey: tokenKey)
  }
}
