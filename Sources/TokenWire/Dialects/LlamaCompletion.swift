// llama.cpp's native completion (Documentation.docc/Dialects.md, "llama.cpp").
import JSON

/// `POST …/completion`, `…/infill`, and `/completions` without a version before it: `data:` events up to the one with
/// `stop: true`, each with the count so far.
struct LlamaCompletion: Dialect {
  static let name = "llamacpp.completion"
  static var operation: String { "text_completion" }
  static var provider: String { "llamacpp" }
  static var framing: Framing { .serverSentEvents }
  /// None is promised: the last event says that it is one.
  static var terminator: StaticString? { "[DONE]" }

  private enum Key: String, JSONKey {
    case index, content, model, stop, error, timings
    case output = "tokens_predicted"
    case input = "tokens_evaluated"
    case stopType = "stop_type"
    static let table = JSONKeys<Key>()
  }

  init() {}

  static func matches(method: String, path: String) -> Bool {
    guard method == "POST" else { return false }
    return path == "/completions" || path == "/completions/" || Dialects.path(path, endsIn: "/completion")
      || Dialects.path(path, endsIn: "/infill")
  }

  /// Clients of OpenAI's API that are given no `/v1` ask for `/completions` too.
  static func settles(path: String) -> Bool { !path.hasPrefix("/completions") }

  static func recognizes(_ payload: JSONValue) -> Bool {
    payload["content"]?.isString == true && payload["stop"]?.bool != nil
  }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    let index = read(payload, into: &observation)
    if observation.serverCounts != nil { observation.countedChoice = index }
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    _ = read(body, into: &observation)
  }

  /// - Returns: the choice that it is of.
  private func read(_ payload: JSONValue, into observation: inout Observation) -> Int {
    let event = JSONObject<Key>(payload)
    let index = event[.index]?.tokenCount ?? 0
    observation.readModel(event[.model])
    observation.errorKind = event[.error].flatMap { ErrorReport.kind(of: $0) }
    var counts = TokenUsage(input: event[.input]?.tokenCount, output: event[.output]?.tokenCount)
    if let value = event.present(.timings) {
      let timings = OpenAIUsage(timings: value)
      counts.cached = timings.counts?.cached
      counts.output = counts.output ?? timings.counts?.output
      observation.serverDurations = timings.durations
    }
    if counts != TokenUsage() { observation.serverCounts = counts }
    if event[.stop]?.bool == true {
      observation.isTerminator = true
      observation.finishReason = event[.stopType]?.name
      observation.finishedChoices.append(index)
    }
    guard event[.content] != nil else { return index }
    var output = ChoiceOutput(choice: index, scalars: 0, kinds: [])
    output.add(event[.content], as: .answer)
    // A progress event and the last one have an empty text.
    if output.kinds.isEmpty {
      observation.silentChoices.append(SilentChoice(choice: index))
    } else {
      observation.outputs.append(output)
    }
    return index
  }
}
