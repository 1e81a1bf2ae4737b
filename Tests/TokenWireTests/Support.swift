// What the tests of this room share: seeded splits, and decoding a body every way there is.
// It must not hold expectations of its own about any dialect.
import Testing
import TokenWire

/// All that an observation says in public, to compare and to keep.
struct DecodedEvent: Equatable {
  var outputs: [ChoiceOutput] = []
  var silentChoices: [Int] = []
  var usage: TokenUsage?
  var usageChoice: Int?
  var serverCounts: TokenUsage?
  var serverDurations: ServerDurations?
  var finishReason: String?
  var responseModel: String?
  var errorKind: String?
  var isTerminator = false

  init(_ observation: borrowing Observation) {
    outputs = observation.outputs
    silentChoices = observation.silentChoices
    usage = observation.usage
    usageChoice = observation.usageChoice
    serverCounts = observation.serverCounts
    serverDurations = observation.serverDurations
    finishReason = observation.finishReason
    responseModel = observation.responseModel
    errorKind = observation.errorKind
    isTerminator = observation.isTerminator
  }
}

/// A response, decoded.
struct Decoded: Equatable {
  var events: [DecodedEvent] = []
  var isStream: Bool?
  var isWhole = false
  var problem: String?
  var malformed = 0

  /// The outputs of all events, one after the other.
  var outputs: [ChoiceOutput] { events.flatMap(\.outputs) }
  var tokenEvents: Int { events.count { !$0.outputs.isEmpty } }
  var scalars: Int { outputs.reduce(0) { $0 + $1.scalars } }
}

/// How a response is decoded.
struct Recipe {
  var dialect: String
  var status = 200
  var contentType: String?
  var contentEncoding: String?
  var limits = DecoderLimits()
  var complete = true

  static func sse(_ dialect: String) -> Recipe { Recipe(dialect: dialect, contentType: "text/event-stream") }
  static func ndjson(_ dialect: String) -> Recipe { Recipe(dialect: dialect, contentType: "application/x-ndjson") }
  static func json(_ dialect: String) -> Recipe { Recipe(dialect: dialect, contentType: "application/json") }

  /// Decodes a body that arrives in `parts`.
  func decode(_ parts: [ArraySlice<UInt8>], _ parser: DecodingContext) throws -> Decoded {
    var decoded = Decoded()
    var decoder = ResponseDecoder(dialect: try #require(Dialects.named(dialect)), limits: limits)
    decoder.begin(AnnouncedBody(status: status, contentType: contentType, contentEncoding: contentEncoding))
    for part in parts {
      decoder.feed(part.span.bytes, parser: parser) { decoded.events.append(DecodedEvent($0)) }
    }
    decoder.finish(complete: complete, parser: parser) { decoded.events.append(DecodedEvent($0)) }
    decoded.isStream = decoder.isStream
    decoded.isWhole = decoder.isWhole
    decoded.problem = decoder.problem
    decoded.malformed = decoder.malformedEvents
    return decoded
  }

  /// Decodes a body in one read, parsing every event; then again byte by byte, at every place cut in two, and at random
  /// cuts, each with events known by heart and without, and with a parser that knows the stream already.
  /// - Returns: what all of them said alike.
  func decodeEveryWay(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> Decoded {
    let bytes = Array(text.utf8)
    let reference = try decode([bytes[...]], DecodingContext(usesCache: false))
    let parsing = DecodingContext(usesCache: false)
    let warm = DecodingContext()
    var random = SplitMix(seed: 0x7AC0)
    var ways = [[bytes[...]], bytes.indices.map { bytes[$0...$0] }]
    for _ in 0..<40 { ways.append(random.cut(bytes)) }
    for cut in stride(from: 0, through: bytes.count, by: max(1, bytes.count / 400)) {
      ways.append([bytes[..<cut], bytes[cut...]])
    }
    for way in ways {
      for parser in [parsing, DecodingContext(), warm] {
        let decoded = try decode(way, parser)
        guard decoded != reference else { continue }
        Issue.record(
          "cut at \(way.map(\.startIndex)): \(decoded) in place of \(reference)", sourceLocation: sourceLocation)
        return reference
      }
    }
    return reference
  }
}

/// SplitMix64: small, seeded, the same everywhere.
struct SplitMix: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// Cuts bytes at random places, empty parts among them.
  mutating func cut(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    let count = Int.random(in: 0...max(1, bytes.count / 20), using: &self)
    let cuts = (0..<count).map { _ in Int.random(in: 0...bytes.count, using: &self) }.sorted()
    return zip([0] + cuts, cuts + [bytes.count]).map { bytes[$0..<$1] }
  }
}
