// The gaps between the token-bearing events of each choice, plain (`gaps_ms`) and token-weighted (`itl_ms`).
import Clocks
import TokenWire

/// Gaps and token-weighted gaps of one stream.
struct GapMeter: Sendable {
  /// Gaps stored exactly (2 KiB); more are counted in a histogram.
  static let exactGaps = 512

  /// What is known of the tokens in each event so far.
  private enum Weights: Sendable {
    /// Every event held one token: the weighted gaps are the plain ones, and not stored twice.
    case allOnes
    /// The weighted gaps are in `weighted`.
    case known
    /// An event did not say how many tokens it held: `itl_ms` is not known.
    case unknown
  }

  /// The server's cumulative count at the last token-bearing event; nil where that event stated none.
  @PackedInt private var serverCounted: Int? = 0
  private var weights = Weights.allOnes
  /// When the last event of an unknown dialect came.
  @PackedInstant private var eventAt: Instant? = nil
  private(set) var choices = ChoiceTable()
  private(set) var gaps = SampleStore(exactLimit: exactGaps)
  /// None or one. An array, because most streams have none and the meter is to be small.
  private var weighted: [SampleStore] = []

  /// Whether the gaps are those between events that have no known tokens.
  var areOfEvents: Bool { eventAt != nil }

  /// Whether the token-weighted gaps are the plain ones.
  var areWeightsOnes: Bool { weights == .allOnes && !choices.overflowed }

  /// The token-weighted gaps; nil where they are not known.
  var weightedGaps: SampleStore? {
    if choices.overflowed { return nil }
    switch weights {
    case .allOnes: return gaps
    case .known: return weighted.first
    case .unknown: return nil
    }
  }

  /// Registers a choice that an event has without output.
  mutating func register(choice index: Int, silentTokens: Int = 0) {
    _ = choices.withChoice(index) { $0.silentTokens &+= silentTokens }
  }

  /// Adds an event of a stream whose dialect is not known: its gaps are those between events.
  mutating func addEvent(at: Instant) {
    if let last = eventAt { gaps.add(max(at.nanoseconds(since: last), 0)) }
    eventAt = at
    dropWeights()
  }

  /// The dialect is known after all: the gaps are those between tokens, from now on.
  mutating func forgetEvents() {
    guard eventAt != nil else { return }
    eventAt = nil
    gaps = SampleStore(exactLimit: Self.exactGaps)
    weights = .allOnes
  }

  /// Changes the state of a choice.
  mutating func withChoice(_ index: Int, _ body: (inout ChoiceState) -> Void) { _ = choices.withChoice(index, body) }

  /// Changes the state of every choice.
  mutating func forEachChoice(_ body: (inout ChoiceState) -> Void) { choices.forEach(body) }

  /// Adds one choice's output of an event that was completed at `at`.
  ///
  /// Its tokens are the growth of the cumulative count since this choice's last token-bearing event (a parser may have
  /// swallowed tokens in between; SGLang's benchmark counts so), else what the event says of itself.
  /// - Parameters:
  ///   - usageCount: this choice's cumulative count, where this event states it.
  ///   - serverCount: the exchange's cumulative count, where this event states it.
  /// - Returns: the tokens of this output; nil where unknown.
  mutating func add(_ output: ChoiceOutput, at: Instant, usageCount: Int?, serverCount: Int?) -> Int? {
    let byServer = Self.growth(to: serverCount, from: serverCounted)
    serverCounted = serverCount
    let only = choices.isOnly(output.choice)
    let step = choices.withChoice(output.choice) { choice in
      let tokens =
        Self.growth(to: usageCount, from: choice.countedTokens) ?? (only ? byServer : nil)
        ?? output.tokens.map { $0 &+ choice.silentTokens }
      choice.countedTokens = usageCount
      choice.silentTokens = 0
      let gap = choice.lastAt.map { max(at.nanoseconds(since: $0), 0) }
      let uncounted = choice.countedAt.map { max(at.nanoseconds(since: $0), 0) }
      choice.lastAt = at
      if gap == nil || tokens != 0 { choice.countedAt = at }
      return Step(tokens: tokens, gap: gap, uncounted: uncounted)
    }
    guard let step else {
      dropWeights()
      return output.tokens
    }
    addWeighted(step)
    if let gap = step.gap { gaps.add(gap) }
    return step.tokens
  }

  private struct Step {
    var tokens: Int?
    var gap: Int64?
    /// From the last event that brought a new token.
    var uncounted: Int64?
  }

  private mutating func addWeighted(_ step: Step) {
    guard weights != .unknown else { return }
    guard let tokens = step.tokens else { return dropWeights() }
    guard let gap = step.gap, let uncounted = step.uncounted else { return }
    if weights == .allOnes {
      if tokens == 1, gap == uncounted { return }
      weighted = [gaps]
      weights = .known
    }
    if tokens > 0 { weighted[0].add(uncounted / Int64(tokens), times: tokens) }
  }

  private mutating func dropWeights() {
    weights = .unknown
    weighted = []
  }

  private static func growth(to count: Int?, from counted: Int?) -> Int? {
    guard let count, let counted, counted >= 0, count >= counted else { return nil }
    return count - counted
  }
}
