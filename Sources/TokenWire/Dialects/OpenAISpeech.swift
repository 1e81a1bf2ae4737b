// OpenAI's speech (Documentation.docc/Dialects.md, "Embeddings, rerank, audio").
import JSON

/// `POST …/audio/speech`: sound as it is made, or, where events were asked for, events with pieces of it.
struct OpenAISpeech: Dialect {
  static let name = "openai.speech"
  static var operation: String { "speech" }
  static var provider: String { "openai" }
  static var framing: Framing { .serverSentEvents }
  static var answersInMedia: Bool { true }
  /// The body's end is the stream's.
  static var promisesTerminator: Bool { false }

  init() {}

  static func matches(method: String, path: String) -> Bool {
    method == "POST" && Dialects.path(path, endsIn: "/audio/speech")
  }

  static func recognizes(_ payload: JSONValue) -> Bool { payload["type"]?.hasPrefix("speech.audio.") == true }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    readBody(payload, into: &observation)
    guard let type = payload["type"] else { return }
    if type.equals("speech.audio.delta") {
      observation.isMedia = payload["audio"]?.hasText == true
    } else if type.equals("speech.audio.done") {
      observation.isTerminator = true
    } else if type.equals("error"), observation.errorKind == nil {
      observation.errorKind = "error"
    }
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    observation.errorKind = body["error"].flatMap { ErrorReport.kind(of: $0) }
    if let usage = body.present("usage") { observation.usage = OpenAIUsage(usage: usage).counts }
  }
}
