// The gaps between the token-bearing events of each choice, plain (`gaps_ms`) and token-weighted (`itl_ms`).
// It must not know where the events came from.
import Clocks
import TokenWire

/// Gaps and token-weighted gaps of one stream.
struct GapMeter: Sendable {
  /// Gaps kept exactly (2 KiB); more are folded into a histogram.
  static let exactGaps = 512

  /// What is known of the tokens in each event so far.
  private enum Weights: Sendable {
    /// Every event held one token: the weighted gaps are the plain ones, and not stored twice.
    case allOnes
    case weighted(SampleStore)
    /// An event did not say how many tokens it held: `itl_ms` is not known.
    case unknown
  }

  private(set) var choices = ChoiceTable()
  private(set) var gaps = SampleStore(exactLimit: exactGaps)
  private var weights = Weights.allOnes
  /// The server's cumulative count at the last token-bearing event; nil where that event stated none.
  @CompactInt private var serverCounted: Int? = 0

  /// Whether the token-weighted gaps are the plain ones.
  var areWeightsOnes: Bool { if case .allOnes = weights { !choices.overflowed } else { false } }

  /// The token-weighted gaps; nil where they are not known.
  var weightedGaps: SampleStore? {
    if choices.overflowed { return nil }
    switch weights {
    case .allOnes: return gaps
    case .weighted(let store): return store
    case .unknown: return nil
    }
  }

  /// Notes a choice, and the cumulative count that a usage states for it.
  mutating func see(choice index: Int, statedTokens: Int? = nil) {
    _ = choices.withChoice(index) { choice in
      choice.statedTokens = statedTokens ?? choice.statedTokens
    }
  }

  /// Takes one choice's output of an event that was completed at `at`.
  ///
  /// Its tokens are the growth of the cumulative count since this choice's last token-bearing event (a parser may have
  /// swallowed tokens in between; SGLang's benchmark counts so), else what the event says of itself.
  /// - Parameters:
  ///   - usageCount: this choice's cumulative count, where this event states it.
  ///   - serverCount: the exchange's cumulative count, where this event states it.
  /// - Returns: the tokens of this output; nil where unknown.
  mutating func take(_ output: ChoiceOutput, at: Instant, usageCount: Int?, serverCount: Int?) -> Int? {
    let byServer = Self.growth(to: serverCount, from: serverCounted)
    serverCounted = serverCount
    let only = choices.isOnly(output.choice)
    let step = choices.withChoice(output.choice) { choice in
      let tokens =
        Self.growth(to: usageCount, from: choice.countedTokens) ?? (only ? byServer : nil) ?? output.tokens
      choice.countedTokens = usageCount
      let gap = choice.lastAt.map { max(at.nanoseconds(since: $0), 0) }
      let uncounted = choice.countedAt.map { max(at.nanoseconds(since: $0), 0) }
      choice.lastAt = at
      if gap == nil || tokens != 0 { choice.countedAt = at }
      return Step(tokens: tokens, gap: gap, uncounted: uncounted)
    }
    guard let step else {
      weights = .unknown
      return output.tokens
    }
    weigh(step)
    if let gap = step.gap { gaps.add(gap) }
    return step.tokens
  }

  private struct Step {
    var tokens: Int?
    var gap: Int64?
    /// From the last event that brought a new token.
    var uncounted: Int64?
  }

  private mutating func weigh(_ step: Step) {
    if case .unknown = weights { return }
    guard let tokens = step.tokens else {
      weights = .unknown
      return
    }
    guard let gap = step.gap, let uncounted = step.uncounted else { return }
    switch weights {
    case .unknown: return
    case .allOnes:
      if tokens == 1, gap == uncounted { return }
      var store = gaps
      if tokens > 0 { store.add(uncounted / Int64(tokens), times: tokens) }
      weights = .weighted(store)
    case .weighted(var store):
      guard tokens > 0 else { return }
      // Taken out first: a store with two owners would be copied for each event.
      weights = .unknown
      store.add(uncounted / Int64(tokens), times: tokens)
      weights = .weighted(store)
    }
  }

  private static func growth(to count: Int?, from counted: Int?) -> Int? {
    guard let count, let counted, counted >= 0, count >= counted else { return nil }
    return count - counted
  }
}
