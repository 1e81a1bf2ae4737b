// What Ollama's two endpoints share: the done record, its counts and durations, errors.
// It must not know where either keeps its text.
import JSON

/// One of Ollama's endpoints: one JSON object a line, streamed unless `stream` is false; a body has a line's shape.
protocol OllamaDialect: Dialect {}

extension OllamaDialect {
  static var framing: Framing { .newlineDelimitedJSON }
  static var streamsByDefault: Bool { true }
  static var volatileKeys: [StaticString] { ["created_at"] }

  static func readRequest(_ body: JSONValue, into facts: inout RequestFacts) {}

  static func readsFromRequest(_ key: RawSpan) -> Bool { false }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    readBody(payload, into: &observation)
  }
}

/// Reading the parts that Ollama's chat and generate have in common.
enum OllamaShape {
  /// Reads everything but the generated text.
  static func readEnvelope(_ root: JSONValue, into observation: inout Observation) {
    observation.responseModel = root["model"]?.name
    observation.errorKind = root.errorKind
    guard root["done"]?.bool == true else { return }
    observation.isTerminator = true
    // `load` and `unload` answer empty prompts: no inference, no counts, no text
    // (Documentation.docc/Dialects.md, "Ollama").
    observation.finishReason = root["done_reason"]?.name
    let counts = TokenUsage(input: root["prompt_eval_count"]?.tokenCount, output: root["eval_count"]?.tokenCount)
    if counts != TokenUsage() { observation.serverCounts = counts }
    readDurations(root, into: &observation)
  }

  private static func readDurations(_ root: JSONValue, into observation: inout Observation) {
    func milliseconds(_ key: StaticString) -> Double? { root[key]?.tokenCount.map { Double($0) / 1e6 } }
    var durations = ServerDurations()
    durations.loadMilliseconds = milliseconds("load_duration")
    durations.prefillMilliseconds = milliseconds("prompt_eval_duration")
    durations.decodeMilliseconds = milliseconds("eval_duration")
    durations.totalMilliseconds = milliseconds("total_duration")
    if durations != ServerDurations() { observation.serverDurations = durations }
  }

  /// Tokens that a record says it carries: the length of `logprobs`, where they were asked for.
  static func tokens(_ root: JSONValue) -> Int? {
    guard let list = root["logprobs"], list.isArray, let count = list.count, count > 0 else { return nil }
    return count
  }
}
