// Requests' bodies that are read as they pass: the same facts as of the whole body, and what is left where it cannot be read.
import ContentCoding
import JSON
import TestSupport
import Testing

@testable import TokenWire

/// `{"model":"m"}` as `gzip`, `brotli` and `zstd` write it.
private let coded: [(ContentCoding, [UInt8])] = [
  (
    .gzip,
    [
      0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0xca, 0xcd, 0x4f, 0x49, 0xcd, 0x51, 0xb2,
      0x52, 0xca, 0x55, 0xaa, 0x05, 0x00, 0x9b, 0x6c, 0xba, 0xaa, 0x0d, 0x00, 0x00, 0x00,
    ]
  ),
  (.brotli, [0x0f, 0x06, 0x80] + Array(#"{"model":"m"}"#.utf8) + [0x03]),
]

@Suite("A request's body, read as it passes")
struct RequestReaderTests {
  private let context = DecodingContext()

  private func read(
    _ pieces: [ArraySlice<UInt8>], _ coding: ContentCoding.Announced = .identity,
    _ dialect: any Dialect.Type = OpenAIChat.self, budget: Int = 1 << 20, isComplete: Bool = true
  ) -> (facts: RequestFacts, extent: RequestExtent, obstacle: RequestObstacle?) {
    let reader = RequestReader(dialect, coding, budget: budget)
    for piece in pieces { reader.read(Array(piece).span.bytes, inflating: 10) }
    while reader.isWaiting { _ = reader.inflateMore(10) }
    var facts = RequestFacts()
    let extent = reader.finish(isComplete: isComplete, &facts, context)
    return (facts, extent, reader.obstacle)
  }

  private func read(_ text: String, isComplete: Bool = true) -> (
    facts: RequestFacts, extent: RequestExtent, obstacle: RequestObstacle?
  ) { read([Array(text.utf8)[...]], isComplete: isComplete) }

  @Test("Says of a body in pieces what is said of it whole")
  func samePieces() {
    for dialect in Dialects.all { checkPieces(dialect) }
  }

  private func checkPieces(_ dialect: any Dialect.Type) {
    var random = SeededRandom(seed: 11)
    let bodies = [
      #"{"model":"m","n":2,"stream":true,"user":" u ","messages":[{"role":"user","content":"{\"model\":\"x\"}"}]}"#,
      #"{"messages":[],"prompt":["a","b",[1,2],3],"n":3,"echo":true,"metadata":{"user_id":"u","session_id":"s"}}"#,
      #"{"litellm_metadata":{"user":"u"},"safety_identifier":"x","conversation_id":"c","model":null,"stream":1}"#,
    ]
    for body in bodies {
      let bytes = Array(body.utf8)
      var whole = RequestFacts()
      let isObject = whole.read(bytes.span.bytes, dialect, context)
      #expect(isObject)
      for _ in 0..<10 {
        let found = read(random.cut(bytes), .identity, dialect)
        #expect(found.facts == whole && found.extent == .whole && found.obstacle == nil)
      }
    }
  }

  @Test(
    "What servers accept is read, where the parser does not",
    arguments: [
      "\u{FEFF}{\"model\":\"m\"}", #"{"x":NaN,"model":"m"}"#, "{\"x\":\"a\nb\",\"model\":\"m\"}",
      #"{"x":"\ud83d","model":"m"}"#, "{\"image\":\"\(String(repeating: "A", count: 3 << 20))\",\"model\":\"m\"}",
    ])
  func lenient(_ text: String) {
    let found = read(text)
    #expect(found.facts.model == "m" && found.extent == .whole && found.obstacle == nil)
  }

  @Test("Of a damaged body what was found is kept, and what is missing is not known")
  func damaged() {
    let found = read(#"{"model":"m","messages":[{"content":"a}"#)
    #expect(found.facts.model == "m" && found.extent == .partly && found.obstacle == .notJSON)
    #expect(found.facts.choices == nil && found.facts.stream == nil)
  }

  @Test("A body that the client broke off is no fault of its text")
  func brokenOff() {
    let found = read(#"{"model":"m","messages":"#, isComplete: false)
    #expect(found.facts.model == "m" && found.extent == .partly && found.obstacle == nil)
  }

  @Test("What is no object is not read", arguments: ["[]", "model=m", ""])
  func noObject(_ text: String) {
    let found = read(text)
    #expect(found.facts == RequestFacts() && found.extent == .no && found.obstacle == .notJSON)
  }

  @Test("A compressed body is inflated, a little at a time", arguments: coded)
  func inflates(_ coding: ContentCoding, _ bytes: [UInt8]) {
    for pieces in [[bytes[...]], bytes.indices.map { bytes[$0...$0] }] {
      let found = read(pieces, .coded(coding))
      #expect(found.facts.model == "m" && found.extent == .whole && found.obstacle == nil)
    }
  }

  @Test("What does not inflate is not read, and what was cut is read in part")
  func inflationFails() {
    let text = read([Array(#"{"model":"m"}"#.utf8)[...]], .coded(.gzip))
    #expect(text.extent == .no && text.obstacle == .encodingDamaged)
    let unknown = read([Array(#"{"model":"m"}"#.utf8)[...]], .unknown)
    #expect(unknown.extent == .no && unknown.obstacle == .encodingUnknown)
    let bytes = coded[1].1
    let cut = read([bytes[..<10]], .coded(.brotli))
    #expect(cut.extent != .whole && cut.obstacle == .encodingDamaged)
  }

  @Test("What inflates to more than is allowed is read up to there")
  func budget() {
    let found = read([coded[0].1[...]], .coded(.gzip), budget: 5)
    #expect(found.extent != .no || found.obstacle == .readLimit)
  }

  @Test("A long name is cut, not dropped")
  func longName() {
    let name = String(repeating: "é", count: 5_000)
    let found = read("{\"user\":\"\(name)\",\"model\":\"\(name)\"}")
    #expect(found.facts.user?.hasPrefix("éééé") == true && (found.facts.user?.utf8.count ?? 0) <= 515)
    #expect(found.facts.model?.hasPrefix("éééé") == true)
  }
}
