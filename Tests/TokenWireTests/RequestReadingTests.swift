// That a request's facts are those that looking up one key after the other finds, whatever the body is.
import JSON
import TestSupport
import Testing

@testable import TokenWire

private let bodies = [
  #"{"model":"simulated","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#,
  #" { "model" : "m" , "stream" : false , "user" : "u" , "temperature" : 0.7 , "top_p" : -1 , "stop" : null } "#,
  #"{"messages":[{"role":"user","content":"a \"b\" \\ \u00e9 é 😀"},[1,[2,{"a":[{}]}]]],"model":"a/b-c:1","seed":12345}"#,
  #"{"model":"m","n":2,"stream":true}"#, #"{"model":"m","prompt":["a","b"],"n":2,"echo":true,"stream":true}"#,
  #"{"model":"m","metadata":{"user_id":"u","session_id":"s"},"user":7}"#, #"{"user":"","safety_identifier":"x"}"#,
  #"{"model":"m","litellm_metadata":{"user":"u"},"session_id":"s"}"#, #"{"model":"m","conversation_id":"c"}"#,
  #"{"model":"a","model":"b","stream":true,"stream":false,"user":"x","user":"y"}"#,
  #"{"mod\u0065l":"a","\u006d":1,"stream":"true"}"#, #"{"model":"é","stream":1}"#, #"{"model":"","user":""}"#,
  #"{"model":null,"stream":null,"user":null}"#, #"{"model":"m","x":1e400,"y":1.5e3,"z":00}"#, "{}", "[]", "", "{",
  #"{"litellm_session_id":"s","x":true}"#, #"{"x":tru,"model":"m"}"#, #"{"model":"m"}x"#, #"{"model":"m",}"#,
]

@Suite("Request facts")
struct RequestReadingTests {
  private let context = DecodingContext()

  /// Key by key, by the parser's own search; nil where the body is no JSON object.
  private func lookedUp(_ body: [UInt8], _ dialect: any Dialect.Type) -> RequestFacts? {
    func name(_ value: JSONValue?) -> String? {
      guard let text = value?.string else { return nil }
      let words = text.drop { $0 == " " || $0 == "\t" }
      guard let last = words.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return nil }
      return String(words[...last])
    }
    let facts: RequestFacts?? = JSONParser().parse(body.span.bytes) { root in
      guard root.isObject else { return nil }
      var facts = RequestFacts()
      facts.model = name(root["model"])
      facts.stream = root["stream"]?.bool ?? dialect.streamsByDefault
      facts.choices = 1
      let users: [(JSONValue?, String)] = [
        (root["user"], "user"), (root["litellm_metadata"]?["user"], "litellm_metadata.user"),
        (root["metadata"]?["user_id"], "metadata.user_id"), (root["safety_identifier"], "safety_identifier"),
      ]
      for (value, key) in users {
        guard let named = name(value) else { continue }
        if facts.user == nil {
          (facts.user, facts.userKey) = (named, "body:" + key)
        } else {
          facts.moreUsers["body:" + key] = named
        }
      }
      facts.session =
        [
          root["session_id"], root["litellm_session_id"], root["conversation_id"], root["metadata"]?["session_id"],
          root["metadata"]?["conversation_id"],
        ].lazy.compactMap(name).first
      dialect.readRequest(root, into: &facts)
      return facts
    }
    return facts ?? nil
  }

  private func read(_ body: [UInt8], _ dialect: any Dialect.Type) -> RequestFacts? {
    // What an earlier request said must be gone.
    var facts = RequestFacts()
    (facts.model, facts.user, facts.session, facts.echo) = ("old", "old", "old", true)
    if facts.read(body.span.bytes, dialect, context) { return facts }
    #expect(facts == RequestFacts())
    return nil
  }

  @Test("Bodies with bytes changed at random give the same facts as looking up each key")
  func mutations() {
    var random = SeededRandom(seed: 21)
    let bytes =
      Array("\"\\{}[],:01.-eEtfn \n\t".utf8) + [0x00, 0x1F, 0x7F, 0x80, 0xC3, 0xEF, 0xFF]
      + bodies.flatMap { $0.utf8.prefix(30) }
    var objects = 0
    for dialect in Dialects.all {
      for body in bodies {
        for change in 0..<200 {
          let changed = random.changed(Array(body.utf8), change == 0 ? 0 : 3, to: bytes)
          let facts = read(changed, dialect)
          #expect(facts == lookedUp(changed, dialect), "\(String(decoding: changed, as: UTF8.self))")
          if facts != nil { objects += 1 }
        }
      }
    }
    #expect(objects > 2_000)
  }

  @Test("However deep it goes, and wherever it is cut", arguments: [1, 64, 65, 500])
  func depth(_ depth: Int) {
    for (opening, closing) in [("[", "]"), (#"{"a":"#, "}")] {
      let inside = String(repeating: opening, count: depth) + "1" + String(repeating: closing, count: depth)
      let body = Array(#"{"model":"m","x":\#(inside),"stream":true}"#.utf8)
      #expect(read(body, OpenAIChat.self)?.stream == true)
      for cut in body.indices { #expect(read(Array(body[..<cut]), OpenAIChat.self) == nil) }
    }
  }
}
