// What chat and legacy completions share: usage, timings, errors, the outermost object of an event and of a body.
// It must not know where either keeps its text.
import JSON

/// One of OpenAI's streaming endpoints: `data:` events up to `[DONE]`.
protocol OpenAIDialect: Dialect {}

extension OpenAIDialect {
  static var framing: Framing { .serverSentEvents }
  static var terminator: StaticString? { "[DONE]" }
  static var volatileKeys: [StaticString] { ["id", "created", "obfuscation"] }
  static var usageKeys: [StaticString] { OpenAIShape.usageKeys }

  static func readCounts(_ key: Int, _ value: JSONValue, into observation: inout Observation) {
    OpenAIShape.readCounts(key, value, into: &observation)
  }
}

/// Reading the parts that all OpenAI-shaped answers have in common.
enum OpenAIShape {
  /// Reads everything of an event or a body that stands outside `choices[]`.
  static func readEnvelope(_ root: JSONValue, into observation: inout Observation) {
    observation.responseModel = root["model"]?.name
    observation.errorKind = root.errorKind
    // Groq has a usage of its own beside a missing one.
    if let usage = root.present("usage") ?? root["x_groq"]?.present("usage") { readUsage(usage, into: &observation) }
    if let timings = root.present("timings") { readTimings(timings, into: &observation) }
  }

  /// The keys that `readCounts` reads, in `readEnvelope`'s order.
  static var usageKeys: [StaticString] { ["usage", "timings"] }

  /// Reads what stands under one of `usageKeys`.
  static func readCounts(_ key: Int, _ value: JSONValue, into observation: inout Observation) {
    if key == 0 { readUsage(value, into: &observation) } else { readTimings(value, into: &observation) }
  }

  private static func readUsage(_ value: JSONValue, into observation: inout Observation) {
    let usage = SparseMembers(value)
    let counts = tokenUsage(usage)
    observation.usage = counts == TokenUsage() ? nil : counts
    readGroqTimes(usage, into: &observation)
  }

  /// Token counts under all the names that OpenAI-shaped servers give them.
  private static func tokenUsage(_ usage: SparseMembers) -> TokenUsage {
    var counts = TokenUsage()
    counts.input = usage["prompt_tokens"]?.tokenCount
    counts.output = usage["completion_tokens"]?.tokenCount
    // DeepSeek has its own name beside OpenAI's; Moonshot puts `cached_tokens` at the top.
    counts.cached =
      usage["prompt_tokens_details"]?["cached_tokens"]?.tokenCount ?? usage["prompt_cache_hit_tokens"]?.tokenCount
      ?? usage["cached_tokens"]?.tokenCount
    // SGLang has `reasoning_tokens` at the top.
    counts.reasoning =
      usage["completion_tokens_details"]?["reasoning_tokens"]?.tokenCount ?? usage["reasoning_tokens"]?.tokenCount
    // xAI leaves reasoning out of `completion_tokens`; its own total says so.
    if let input = counts.input, let output = counts.output, let reasoning = counts.reasoning, reasoning > 0,
      let total = usage["total_tokens"]?.tokenCount, total - input - output == reasoning
    {
      counts.output = output + reasoning
    }
    return counts
  }

  /// Groq's `queue_time`, `prompt_time`, `completion_time` and `total_time` inside usage, in seconds.
  private static func readGroqTimes(_ usage: SparseMembers, into observation: inout Observation) {
    guard let decode = usage["completion_time"]?.double else { return }
    var durations = ServerDurations()
    durations.decodeMilliseconds = decode * 1000
    durations.queueMilliseconds = usage["queue_time"]?.double.map { $0 * 1000 }
    durations.prefillMilliseconds = usage["prompt_time"]?.double.map { $0 * 1000 }
    durations.totalMilliseconds = usage["total_time"]?.double.map { $0 * 1000 }
    observation.serverDurations = durations
  }

  /// llama.cpp's `timings`: `prompt_n` counts what was processed, so the cached part (`cache_n`) comes on top.
  private static func readTimings(_ value: JSONValue, into observation: inout Observation) {
    let timings = SparseMembers(value)
    var counts = TokenUsage()
    counts.output = timings["predicted_n"]?.tokenCount
    counts.cached = timings["cache_n"]?.tokenCount
    if let processed = timings["prompt_n"]?.tokenCount, let cached = counts.cached {
      counts.input = processed + cached
    }
    if counts != TokenUsage() { observation.serverCounts = counts }

    var durations = ServerDurations()
    durations.prefillMilliseconds = timings["prompt_ms"]?.double
    durations.decodeMilliseconds = timings["predicted_ms"]?.double
    if durations.prefillMilliseconds != nil || durations.decodeMilliseconds != nil {
      observation.serverDurations = durations
    }
  }

  /// Whether an event may speak for the model: one without a name, or one with the name that stands for none.
  ///
  /// SGLang sends `event: sglext_ids` among a chat's events; its payload is no chunk.
  static func speaks(_ name: RawSpan) -> Bool { name.isEmpty || name.equals("message") || name.equals("error") }

  /// A choice's number; 0 where it has none.
  static func index(_ choice: JSONValue) -> Int { choice["index"]?.tokenCount ?? 0 }

  /// Tokens that a choice says it carries: vLLM's `token_ids`, LMDeploy's `output_ids`, else logprobs' lengths.
  static func tokens(_ choice: JSONValue) -> Int? {
    if let count = length(choice["token_ids"]) ?? length(choice["output_ids"]) { return count }
    guard let logprobs = choice.present("logprobs") else { return nil }
    if let count = length(logprobs["tokens"]) { return count }
    // Chat has these two; legacy completions has `tokens`.
    let count = (length(logprobs["content"]) ?? 0) + (length(logprobs["refusal"]) ?? 0)
    return count > 0 ? count : nil
  }

  /// The length of an array that is not empty.
  private static func length(_ list: JSONValue?) -> Int? {
    guard let list, list.isArray, let count = list.count, count > 0 else { return nil }
    return count
  }

  /// Reads each choice, notes those without output and, where there is exactly one, lets it own the event's usage
  /// (continuous usage is a count of its choice).
  static func forEachChoice(
    _ root: JSONValue, into observation: inout Observation, _ read: (JSONValue, inout Observation) -> Void
  ) {
    guard let choices = root["choices"], choices.isArray else { return }
    var seen = 0
    var first = 0
    choices.forEachElement { choice in
      if seen == 0 { first = index(choice) }
      seen += 1
      if let reason = choice.present("finish_reason")?.name { observation.finishReason = reason }
      let outputs = observation.outputs.count
      read(choice, &observation)
      if observation.outputs.count == outputs { observation.silentChoices.append(index(choice)) }
    }
    if seen == 1, observation.usage != nil { observation.usageChoice = first }
  }
}
