// The token counts that a server states, by source, and which of them is used
// (Documentation.docc/Metrics.md, "Counting tokens").
import TokenWire

/// The counts of one exchange, each kept apart from the others until the end.
struct TokenLedger: Sendable {
  /// Tokens by ids and logprobs; nil once an event named none.
  @PackedInt private var ids: Int? = 0
  /// A usage of the whole exchange: each field as it was last stated.
  private(set) var whole = MergedUsage()
  /// The last usage that spoke of one choice (its counts of the prompt hold for the exchange).
  private(set) var ofChoice = MergedUsage()
  /// The server's other reports: each field as it was last stated.
  private(set) var server = MergedUsage()
  /// None or one. An array, because nearly every exchange has none until its end and the ledger is to be small.
  private var durations: [ServerDurations] = []
  /// Usages of one choice seen.
  private var choiceUsages = 0
  /// The last usage of one choice came with its finish reason, or after: nothing is to follow it.
  private var choiceUsageIsFinal = false

  /// Adds what one event states. A usage of one choice also goes to `gaps`, which has the choices.
  mutating func add(_ observation: borrowing Observation, choices gaps: inout GapMeter) {
    if let usage = observation.usage {
      if let choice = observation.usageChoice {
        ofChoice.merge(usage)
        choiceUsages &+= 1
        choiceUsageIsFinal = observation.finishReason != nil
        if let output = usage.output { gaps.register(choice: choice, statedTokens: output) }
      } else {
        whole.merge(usage)
      }
    }
    if let counts = observation.serverCounts { server.merge(counts) }
    if let stated = observation.serverDurations { durations = [stated] }
  }

  /// Adds the tokens that one token-bearing output names (`token_ids`, logprobs); nil where it names none.
  mutating func addIDs(_ tokens: Int?) {
    guard let sum = ids, let tokens else {
      ids = nil
      return
    }
    ids = sum &+ tokens
  }

  /// The number of tokens generated and where it comes from.
  /// - Parameter partial: counts of a part of the exchange must not be used (measuring had stopped).
  func output(events: Int, choices: ChoiceTable, isStream: Bool, partial: Bool) -> (tokens: Int, from: TokenSource)? {
    // A count of 0 beside token-bearing events is no count.
    func plausible(_ count: Int?) -> Int? {
      guard let count, count > 0 || (count == 0 && events == 0) else { return nil }
      return count
    }
    if let count = plausible(whole.output) { return (count, .usage) }
    if partial { return nil }
    let stated = plausible(choices.statedTokens)
    if choiceUsageIsFinal {
      if choices.count == 1, let stated { return (stated, .usage) }
      // One usage in all, on the last finish: it speaks of the exchange, whatever choice it was found beside.
      if choiceUsages == 1, let count = plausible(ofChoice.output) { return (count, .usage) }
    }
    if let count = plausible(server.output) { return (count, .server) }
    if let stated { return (stated, .continuous) }
    guard isStream, events > 0 else { return nil }
    if let count = plausible(ids) { return (count, .ids) }
    return (events, .events)
  }

  /// The server's own durations, as last stated.
  var serverDurations: ServerDurations? { durations.first }
  /// Prompt tokens, cached ones included.
  var input: Int? { whole.input ?? ofChoice.input ?? server.input }
  /// Prompt tokens from a cache.
  var cached: Int? { whole.cached ?? ofChoice.cached ?? server.cached }
  /// Reasoning tokens; a usage of one choice counts only where there is one choice.
  func reasoning(choices: Int) -> Int? {
    whole.reasoning ?? (choices <= 1 ? ofChoice.reasoning : nil) ?? server.reasoning
  }
}
