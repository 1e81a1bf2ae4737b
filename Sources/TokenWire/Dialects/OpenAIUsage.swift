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
    // Mistral's.
    case numCached = "num_cached_tokens"
    case inputDetail = "prompt_token_details"
    case outputDetail = "completion_token_details"
    // The names of the Responses API, in chat too (mlx-vlm).
    case newInput = "input_tokens"
    case newOutput = "output_tokens"
    case newInputDetails = "input_tokens_details"
    case newOutputDetails = "output_tokens_details"
    /// Groq's, in seconds, with others beside it.
    case completionTime = "completion_time"
    static let table = JSONKeys<UsageKey>()
  }

  private enum DetailKey: String, JSONKey {
    case cached = "cached_tokens"
    case cacheWrite = "cache_write_tokens"
    case reasoning = "reasoning_tokens"
    // Of predicted outputs.
    case accepted = "accepted_prediction_tokens"
    case rejected = "rejected_prediction_tokens"
    static let table = JSONKeys<DetailKey>()
  }

  /// Reads a `usage` object.
  init(usage value: JSONValue) {
    let usage = JSONObject<UsageKey>(value)
    let counts = Self.counts(usage)
    self.counts = counts == TokenUsage() ? nil : counts
    if let details = usage.present(.outputDetails) { durations = Self.predictions(JSONObject<DetailKey>(details)) }
    guard let decode = usage[.completionTime]?.double else { return }
    var durations = durations ?? ServerDurations()
    durations.decodeMilliseconds = decode * 1000
    durations.queueMilliseconds = value["queue_time"]?.double.map { $0 * 1000 }
    durations.prefillMilliseconds = value["prompt_time"]?.double.map { $0 * 1000 }
    durations.totalMilliseconds = value["total_time"]?.double.map { $0 * 1000 }
    self.durations = durations
  }

  /// What a prediction that the client sent was good for: as a draft that is checked. Most answers have none, stated as 0.
  private static func predictions(_ details: JSONObject<DetailKey>) -> ServerDurations? {
    guard let accepted = details[.accepted]?.tokenCount, let rejected = details[.rejected]?.tokenCount,
      accepted + rejected > 0
    else { return nil }
    var durations = ServerDurations()
    durations.acceptedTokens = accepted
    durations.draftTokens = accepted + rejected
    return durations
  }

  private static func counts(_ usage: JSONObject<UsageKey>) -> TokenUsage {
    let inputDetails = (usage.present(.inputDetails) ?? usage.present(.inputDetail) ?? usage[.newInputDetails])
      .map { JSONObject<DetailKey>($0) }
    let outputDetails = (usage.present(.outputDetails) ?? usage.present(.outputDetail) ?? usage[.newOutputDetails])
      .map { JSONObject<DetailKey>($0) }
    var counts = TokenUsage()
    counts.input = usage[.input]?.tokenCount ?? usage[.newInput]?.tokenCount
    counts.output = usage[.output]?.tokenCount ?? usage[.newOutput]?.tokenCount
    counts.cached =
      inputDetails?[.cached]?.tokenCount ?? usage[.cacheHit]?.tokenCount ?? usage[.cached]?.tokenCount
      ?? usage[.numCached]?.tokenCount
    counts.cacheWrite = inputDetails?[.cacheWrite]?.tokenCount
    counts.reasoning = outputDetails?[.reasoning]?.tokenCount ?? usage[.reasoning]?.tokenCount
    // Some leave reasoning out of `completion_tokens` (xAI): there is more of it, or their own total says so.
    if let output = counts.output, let reasoning = counts.reasoning, reasoning > 0,
      reasoning > output || usage[.total]?.tokenCount == (counts.input ?? 0) + output + reasoning
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
    case drafted = "draft_n"
    case accepted = "draft_n_accepted"
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
    durations.draftTokens = timings[.drafted]?.tokenCount
    durations.acceptedTokens = timings[.accepted]?.tokenCount
    if durations != ServerDurations() { self.durations = durations }
  }

  private enum MetricKey: String, JSONKey {
    case queue = "queue_time_ms"
    case generation = "generation_time_ms"
    case ttft = "time_to_first_token_ms"
    case itl = "mean_itl_ms"
    case speculation = "speculative_decoding"
    static let table = JSONKeys<MetricKey>()
  }

  private enum SpeculationKey: String, JSONKey {
    case length = "mean_acceptance_length"
    case rate = "draft_acceptance_rate"
    case drafted = "num_draft_tokens"
    case accepted = "num_accepted_draft_tokens"
    static let table = JSONKeys<SpeculationKey>()
  }

  /// Reads vLLM's `metrics`, which its flag `--enable-per-request-metrics` adds to answers.
  init(metrics value: JSONValue) {
    let metrics = JSONObject<MetricKey>(value)
    var durations = ServerDurations()
    durations.queueMilliseconds = metrics[.queue]?.double
    durations.decodeMilliseconds = metrics[.generation]?.double
    durations.ttftMilliseconds = metrics[.ttft]?.double
    durations.itlMilliseconds = metrics[.itl]?.double
    if let value = metrics.present(.speculation) {
      let speculation = JSONObject<SpeculationKey>(value)
      durations.acceptanceLength = speculation[.length]?.double
      durations.acceptanceRate = speculation[.rate]?.double
      durations.draftTokens = speculation[.drafted]?.tokenCount
      durations.acceptedTokens = speculation[.accepted]?.tokenCount
    }
    if durations != ServerDurations() { self.durations = durations }
  }
}
