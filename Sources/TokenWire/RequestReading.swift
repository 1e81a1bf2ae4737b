// Finding a request's facts in the bounded copy of its body.
// It must not keep the body.
import JSON

/// The longest model, user or session name that is taken over, in UTF-8 bytes: a longer one is no name.
let longestName = 512

extension RequestFacts {
  /// Reads what measuring needs from the bounded copy of a request's body, into facts of which none is known.
  /// - Returns: whether the copy is one whole JSON object; where it was cut, or never was one, nothing is known still.
  public mutating func read(_ body: RawSpan, _ dialect: any Dialect.Type, _ parser: DecodingContext) -> Bool {
    if parseFast(body, dialect) { return true }
    guard let parsed = parsedFacts(of: body, dialect: dialect, parser: parser) else {
      self = RequestFacts()
      return false
    }
    self = parsed
    return true
  }
}

/// The facts of a body, by the parser alone; nil where it is not one whole JSON object.
func parsedFacts(of body: RawSpan, dialect: any Dialect.Type, parser: DecodingContext) -> RequestFacts? {
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

/// What a key of a request's body is to those who look for facts.
private enum BodyKey {
  case model
  case stream
  case user
  /// One that only the parser reads.
  case parsed
  case other

  init(_ key: RawSpan, _ dialect: any Dialect.Type) {
    self =
      switch key.byteCount {
      case 4 where key.equals("user"): .user
      case 5 where key.equals("model"): .model
      case 6 where key.equals("stream"): .stream
      case 8 where key.equals("metadata"), 10 where key.equals("session_id"), 15 where key.equals("conversation_id"),
        16 where key.equals("litellm_metadata"), 17 where key.equals("safety_identifier"),
        18 where key.equals("litellm_session_id"):
        .parsed
      default: dialect.readsFromRequest(key) ? .parsed : .other
      }
  }
}

extension RequestFacts {
  /// Of a body that says little: its model, whether it wants a stream and for whom, all in plain letters. Runs over the body
  /// to its end.
  /// - Returns: false where the parser has to judge, and this is to be thrown away. Of a key that stands twice the first
  ///   counts: that is left to it, too.
  mutating func parseFast(_ body: RawSpan, _ dialect: any Dialect.Type) -> Bool {
    let isPlain = unsafe body.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return false }
      var scan = unsafe JSONScan(base, count: bytes.count)
      return parseFast(&scan, body, dialect)
    }
    guard isPlain else { return false }
    if user != nil { userKey = "body:user" }
    if stream == nil { stream = dialect.streamsByDefault }
    choices = 1
    return true
  }

  private mutating func parseFast(_ scan: inout JSONScan, _ body: RawSpan, _ dialect: any Dialect.Type) -> Bool {
    scan.space()
    guard scan.take(UInt8(ascii: "{")) else { return false }
    repeat {
      scan.space()
      guard let key = scan.string(), key.isPlain, scan.colon() else { return false }
      switch BodyKey(body.extracting(key.inside), dialect) {
      case .parsed: return false
      case .other: guard scan.value() else { return false }
      case .model: guard Self.read(&scan, body, into: &model) else { return false }
      case .user: guard Self.read(&scan, body, into: &user) else { return false }
      case .stream:
        let isOn = scan.next == UInt8(ascii: "t")
        guard stream == nil, scan.word(isOn ? "true" : "false") else { return false }
        stream = isOn
      }
      scan.space()
    } while scan.take(UInt8(ascii: ","))
    guard scan.take(UInt8(ascii: "}")) else { return false }
    scan.space()
    return scan.isAtEnd
  }

  /// Reads a plain string that can be a name.
  private static func read(_ scan: inout JSONScan, _ body: RawSpan, into name: inout String?) -> Bool {
    guard name == nil, let string = scan.string(), string.isPlain, 1...longestName ~= string.inside.count else {
      return false
    }
    name = unsafe body.extracting(string.inside).withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    return true
  }
}

extension RequestFacts {
  /// The first of the keys that LiteLLM's documentation lists, in its order
  /// (Documentation.docc/Dialects.md, "Who sent the request").
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
