// OpenAI's transcription and translation of speech, and vLLM's of the shape of chat (Documentation.docc/Dialects.md,
// "Embeddings, rerank, audio").
import JSON

/// `POST …/audio/transcriptions` and `…/audio/translations`.
struct OpenAITranscription: Dialect {
  static let name = "openai.transcription"
  static var operation: String { "transcription" }
  static var provider: String { "openai" }
  static var framing: Framing { .serverSentEvents }
  /// vLLM's.
  static var terminator: StaticString? { "[DONE]" }

  private enum Key: String, JSONKey {
    case type, text, delta, usage, error, choices
    static let table = JSONKeys<Key>()
  }

  init() {}

  static func matches(method: String, path: String) -> Bool {
    method == "POST"
      && (Dialects.path(path, endsIn: "/audio/transcriptions") || Dialects.path(path, endsIn: "/audio/translations"))
  }

  static func recognizes(_ payload: JSONValue) -> Bool { payload["type"]?.hasPrefix("transcript.text.") == true }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    let event = JSONObject<Key>(payload)
    if event[.choices] != nil {
      var chat = OpenAIChat()
      return chat.readEvent(name: name, payload, into: &observation)
    }
    observation.errorKind = event[.error].flatMap { ErrorReport.kind(of: $0) }
    if let usage = event.present(.usage) { observation.usage = OpenAIUsage(usage: usage).counts }
    guard let type = event[.type] else { return }
    if type.equals("transcript.text.done") {
      observation.isTerminator = true
    } else if type.equals("transcript.text.delta") {
      Self.add(event[.delta], to: &observation)
    }
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    let answer = JSONObject<Key>(body)
    observation.errorKind = answer[.error].flatMap { ErrorReport.kind(of: $0) }
    if let usage = answer.present(.usage) { observation.usage = OpenAIUsage(usage: usage).counts }
    Self.add(answer[.text], to: &observation)
  }

  private static func add(_ text: JSONValue?, to observation: inout Observation) {
    var output = ChoiceOutput(choice: 0, scalars: 0, kinds: [])
    output.add(text, as: .answer)
    if !output.kinds.isEmpty { observation.outputs.append(output) }
  }
}
