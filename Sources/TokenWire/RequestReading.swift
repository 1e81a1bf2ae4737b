// Finding a request's facts in the bounded copy of its body.
// It must not keep the body.
import JSON

/// The longest model, user or session name that is taken over, in UTF-8 bytes: a longer one is no name.
let longestName = 512

/// Reads what measuring needs from the bounded copy of a request's body.
/// - Returns: nil where the copy is not one whole JSON object, because it was cut or never was one.
public func requestFacts(
  of body: RawSpan, dialect: any Dialect.Type, parser: EventParser
) -> RequestFacts? {
  let facts: RequestFacts?? = parser.json.parse(body) { root in
    guard root.isObject else { return nil }
    var facts = RequestFacts()
    let body = SparseMembers(root)
    facts.model = body["model"]?.name
    facts.stream = body["stream"]?.bool ?? dialect.streamsByDefault
    facts.choices = 1
    facts.readUser(body)
    facts.readSession(body)
    dialect.readRequest(root, into: &facts)
    return facts
  }
  return facts ?? nil
}

extension RequestFacts {
  /// The first of the keys that LiteLLM's documentation lists, in its order (dialects.md §2.18).
  fileprivate mutating func readUser(_ root: SparseMembers) {
    if let name = root["user"]?.name {
      (user, userKey) = (name, "body:user")
    } else if let name = root["litellm_metadata"]?["user"]?.name {
      (user, userKey) = (name, "body:litellm_metadata.user")
    } else if let name = root["metadata"]?["user_id"]?.name {
      (user, userKey) = (name, "body:metadata.user_id")
    } else if let name = root["safety_identifier"]?.name {
      (user, userKey) = (name, "body:safety_identifier")
    }
  }

  fileprivate mutating func readSession(_ root: SparseMembers) {
    let metadata = root["metadata"]
    session =
      root["session_id"]?.name ?? root["litellm_session_id"]?.name ?? root["conversation_id"]?.name
      ?? metadata?["session_id"]?.name ?? metadata?["conversation_id"]?.name
  }
}

extension JSONValue {
  /// A string that can be a name: neither empty nor longer than any name is.
  var name: String? {
    guard let count = utf8Count, count > 0, count <= longestName else { return nil }
    return string
  }
}
