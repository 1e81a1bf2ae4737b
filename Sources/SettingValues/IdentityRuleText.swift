// The rules by which a user is found, as settings write them.

/// One rule, or the rules of a front end.
public struct IdentityRuleText: Hashable, Sendable, CustomStringConvertible {
  /// What a rule looks at.
  public enum Kind: Hashable, Sendable {
    /// A header, in lower case.
    case header(String)
    /// A member of the body.
    case body(String)
    /// A claim of a JSON Web Token in a header, in lower case.
    case token(claim: String, header: String)
    case apiKey
    case clientAddress
    /// A name for everybody.
    case fixed(String)
    case frontEnd(FrontEnd)
  }

  /// Programs that send certain headers.
  public enum FrontEnd: String, CaseIterable, Hashable, Sendable {
    case openwebui
    case librechat
    case litellm
    case helicone

    /// Headers that name the user, in order.
    public var userHeaders: [String] {
      switch self {
      case .openwebui: ["x-openwebui-user-id", "x-openwebui-user-email"]
      case .librechat: ["x-librechat-user-id", "x-user-id"]
      case .litellm: ["x-litellm-customer-id", "x-litellm-end-user-id"]
      case .helicone: ["helicone-user-id"]
      }
    }

    /// Members of the body that name the user, in order.
    public var userMembers: [String] {
      switch self {
      case .openwebui, .helicone: []
      case .librechat: ["user"]
      case .litellm: ["user", "litellm_metadata.user", "metadata.user_id", "safety_identifier"]
      }
    }

    /// Headers that name the session, in order.
    public var sessionHeaders: [String] {
      switch self {
      case .openwebui: ["x-openwebui-chat-id"]
      case .librechat: ["x-librechat-conversation-id", "x-conversation-id"]
      case .litellm: ["x-litellm-session-id", "x-litellm-trace-id"]
      case .helicone: ["helicone-session-id"]
      }
    }
  }

  /// Members of a body that can name the user.
  public static let members = [
    "user", "safety_identifier", "metadata.user_id", "litellm_metadata.user", "prompt_cache_key",
  ]

  /// What it looks at.
  public let kind: Kind

  /// Reads `header:NAME`, `body:MEMBER`, `jwt:CLAIM`, `jwt:CLAIM@HEADER`, `api_key`, `client_ip`, `fixed:NAME` or a front end's
  /// name; nil where it is none.
  public init?(_ text: String) {
    if let frontEnd = FrontEnd(rawValue: text) {
      kind = .frontEnd(frontEnd)
      return
    }
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2 else {
      guard text == "api_key" || text == "client_ip" else { return nil }
      kind = text == "api_key" ? .apiKey : .clientAddress
      return
    }
    guard !parts[1].isEmpty, let kind = Self.kind(parts[0], parts[1]) else { return nil }
    self.kind = kind
  }

  private static func kind(_ word: String, _ value: String) -> Kind? {
    switch word {
    case "header": return isFieldName(value) ? .header(value.lowercased()) : nil
    case "body": return members.contains(value) ? .body(value) : nil
    case "fixed": return value.utf8.count <= 256 ? .fixed(value) : nil
    case "jwt":
      guard let sign = value.lastIndex(of: "@") else { return .token(claim: value, header: "authorization") }
      let (claim, header) = (String(value[..<sign]), String(value[value.index(after: sign)...]))
      return claim.isEmpty || !isFieldName(header) ? nil : .token(claim: claim, header: header.lowercased())
    default: return nil
    }
  }

  private static func isFieldName(_ text: String) -> Bool {
    !text.isEmpty
      && text.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0 & 0xDF) || "!#$%&'*+-.^_`|~".utf8.contains($0)
      }
  }

  /// As it is written in settings.
  public var description: String {
    switch kind {
    case .header(let name): "header:\(name)"
    case .body(let member): "body:\(member)"
    case .token(let claim, "authorization"): "jwt:\(claim)"
    case .token(let claim, let header): "jwt:\(claim)@\(header)"
    case .apiKey: "api_key"
    case .clientAddress: "client_ip"
    case .fixed(let name): "fixed:\(name)"
    case .frontEnd(let frontEnd): frontEnd.rawValue
    }
  }
}
