// That cached events are observed exactly as parsed ones, above all where they almost look alike.
import JSON
import TestSupport
import Testing

@testable import TokenWire

/// Streams whose events differ in ways that a careless match would miss.
private let nearMatches: [(String, [String])] = [
  (
    "another key at the same place",
    [#"{"content":"aa"}"#, #"{"refusal":"aa"}"#, #"{"content":"bb"}"#, #"{"contens":"cc"}"#, #"{"content":"dd"}"#]
  ),
  (
    "quotes and backslashes inside",
    [#"{"content":"aa"}"#, #"{"content":"a\""}"#, #"{"content":"\"}"}"#, #"{"content":"\\"}"#, #"{"content":"\\\""}"#]
  ),
  (
    "a role beside the text",
    [#"{"content":"a"}"#, #"{"role":"assistant","content":"a"}"#, #"{"role":null,"content":""}"#, #"{"content":""}"#]
  ),
  (
    "the empty text with and without a role",
    [
      #"{"role":"assistant","content":"a"}"#, #"{"role":"assistant","content":""}"#,
      #"{"role":"assistant","content":"b"}"#,
    ]
  ),
  (
    "keys that stand twice",
    [
      #"{"content":"a","content":"b"}"#, #"{"content":"cc","content":"b"}"#, #"{"content":"cc","content":"bbb"}"#,
      #"{"content":"","content":"b"}"#,
    ]
  ),
  (
    "text that looks like the rest of the event",
    [
      #"{"content":"a"}"#, #"{"content":"\"},\"x\":{\""}"#, #"{"content":"},"}"#,
      #"{"content":"a"},"x":{"content":"b"}"#,
    ]
  ),
  (
    "escapes of all kinds",
    [
      #"{"content":"\n"}"#, #"{"content":"\u4f60\u597d"}"#, #"{"content":"\ud83d\ude00"}"#, #"{"content":"\ud83d"}"#,
      #"{"content":"\q"}"#, #"{"content":"\u00"}"#,
    ]
  ),
  (
    "a text that is no string",
    [#"{"content":"a"}"#, #"{"content":null}"#, #"{"content":1}"#, #"{"content":["a"]}"#, #"{"content":{"text":"a"}}"#]
  ),
  (
    "two texts",
    [#"{"content":"a","reasoning":"b"}"#, #"{"content":"aa","reasoning":"b"}"#, #"{"content":"","reasoning":"b"}"#]
  ),
  ("white space", [#"{"content":"a"}"#, #"{"content": "a"}"#, #"{ "content":"a"}"#, #"{"content":"a" }"#]),
  (
    "control bytes",
    [#"{"content":"a"}"#, "{\"content\":\"a\tb\"}", "{\"content\":\"\u{1}\"}", "{\"content\":\"\u{7F}\"}"]
  ),
]

@Suite("Event cache")
struct EventCacheTests {
  /// Decodes with and without, several times over so that everything learnable has been learnt.
  private func agree(_ recipe: Recipe, _ stream: [UInt8], _ warm: DecodingContext) throws -> Bool {
    let reference = try recipe.decode([stream[...]], DecodingContext(usesCache: false))
    for _ in 0..<3 {
      guard try recipe.decode([stream[...]], warm) == reference else { return false }
      guard try recipe.decode(stream.indices.map { stream[$0...$0] }, warm) == reference else { return false }
    }
    return true
  }

  /// Changes, inserts and removes bytes at random, and has each stream decoded with and without.
  private func agreeHoweverChanged(_ recipe: Recipe, _ stream: String, seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let bytes = Array(stream.utf8)
    let warm = DecodingContext()
    #expect(try agree(recipe, bytes, warm))
    let candidates = Array("\"\\{}[],:0159aurn \n\r\t".utf8) + [0x00, 0x1F, 0x80, 0xC3, 0xA9, 0xED, 0xFF]
    for _ in 0..<300 {
      let changed = random.changed(bytes, 3, to: candidates)
      #expect(try agree(recipe, changed, warm), "\(String(decoding: changed, as: UTF8.self))")
    }
  }

  @Test("Near matches are told apart", arguments: nearMatches.map(\.0))
  func nearMatch(name: String) throws {
    let deltas = try #require(nearMatches.first { $0.0 == name }).1
    for order in [deltas, deltas.reversed(), deltas + deltas, deltas.flatMap { [$0, $0] }] {
      let decoded = try Recipe.sse("openai.chat").decodeEveryWay(order.map { sse(chatChunk($0)) }.joined())
      #expect(decoded.events.count == order.count)
    }
  }

  @Test("Keys that vary are let vary; all other values are not")
  func varyingValues() throws {
    func chunk(_ id: String, _ created: String, _ model: String, _ more: String = "") -> String {
      #"{"id":\#(id),"created":\#(created),"model":"\#(model)","choices":[{"index":0,"delta":{"content":"x"}}]\#(more)}"#
    }
    let stream = sse(
      chunk(#""a""#, "1", "m"), chunk(#""bcd""#, "22", "m"), chunk(#""\u0041""#, "0", "m"), chunk("7", "1", "m"),
      chunk(#""a""#, "01", "m"), chunk(#""a""#, "1.5", "m"), chunk(#""a""#, "-1", "m"), chunk(#""a""#, "1e3", "m"),
      chunk(#""a""#, "12345678901234567890123", "m"), chunk(#""a""#, "null", "m"), chunk(#""a""#, "1", "other"),
      chunk(#""a""#, "1", "m", #","obfuscation":"xyz""#), chunk(#""a""#, "1", "m", #","obfuscation":"""#),
      chunk(#""a""#, "1", "m", #","id":"again""#), chunk(#""a""#, "1", "m", #","error":{"type":"x"}"#),
      chunk(#""a""#, "", "m"), chunk(#""a"b""#, "1", "m"), chunk("\"a\u{1}\"", "1", "m"))
    let decoded = try Recipe.sse("openai.chat").decodeEveryWay(stream + stream)
    #expect(decoded.malformed == 6 && decoded.events.count == 36)
    #expect(Set(decoded.events.compactMap(\.responseModel)) == ["m", "other"])
  }

  @Test(
    "Counts that differ on every event are read anew",
    arguments: [
      [
        #","usage":{"prompt_tokens":4,"completion_tokens":1}"#, #","usage":{"prompt_tokens":4,"completion_tokens":22}"#,
      ],
      [#","usage":{"completion_tokens":1}"#, #","usage":null"#, #","usage":{}"#, #","usage":{"completion_tokens":2}"#],
      [#","usage":{"completion_tokens":1}"#, #","usage":{"completion_tokens":1.5}"#, #","usage":{"x":"}"}"#],
      [
        #","usage":{"completion_tokens":1}"#, #","usage":{"completion_tokens":}"#, #","usage":{"completion_tokens":1]"#,
      ],
      [#","usage":{"completion_tokens":1}"#, #","usage":{"completion_tokens":1},"usage":{"completion_tokens":2}"#],
      [#","usage":null,"usage":{"completion_time":1}"#, #","usage":null,"usage":{"completion_time":2}"#],
      [#","usage":{"a":{"b":[1,"}"]},"completion_tokens":1}"#, #","usage":{"a":{"b":[{}]},"completion_tokens":2}"#],
      [
        #","usage":null,"x_groq":{"usage":{"completion_tokens":1}}"#,
        #","usage":null,"x_groq":{"usage":{"completion_tokens":2}}"#,
      ],
      [#","timings":{"predicted_n":1,"predicted_ms":1.5}"#, #","timings":{"predicted_n":2,"predicted_ms":2.25}"#],
      [
        #","usage":{"prompt_tokens":4,"d":{"cached_tokens":1,"x":[2,"3",{"y":4}]},"completion_tokens":1}"#,
        #","usage":{"prompt_tokens":40,"d":{"cached_tokens":0,"x":[5,"3",{"y":66}]},"completion_tokens":123456}"#,
        #","usage":{"prompt_tokens":40,"d":{"cached_tokens":0,"x":[5,"6",{"y":66}]},"completion_tokens":123456}"#,
      ],
      [
        #","usage":{"prompt_tokens":4,"completion_tokens":1}"#, #","usage":{"prompt_tokens":4,"completion_tokens":01}"#,
        #","usage":{"prompt_tokens":4,"completion_tokens":-1}"#,
        #","usage":{"prompt_tokens":4,"completion_tokens":1e1}"#,
        #","usage":{"prompt_tokens":4,"completion_tokens":1.0}"#, #","usage":{"prompt_tokens":4,"completion_tokens":}"#,
        #","usage":{"prompt_tokens":4,"completion_tokens":"1"}"#,
        #","usage":{"prompt_tokens":4,"completion_tokens":0}"#,
        #","usage":{"prompt_tokens":4,"completion_tokens":999999999999999999}"#,
        #","usage":{"prompt_tokens":4,"completion_tokens":9999999999999999999}"#,
        #","usage":{"prompt_tokens":4,"completion_tokens":99999999999999999999999}"#,
      ],
      [
        #","timings":{"predicted_n":1},"usage":{"completion_tokens":2,"prompt_tokens":3}"#,
        #","timings":{"predicted_n":4},"usage":{"completion_tokens":5,"prompt_tokens":6}"#,
      ],
      [
        #","usage":{"completion_tokens":2,"completion_tokens":3}"#,
        #","usage":{"completion_tokens":4,"completion_tokens":5}"#,
      ],
      [
        #","usage":{"completion_tokens":2,"a":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}"#,
        #","usage":{"completion_tokens":3,"a":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,18]}"#,
      ],
      [
        #","usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":8,"reasoning_tokens":1}"#,
        #","usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"reasoning_tokens":1}"#,
      ],
      [
        #","timings":{"predicted_ms":1.5},"usage":{"completion_tokens":1,"completion_time":1}"#,
        #","timings":{"predicted_n":3},"usage":{"completion_tokens":2,"completion_time":2}"#,
      ],
    ])
  func counts(tails: [String]) throws {
    let chunks = tails.map { chatChunk(#"{"content":"ab"}"#).dropLast() + $0 + "}" }
    for order in [chunks, chunks.reversed(), chunks.flatMap { [$0, $0] }, chunks + chunks + chunks] {
      let decoded = try Recipe.sse("openai.chat").decodeEveryWay(order.map { sse(String($0)) }.joined())
      #expect(decoded.events.count == order.count)
    }
  }

  @Test("The same bytes mean in each dialect what that dialect says")
  func dialectsApart() throws {
    let parser = DecodingContext()
    let both = #"{"choices":[{"index":0,"delta":{"content":"a"},"text":"bcd"}]}"#
    let bytes = Array(sse(both, both, both).utf8)
    for _ in 0..<3 {
      #expect(try Recipe.sse("openai.chat").decode([bytes[...]], parser).scalars == 3)
      #expect(try Recipe.sse("openai.completions").decode([bytes[...]], parser).scalars == 9)
    }
  }

  @Test("A named event is never taken for one without a name")
  func names() throws {
    let chunk = chatChunk(#"{"content":"a"}"#)
    let stream = sse(chunk, chunk) + "event: other\n" + sse(chunk, chunk) + "event: other\n" + sse(chunk)
    #expect(try Recipe.sse("openai.chat").decodeEveryWay(stream).tokenEvents == 3)
  }

  @Test("A finish reason from the cache still ends the stream")
  func finishReason() throws {
    let finish = chatChunk("{}").replacing("\"finish_reason\":null", with: "\"finish_reason\":\"stop\"")
    let bytes = Array(sse(chatChunk(#"{"content":"a"}"#), finish).utf8)
    let parser = DecodingContext()
    for _ in 0..<4 { #expect(try Recipe.sse("openai.chat").decode([bytes[...]], parser).isWhole) }
  }

  @Test("Streams with a byte changed at random say the same either way")
  func mutations() throws {
    var stream = sse(chatChunk(#"{"role":"assistant","content":""}"#))
    for word in ["The", " quick", "\\n", " 棕色", "", " \\\"fox\\\""] {
      stream += sse(chatChunk(#"{"content":"\#(word)"}"#))
    }
    for count in [1, 22, 3] {
      let counts = #","usage":{"prompt_tokens":4,"completion_tokens":\#(count),"details":{"cached":[]}}}"#
      stream += sse(chatChunk(#"{"content":"a"}"#).dropLast() + counts)
    }
    stream += sse(chatChunk("{}"), "[DONE]")
    try agreeHoweverChanged(.sse("openai.chat"), stream, seed: 11)
  }

  @Test("Ollama's lines with a byte changed at random say the same either way")
  func mutatedLines() throws {
    var stream = ""
    for (second, word) in ["The", " quick", "\\u4f60", "", "fox"].enumerated() {
      stream += #"{"model":"g","created_at":"2026-11-21T00:00:0\#(second)Z","response":"\#(word)","done":false}"# + "\n"
    }
    try agreeHoweverChanged(.ndjson("ollama.generate"), stream, seed: 12)
  }

  @Test("More kinds of event than can be known are still read, and what comes often is learnt again")
  func manyKinds() throws {
    let parser = DecodingContext()
    for model in 0..<200 {
      let chunk = chatChunk(#"{"content":"word"}"#).replacing("small", with: "model-\(model)")
      let bytes = Array(sse(chunk, chunk, chunk, "[DONE]").utf8)
      let decoded = try Recipe.sse("openai.chat").decode([bytes[...]], parser)
      #expect(decoded.scalars == 12 && decoded.isWhole)
      #expect(decoded.events.first?.responseModel == "model-\(model)")
    }
  }

  // MARK: That it is used

  /// How many of `payloads`, read one after the other as one stream's, the cache observes.
  private func hits(_ payloads: [String], _ dialect: any Dialect.Type = OpenAIChat.self, isNull: Bool = false) -> Int {
    let context = DecodingContext(usesCache: !isNull)
    let cache = EventCache(isNull: isNull)
    var stream = EventCache.Stream(dialect)
    var reader = dialect.init()
    var hits = 0
    for payload in payloads {
      let bytes = Array(payload.utf8)
      var observation = Observation()
      context.json.parse(bytes.span.bytes) { root in
        reader.readEvent(name: RawSpan(), root, into: &observation)
        let parsed = DecodedEvent(observation)
        let isKnown = cache.observe(name: RawSpan(), bytes.span.bytes, of: &stream) {
          #expect(DecodedEvent($0) == parsed)
        }
        if isKnown {
          hits += 1
        } else {
          cache.insert(name: RawSpan(), bytes.span.bytes, root, of: &stream, observation)
        }
      }
    }
    return hits
  }

  private func chunks(_ count: Int, _ chunk: (Int) -> String) -> [String] { (0..<count).map(chunk) }

  @Test("Events that differ in text and in members that nobody reads are known")
  func isUsed() {
    #expect(hits(chunks(10) { chatChunk(#"{"content":"word \#($0)"}"#) }) == 9)
    #expect(hits(chunks(10) { chatChunk("{}").replacing("b40b9f7c", with: "id-\($0)") }) == 9)
    #expect(hits(chunks(10) { chatChunk(#"{"content":"x"}"#).dropLast() + ",\"sequence\":\($0 * 7)}" }) == 9)
    #expect(hits(chunks(10) { chatChunk(#"{"content":"x"}"#).dropLast() + ",\"score\":-\($0).5}" }) == 9)
    #expect(hits(chunks(10) { chatChunk(#"{"content":"\u4f6\#($0)"}"#) }) == 9)
    // The same before the text and behind it, and not.
    let orders = [
      "{\"a\":%,\"choices\":[{\"delta\":{\"content\":\"#\"}}],\"z\":7}",
      "{\"choices\":[{\"delta\":{\"content\":\"#\"}}],\"z\":%}",
    ]
    for order in orders {
      let events = chunks(40) { order.replacing("#", with: "w\($0 * 3)").replacing("%", with: "\($0 < 20 ? 1 : $0)") }
      #expect(hits(events) == 39)
    }
    let lines = chunks(10) { #"{"model":"g","created_at":"2026-11-21T0\#($0)","response":"w\#($0)","done":false}"# }
    #expect(hits(lines, OllamaGenerate.self) == 9)
  }

  @Test("So are events that differ in several texts, in lists that are only counted, and inside of what nobody reads")
  func isUsedInside() {
    #expect(hits(chunks(10) { chatChunk(#"{"content":"x\#($0)","reasoning":"y\#($0 * 99)"}"#) }) == 9)
    func withinChoice(_ more: String) -> String {
      chatChunk(#"{"content":"x"}"#).replacing("\"index\":0", with: "\"index\":0,\(more)")
    }
    #expect(hits(chunks(10) { withinChoice("\"token_ids\":[\($0 * 1_000)]") }) == 9)
    #expect(hits(chunks(10) { withinChoice("\"token_ids\":[\($0),7],\"stop\":\($0)") }) == 9)
    #expect(
      hits(chunks(10) { withinChoice(#""logprobs":{"content":[{"token":"a\#($0)","logprob":-0.\#($0)}]}"#) }) == 9)
    let timing = chunks(10) {
      chatChunk(#"{"content":"x"}"#).dropLast() + ",\"t\":{\"a\":[0.\($0),{\"b\":\"\($0)\"}],\"c\":1e-\($0)}}"
    }
    #expect(hits(timing) == 9)
  }

  @Test("How many there are in a list is read")
  func countsElements() {
    let lists = chunks(10) { number in
      let ids = (0...number).map { "\($0)" }.joined(separator: ",")
      return chatChunk(#"{"content":"x"}"#).replacing("\"index\":0", with: "\"index\":0,\"token_ids\":[\(ids)]")
    }
    #expect(hits(lists) == 0)
  }

  @Test("What is read of an event is never taken from another")
  func isExact() {
    #expect(hits(chunks(10) { chatChunk(#"{"content":"x"}"#).replacing("small", with: "model\($0)") }) == 0)
    #expect(hits(chunks(10) { chatChunk(#"{"content":"x"}"#).replacing("\"index\":0", with: "\"index\":\($0)") }) == 0)
    let usage = chunks(10) { chatChunk("{}").dropLast() + ",\"usage\":{\"completion_tokens\":\($0)}}" }
    #expect(hits(usage) == 0)
  }

  @Test("A null cache knows nothing")
  func nullTwin() {
    #expect(hits(chunks(10) { _ in chatChunk(#"{"content":"word"}"#) }, isNull: true) == 0)
  }

  /// Counts the events of its stream: the same bytes mean something else each time.
  private struct Counting: Dialect {
    static let name = "test.counting"
    static var operation: String { "chat" }
    static var provider: String { "test" }
    static var framing: Framing { .serverSentEvents }
    static func matches(method: String, path: String) -> Bool { false }
    private var count = 0
    init() {}
    mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
      count += 1
      observation.silentChoices = [SilentChoice(choice: count)]
    }
    mutating func readBody(_ body: JSONValue, into observation: inout Observation) {}
  }

  @Test("The events of a dialect that keeps something are all parsed")
  func stateful() {
    #expect(hits(chunks(10) { _ in chatChunk("{}") }, Counting.self) == 0)
  }

  @Test("Events that no pattern fits are soon not looked up any more, and a stream that changes is looked up again")
  func backsOff() {
    let unlike = chunks(100) { chatChunk(#"{"content":"x"}"#).replacing("small", with: "model\($0)") }
    let alike = chunks(700) { chatChunk(#"{"content":"word \#($0)"}"#) }
    let found = hits(unlike + alike)
    #expect(200...300 ~= found)
  }
}
