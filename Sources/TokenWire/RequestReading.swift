// Finding a request's facts in its body. Keeps nothing else of it.
import JSON

/// The members of a request's body that mean the same in every dialect.
private enum RequestKey: String, JSONKey {
  case model, stream, user, metadata, messages
  case litellmMetadata = "litellm_metadata"
  case safetyIdentifier = "safety_identifier"
  case promptCacheKey = "prompt_cache_key"
  case session = "session_id"
  case litellmSession = "litellm_session_id"
  case conversation = "conversation_id"
  static let table = JSONKeys<RequestKey>()
}

extension RequestFacts {
  /// The members that are read of every dialect's requests; those that `readBody` looks up.
  static let members: [[String]] =
    [
      ["model"], ["stream"], ["user"], ["metadata", "user_id"], ["metadata", "session_id"],
      ["metadata", "conversation_id"], ["litellm_metadata", "user"], ["safety_identifier"], ["prompt_cache_key"],
      ["session_id"],
      ["litellm_session_id"], ["conversation_id"],
    ]

  /// Reads what measuring needs from a request's body, or from an excerpt of it.
  /// - Returns: whether it is one whole JSON object; otherwise no fact is known.
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
    model = body[.model]?.label
    stream = body[.stream]?.bool ?? dialect.streamsByDefault
    choices = 1
    readUser(body)
    readSession(body)
    dialect.readRequest(root, into: &self)
  }

  /// The first of the keys that LiteLLM's documentation lists, in its order (Documentation.docc/Dialects.md, "Who sent the request").
  private mutating func readUser(_ body: JSONObject<RequestKey>) {
    name(body[.user]?.label, "body:user")
    name(body[.litellmMetadata]?["user"]?.label, "body:litellm_metadata.user")
    name(body[.metadata]?["user_id"]?.label, "body:metadata.user_id")
    name(body[.safetyIdentifier]?.label, "body:safety_identifier")
    if let key = body[.promptCacheKey]?.label { moreUsers["body:prompt_cache_key"] = key }
    if let messages = body[.messages], messages.count == 1 {
      task = messages.firstElement.flatMap(FrontEndTask.init)?.rawValue
    }
  }

  private mutating func name(_ name: String?, _ key: String) {
    guard let name else { return }
    if user == nil { (user, userKey) = (name, key) } else { moreUsers[key] = name }
  }

  private mutating func readSession(_ body: JSONObject<RequestKey>) {
    let metadata = body[.metadata]
    session =
      body[.session]?.label ?? body[.litellmSession]?.label ?? body[.conversation]?.label
      ?? metadata?["session_id"]?.label ?? metadata?["conversation_id"]?.label
  }
}

extension JSONValue {
  /// A string that is not blank, without the blanks around it; of a long one the beginning. So are names in heads read.
  fileprivate var label: String? {
    unsafe withUTF8 { text in
      let isBlank = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
      var part = unsafe text.drop(while: isBlank).prefix(longestName)
      while let last = unsafe part.last, isBlank(last) { unsafe part.removeLast() }
      return unsafe part.isEmpty ? nil : String(decoding: part, as: UTF8.self)
    } ?? nil
  }
}
