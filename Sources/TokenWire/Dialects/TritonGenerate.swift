// The generate extension of Triton (Documentation.docc/Dialects.md, "Triton").
import JSON

/// `POST …/v2/models/MODEL[/versions/VERSION]/generate_stream` and `…/generate`.
struct TritonGenerate: Dialect {
  static let name = "triton.generate"
  static var operation: String { "text_completion" }
  static var provider: String { "triton" }
  static var framing: Framing { .serverSentEvents }
  /// The body's end is the stream's.
  static var promisesTerminator: Bool { false }

  private enum Key: String, JSONKey {
    case error
    case text = "text_output"
    case model = "model_name"
    case logprobs = "output_log_probs"
    static let table = JSONKeys<Key>()
  }

  /// Tokens so far, by the length of the list of their log probabilities; nil once an event had no such list.
  private var counted: Int? = 0

  init() {}

  static func matches(method: String, path: String) -> Bool {
    method == "POST" && Dialects.isModelPath(path)
      && (Dialects.path(path, endsIn: "/generate_stream") || Dialects.path(path, endsIn: "/generate"))
  }

  static func recognizes(_ payload: JSONValue) -> Bool { payload["text_output"] != nil }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    let event = JSONObject<Key>(payload)
    guard var output = read(event, into: &observation) else { return }
    output.tokens = growth(event[.logprobs])
    observation.outputs.append(output)
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    if let output = read(JSONObject<Key>(body), into: &observation) { observation.outputs.append(output) }
  }

  private func read(_ event: JSONObject<Key>, into observation: inout Observation) -> ChoiceOutput? {
    observation.readModel(event[.model])
    observation.errorKind = event[.error].flatMap { ErrorReport.kind(of: $0) }
    var output = ChoiceOutput(choice: 0, scalars: 0, kinds: [])
    // Some models answer with a list of one text.
    output.add(wrapped: event[.text], as: .answer)
    if !output.kinds.isEmpty { return output }
    if event[.text] != nil { observation.silentChoices.append(0) }
    return nil
  }

  /// A list of one is written as its element.
  private mutating func growth(_ value: JSONValue?) -> Int? {
    guard let counted, let now = value?.listLength ?? (counted == 0 && value?.double != nil ? 1 : nil), now >= counted
    else {
      counted = nil
      return nil
    }
    self.counted = now
    return now - counted
  }
}
