// What the tests of this module share: changed and cut bytes, and decoding a body every way there is.
import TestSupport
import Testing
import TokenWire

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
  var limits = DecoderLimits.test()
  var complete = true

  static func sse(_ dialect: String) -> Recipe { Recipe(dialect: dialect, contentType: "text/event-stream") }
  static func ndjson(_ dialect: String) -> Recipe { Recipe(dialect: dialect, contentType: "application/x-ndjson") }
  static func json(_ dialect: String) -> Recipe { Recipe(dialect: dialect, contentType: "application/json") }

  /// Decodes a body that arrives in `parts`.
  func decode(_ parts: [ArraySlice<UInt8>], _ parser: DecodingContext) throws -> Decoded {
    var decoded = Decoded()
    var decoder = ResponseDecoder(dialect: try #require(Dialects.named(dialect)), limits: limits)
    decoder.begin(
      AnnouncedBody(status: status, contentType: contentType, contentEncoding: [contentEncoding].compactMap(\.self)))
    for part in parts {
      decoder.feed(part.span.bytes, context: parser) { decoded.events.append(DecodedEvent($0)) }
    }
    decoder.finish(complete: complete, context: parser) { decoded.events.append(DecodedEvent($0)) }
    decoded.isStream = decoder.isStream
    decoded.isWhole = decoder.isWhole
    decoded.problem = decoder.problem
    decoded.malformed = decoder.malformedEvents
    return decoded
  }

  /// Decodes a body in one read, parsing every event; then again byte by byte, at every place cut in two, and at random
  /// cuts, each with an empty event cache, without one, and with one that has seen the stream.
  /// - Returns: what all of them said alike.
  func decodeEveryWay(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> Decoded {
    let bytes = Array(text.utf8)
    let reference = try decode([bytes[...]], DecodingContext(usesCache: false))
    let parsing = DecodingContext(usesCache: false)
    let warm = DecodingContext()
    var random = SeededRandom(seed: 0x7AC0)
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

extension SeededRandom {
  /// `original` with 1 to `most` bytes changed, inserted or removed; as it is where `most` is 0.
  mutating func changed(_ original: [UInt8], _ most: Int, to candidates: [UInt8]) -> [UInt8] {
    var bytes = original
    for _ in 0..<(most == 0 ? 0 : Int.random(in: 1...most, using: &self)) {
      let at = Int.random(in: 0...bytes.count, using: &self)
      switch Int.random(in: 0..<3, using: &self) {
      case 0 where at < bytes.count: bytes[at] = candidates.randomElement(using: &self) ?? 0
      case 1 where at < bytes.count: bytes.remove(at: at)
      default: bytes.insert(candidates.randomElement(using: &self) ?? 0, at: at)
      }
    }
    return bytes
  }
}
