// That a body read without a parser says exactly what the parser says, above all where it looks almost plain.
// It must not test what keys mean: the parser alone is the reference.
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

@Suite("Request facts without a parser")
struct RequestReadingTests {
  private let parser = DecodingContext()

  /// What is said by both ways; they must say the same.
  private func facts(_ bytes: [UInt8], _ dialect: any Dialect.Type) -> (found: RequestFacts?, parsed: RequestFacts?) {
    var found = RequestFacts()
    let isFound = found.read(bytes.span.bytes, dialect, parser)
    #expect(isFound || found == RequestFacts())
    return (isFound ? found : nil, parsedFacts(of: bytes.span.bytes, dialect: dialect, parser: parser))
  }

  private func isPlain(_ bytes: [UInt8], _ dialect: any Dialect.Type) -> Bool {
    var facts = RequestFacts()
    return facts.parseFast(bytes.span.bytes, dialect)
  }

  @Test("Bodies with bytes changed at random say the same either way")
  func agree() {
    var random = SplitMix(seed: 21)
    let spice =
      Array("\"\\{}[],:01.-eEtfn \n\t".utf8) + [0x00, 0x1F, 0x7F, 0x80, 0xC3, 0xEF, 0xFF]
      + bodies.flatMap { $0.utf8.prefix(30) }
    var plain = 0
    for dialect in Dialects.all {
      for body in bodies {
        for change in 0..<400 {
          var bytes = Array(body.utf8)
          for _ in 0..<(change == 0 || bytes.isEmpty ? 0 : Int.random(in: 1...3, using: &random)) {
            let at = Int.random(in: 0..<max(1, bytes.count), using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0 where at < bytes.count: bytes[at] = spice.randomElement(using: &random) ?? 0
            case 1 where at < bytes.count: bytes.remove(at: at)
            default: bytes.insert(spice.randomElement(using: &random) ?? 0, at: at)
            }
          }
          let (found, parsed) = facts(bytes, dialect)
          #expect(found == parsed, "\(String(decoding: bytes, as: UTF8.self))")
          if isPlain(bytes, dialect) { plain += 1 }
        }
      }
    }
    #expect(plain > 2_000)
  }

  @Test("A plain body needs no parser, one that says more needs it")
  func isUsed() {
    let chat = OpenAIChat.self
    for body in bodies[..<3] { #expect(isPlain(Array(body.utf8), chat)) }
    for body in bodies[3..<12] { #expect(!isPlain(Array(body.utf8), chat)) }
  }

  @Test("However deep it goes, and wherever it is cut", arguments: [1, 60, 63, 64, 65, 66, 500])
  func depth(_ depth: Int) {
    for (opening, closing) in [("[", "]"), (#"{"a":"#, "}")] {
      let inside = String(repeating: opening, count: depth) + "1" + String(repeating: closing, count: depth)
      let bytes = Array(#"{"model":"m","x":\#(inside),"stream":true}"#.utf8)
      let (found, parsed) = facts(bytes, OpenAIChat.self)
      #expect(found == parsed && found?.stream == true)
      for cut in bytes.indices {
        let (found, parsed) = facts(Array(bytes[..<cut]), OpenAIChat.self)
        #expect(found == nil && parsed == nil)
      }
    }
  }
}
