// The token counts that a server states, by source, and which of them is used
// (Documentation.docc/Metrics.md, "Counting tokens").
import TokenWire

/// The counts of one exchange, each kept apart from the others until the end.
///
/// A count speaks of the exchange or of one choice, and servers do not say which. What is summed and what is not follows from
/// where the counts stand: `scope(of:)`.
struct TokenLedger: Sendable {
  /// Tokens by ids and logprobs, so far.
  private var ids = 0
  /// A token-bearing event named no ids: their sum is less than all.
  private var lacksIDs = false
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
  /// Every choice so far had finished when the last usage of one choice came.
  private var choiceUsageIsLast = false
  /// The choice that finished last, and how many have since the last count without choices.
  private var lastFinished = 0
  private var finishes = 0

  /// Adds what one event states. What it states of a choice goes to `gaps`, which has the choices.
  mutating func add(_ observation: borrowing Observation, choices gaps: inout GapMeter) {
    guard observation.hasCounts else { return noteFinishes(observation, &gaps) }
    if observation.usage == nil, observation.serverCounts == nil {
      noteFinishes(observation, &gaps)
    } else {
      let scope = scope(of: observation, gaps.choices)
      noteFinishes(observation, &gaps)
      add(observation, scope, &gaps)
    }
    if let stated = observation.serverDurations { add(stated) }
  }

  /// Adds what the server says of its own work: each part as last stated.
  mutating func add(_ stated: ServerDurations) {
    if durations.isEmpty { durations = [stated] } else { durations[0].merge(stated) }
  }

  private mutating func noteFinishes(_ observation: borrowing Observation, _ gaps: inout GapMeter) {
    for choice in observation.finishedChoices {
      gaps.withChoice(choice) { $0.hasFinished = true }
      lastFinished = choice
      finishes &+= 1
    }
  }

  /// What an event's counts speak of.
  private enum Scope {
    case exchange
    case choice(Int)
    /// One choice, where every choice has such a count; else the exchange.
    case tail(of: Int)
  }

  private func scope(of observation: borrowing Observation, _ choices: ChoiceTable) -> Scope {
    guard let choice = observation.countedChoice else {
      // llama.cpp ends each choice with an event of counts that has no choice.
      return finishes == 1 ? .tail(of: lastFinished) : .exchange
    }
    guard observation.outputs.isEmpty, observation.finishedChoices.isEmpty, let state = choices[choice],
      state.hasFinished, choices.count(where: { !$0.hasFinished }) == 0
    else { return .choice(choice) }
    // Behind the last finish: the end of a list of counts, one a choice, or a count of everything that still has a choice.
    let isOneOfMany = state.statedTokens == nil && choices.count(where: { $0.statedTokens != nil }) > 0
    return isOneOfMany ? .choice(choice) : .exchange
  }

  private mutating func add(_ observation: borrowing Observation, _ scope: Scope, _ gaps: inout GapMeter) {
    if let counts = observation.serverCounts { server.merge(counts) }
    let (stated, counted) = (observation.usage?.output, observation.serverCounts?.output)
    switch scope {
    case .exchange:
      if let usage = observation.usage { whole.merge(usage) }
      gaps.forEachChoice { $0.tailTokens = nil }
    case .tail(let choice):
      if let usage = observation.usage { whole.merge(usage) }
      gaps.withChoice(choice) { state in
        state.tailTokens = stated ?? state.tailTokens
        state.serverTokens = counted ?? state.serverTokens
      }
    case .choice(let choice):
      let isFinished = gaps.choices[choice]?.hasFinished ?? false
      if let usage = observation.usage {
        ofChoice.merge(usage)
        choiceUsages &+= 1
        choiceUsageIsLast = isFinished && gaps.choices.count(where: { !$0.hasFinished }) == 0
      }
      gaps.withChoice(choice) { state in
        if let stated {
          state.statedTokens = stated
          state.isStatedAtEnd = isFinished
        }
        state.serverTokens = counted ?? state.serverTokens
      }
    }
    if observation.countedChoice == nil { finishes = 0 }
  }

  /// Adds the tokens that one token-bearing output names (`token_ids`, logprobs); nil where it names none.
  mutating func addIDs(_ tokens: Int?) {
    if let tokens { ids &+= tokens } else { lacksIDs = true }
  }

  /// Adds the tokens that an event names without showing them.
  mutating func addSilentIDs(_ tokens: Int) { ids &+= tokens }

  /// The number of tokens generated and where it comes from.
  /// - Parameters:
  ///   - partial: counts of a part of the exchange must not be used (measuring had stopped).
  ///   - echoes: ids and logprobs count the prompt too.
  func output(
    events: Int, choices: ChoiceTable, isStream: Bool, partial: Bool, echoes: Bool
  ) -> (tokens: Int, from: TokenSource)? {
    let least = echoes ? 0 : ids
    // A count of 0 beside token-bearing events is no count, nor is one below what was seen.
    func plausible(_ count: Int?) -> Int? {
      guard let count, count >= least, count > 0 || events == 0 else { return nil }
      return count
    }
    if let count = plausible(usageOutput(choices)) { return (count, .usage) }
    if partial { return nil }
    let stated = plausible(choices.sum { $0.statedTokens })
    if let stated, choices.count(where: { !$0.isStatedAtEnd }) == 0 { return (stated, .usage) }
    // One usage in all, on the last finish: it speaks of the exchange, whatever choice it was found beside.
    if choiceUsages == 1, choiceUsageIsLast, let count = plausible(ofChoice.output) { return (count, .usage) }
    if let count = plausible(serverOutput(choices)) { return (count, .server) }
    if let stated { return (stated, .continuous) }
    guard isStream, events > 0 || least > 0 else { return nil }
    if !lacksIDs, !echoes, ids > 0 { return (ids, .ids) }
    return events > 0 ? (events, .events) : nil
  }

  /// What usages of the whole exchange say, or the sum of those that came behind each choice.
  private func usageOutput(_ choices: ChoiceTable) -> Int? {
    if choices.count > 1 {
      if let sum = choices.sum({ $0.tailTokens }) { return sum }
      // Of some choices only.
      if choices.count(where: { $0.tailTokens != nil }) > 0 { return nil }
    }
    return whole.output
  }

  private func serverOutput(_ choices: ChoiceTable) -> Int? {
    guard choices.count > 1, choices.count(where: { $0.serverTokens != nil }) > 0 else { return server.output }
    return choices.sum { $0.serverTokens }
  }

  /// The server's own durations, as last stated.
  var serverDurations: ServerDurations? { durations.first }
  /// Prompt tokens, cached ones included.
  var input: Int? { whole.input ?? ofChoice.input ?? server.input }
  /// Prompt tokens from a cache.
  var cached: Int? { whole.cached ?? ofChoice.cached ?? server.cached }
  /// Prompt tokens that were written to a cache.
  var cacheWrite: Int? { whole.cacheWrite ?? ofChoice.cacheWrite ?? server.cacheWrite }
  /// Reasoning tokens; a usage of one choice counts only where there is one choice.
  func reasoning(choices: Int) -> Int? {
    whole.reasoning ?? (choices <= 1 ? ofChoice.reasoning : nil) ?? server.reasoning
  }
}
