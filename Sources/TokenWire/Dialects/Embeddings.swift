// Embeddings, of OpenAI's and Cohere's APIs and of Ollama's (Documentation.docc/Dialects.md, "Embeddings, rerank, audio").
import JSON

/// `POST …/embeddings` and `…/embed`: one body, whose prompt is counted.
struct Embeddings: Dialect {
  static let name = "embeddings"
  static var operation: String { "embeddings" }
  static var provider: String { "openai" }
  static var framing: Framing { .serverSentEvents }

  init() {}

  static func matches(method: String, path: String) -> Bool {
    method == "POST" && (Dialects.path(path, endsIn: "/embeddings") || Dialects.path(path, endsIn: "/embed"))
  }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    readBody(payload, into: &observation)
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    PromptUsage.read(body, into: &observation)
  }
}

/// The counts of an answer that generates nothing: all its tokens are the prompt's.
enum PromptUsage {
  private enum Key: String, JSONKey {
    case model, error, object, type, code, usage, meta
    case input = "prompt_eval_count"
    case load = "load_duration"
    case total = "total_duration"
    static let table = JSONKeys<Key>()
  }

  static func read(_ body: JSONValue, into observation: inout Observation) {
    let answer = JSONObject<Key>(body)
    observation.readModel(answer[.model])
    observation.errorKind =
      ErrorReport(error: answer[.error], object: answer[.object], type: answer[.type], code: answer[.code]).kind
    let usage = answer.present(.usage)
    let meta = answer.present(.meta)
    let input =
      usage?["prompt_tokens"]?.tokenCount ?? usage?["input_tokens"]?.tokenCount ?? usage?["total_tokens"]?.tokenCount
      ?? (meta?.present("tokens") ?? meta?.present("billed_units"))?["input_tokens"]?.tokenCount
    if let input { observation.usage = TokenUsage(input: input) }
    // Ollama's.
    if let input = answer[.input]?.tokenCount { observation.serverCounts = TokenUsage(input: input) }
    var durations = ServerDurations()
    durations.loadMilliseconds = answer[.load]?.tokenCount.map { Double($0) / 1e6 }
    durations.totalMilliseconds = answer[.total]?.tokenCount.map { Double($0) / 1e6 }
    if durations != ServerDurations() { observation.serverDurations = durations }
  }
}
