// The native API of Text Generation Inference (Documentation.docc/Dialects.md, "TGI").
import JSON

/// `POST …/generate_stream`, and `/` and `/generate` where an answer shows its shape: one event a token, and the whole text in
/// the last one.
struct TGIGenerate: Dialect {
  static let name = "tgi.generate"
  static var operation: String { "text_completion" }
  static var provider: String { "huggingface" }
  static var framing: Framing { .serverSentEvents }
  /// The body's end is the stream's.
  static var promisesTerminator: Bool { false }

  private enum Key: String, JSONKey {
    case token, details, error
    case text = "generated_text"
    case errorType = "error_type"
    static let table = JSONKeys<Key>()
  }

  private enum TokenKey: String, JSONKey {
    case text, special
    static let table = JSONKeys<TokenKey>()
  }

  private enum DetailsKey: String, JSONKey {
    case prefill
    case finish = "finish_reason"
    case output = "generated_tokens"
    case input = "input_length"
    static let table = JSONKeys<DetailsKey>()
  }

  init() {}

  static func matches(method: String, path: String) -> Bool {
    method == "POST" && Dialects.path(path, endsIn: "/generate_stream") && !Dialects.isModelPath(path)
  }

  static func recognizes(_ payload: JSONValue) -> Bool {
    payload["token"]?["text"]?.isString == true || payload["generated_text"]?.isString == true
  }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    let event = JSONObject<Key>(payload)
    read(event, into: &observation)
    if event[.text]?.isString == true { observation.isTerminator = true }
    guard let value = event.present(.token) else { return }
    let token = JSONObject<TokenKey>(value)
    var output = ChoiceOutput(choice: 0, scalars: 0, kinds: [], tokens: 1)
    // A special token is one that a reader does not see.
    if token[.special]?.bool != true { output.add(token[.text], as: .answer) }
    observation.outputs.append(output)
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    let answer = JSONObject<Key>(body)
    read(answer, into: &observation)
    var output = ChoiceOutput(choice: 0, scalars: 0, kinds: [])
    output.add(answer[.text], as: .answer)
    if !output.kinds.isEmpty { observation.outputs.append(output) }
  }

  private func read(_ answer: JSONObject<Key>, into observation: inout Observation) {
    observation.errorKind = ErrorReport(error: answer[.error], errorType: answer[.errorType]).kind
    guard let value = answer.present(.details) else { return }
    let details = JSONObject<DetailsKey>(value)
    if let reason = details[.finish]?.name {
      observation.finishReason = reason
      observation.finishedChoices.append(0)
    }
    let counts = TokenUsage(
      input: details[.input]?.tokenCount ?? details[.prefill]?.listLength, output: details[.output]?.tokenCount)
    if counts != TokenUsage() { observation.serverCounts = counts }
  }
}
