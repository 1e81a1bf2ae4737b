// Finding a request's facts in its body. Keeps nothing else of it.
import JSON

/// The members of a request's body that mean the same in every dialect.
private enum RequestKey: String, JSONKey {
  case model, stream, user, metadata
  case litellmMetadata = "litellm_metadata"
  case safetyIdentifier = "safety_identifier"
  case session = "session_id"
  case litellmSession = "litellm_session_id"
  case conversation = "conversation_id"
  static let table = JSONKeys<RequestKey>()
}

extension RequestFacts {
  /// Reads what measuring needs from the bounded copy of a request's body.
  /// - Returns: whether the copy is one whole JSON object; where it was cut, or never was one, no fact is known.
  public mutating func read(_ body: RawSpan, _ dialect: any Dialect.Type, _ context: DecodingContext) -> Bool {
    self = RequestFacts()
    let isObject: Bool? = context.json.parse(body) { root in
      guard root.isObject else { return false }
      readBody(root, dialect)
      return true
    }
    return isObject == true
  }

  private mutating func readBody(_ root: JSONValue, _ dialect: any Dialect.Type) {
    let body = JSONObject<RequestKey>(root)
    model = body[.model]?.name
    stream = body[.stream]?.bool ?? dialect.streamsByDefault
    choices = 1
    readUser(body)
    readSession(body)
    dialect.readRequest(root, into: &self)
  }

  /// The first of the keys that LiteLLM's documentation lists, in its order (Documentation.docc/Dialects.md, "Who sent the request").
  private mutating func readUser(_ body: JSONObject<RequestKey>) {
    if let name = body[.user]?.name {
      (user, userKey) = (name, "body:user")
    } else if let name = body[.litellmMetadata]?["user"]?.name {
      (user, userKey) = (name, "body:litellm_metadata.user")
    } else if let name = body[.metadata]?["user_id"]?.name {
      (user, userKey) = (name, "body:metadata.user_id")
    } else if let name = body[.safetyIdentifier]?.name {
      (user, userKey) = (name, "body:safety_identifier")
    }
  }

  private mutating func readSession(_ body: JSONObject<RequestKey>) {
    let metadata = body[.metadata]
    session =
      body[.session]?.name ?? body[.litellmSession]?.name ?? body[.conversation]?.name
      ?? metadata?["session_id"]?.name ?? metadata?["conversation_id"]?.name
  }
}
