// Token counts and durations of OpenAI-shaped answers: `usage` under every name that servers give its members, and
// llama.cpp's `timings`.
import JSON

/// What one `usage` or `timings` object says.
struct OpenAIUsage {
  var counts: TokenUsage?
  var durations: ServerDurations?
}

extension OpenAIUsage {
  private enum UsageKey: String, JSONKey {
    case input = "prompt_tokens"
    case output = "completion_tokens"
    case total = "total_tokens"
    case inputDetails = "prompt_tokens_details"
    case outputDetails = "completion_tokens_details"
    // DeepSeek's own name; Moonshot's and SGLang's at the top.
    case cacheHit = "prompt_cache_hit_tokens"
    case cached = "cached_tokens"
    case reasoning = "reasoning_tokens"
    // Groq's, in seconds.
    case queueTime = "queue_time"
    case promptTime = "prompt_time"
    case completionTime = "completion_time"
    case totalTime = "total_time"
    static let table = JSONKeys<UsageKey>()
  }

  private enum DetailKey: String, JSONKey {
    case cached = "cached_tokens"
    case reasoning = "reasoning_tokens"
    static let table = JSONKeys<DetailKey>()
  }

  /// Reads a `usage` object.
  init(usage value: JSONValue) {
    let usage = JSONObject<UsageKey>(value)
    let counts = Self.counts(usage)
    self.counts = counts == TokenUsage() ? nil : counts
    guard let decode = usage[.completionTime]?.double else { return }
    var durations = ServerDurations()
    durations.decodeMilliseconds = decode * 1000
    durations.queueMilliseconds = usage[.queueTime]?.double.map { $0 * 1000 }
    durations.prefillMilliseconds = usage[.promptTime]?.double.map { $0 * 1000 }
    durations.totalMilliseconds = usage[.totalTime]?.double.map { $0 * 1000 }
    self.durations = durations
  }

  private static func counts(_ usage: JSONObject<UsageKey>) -> TokenUsage {
    let inputDetails = JSONObject<DetailKey>(usage[.inputDetails])
    let outputDetails = JSONObject<DetailKey>(usage[.outputDetails])
    var counts = TokenUsage()
    counts.input = usage[.input]?.tokenCount
    counts.output = usage[.output]?.tokenCount
    counts.cached =
      inputDetails[.cached]?.tokenCount ?? usage[.cacheHit]?.tokenCount ?? usage[.cached]?.tokenCount
    counts.reasoning = outputDetails[.reasoning]?.tokenCount ?? usage[.reasoning]?.tokenCount
    // xAI leaves reasoning out of `completion_tokens`; its own total says so.
    if let input = counts.input, let output = counts.output, let reasoning = counts.reasoning, reasoning > 0,
      let total = usage[.total]?.tokenCount, total - input - output == reasoning
    {
      counts.output = output + reasoning
    }
    return counts
  }
}

extension OpenAIUsage {
  private enum TimingKey: String, JSONKey {
    case processed = "prompt_n"
    case cached = "cache_n"
    case generated = "predicted_n"
    case promptMilliseconds = "prompt_ms"
    case generatedMilliseconds = "predicted_ms"
    static let table = JSONKeys<TimingKey>()
  }

  /// Reads llama.cpp's `timings`: `prompt_n` counts what was processed, so the cached part (`cache_n`) comes on top.
  init(timings value: JSONValue) {
    let timings = JSONObject<TimingKey>(value)
    var counts = TokenUsage()
    counts.output = timings[.generated]?.tokenCount
    counts.cached = timings[.cached]?.tokenCount
    if let processed = timings[.processed]?.tokenCount, let cached = counts.cached {
      counts.input = processed + cached
    }
    if counts != TokenUsage() { self.counts = counts }

    var durations = ServerDurations()
    durations.prefillMilliseconds = timings[.promptMilliseconds]?.double
    durations.decodeMilliseconds = timings[.generatedMilliseconds]?.double
    if durations != ServerDurations() { self.durations = durations }
  }
}
