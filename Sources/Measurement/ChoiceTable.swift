// The state of each choice of an exchange: when its last token came, and how many tokens it is stated to have.
// It must not grow without bound: a server's `index` cannot be trusted (some count tokens with it).
import Clocks

/// One choice (`index`) of an answer.
struct ChoiceState: Sendable {
  var index: Int
  /// When its last token-bearing event came; nil before the first.
  @PackedInstant var lastAt: Instant? = nil
  /// When its tokens were last accounted for in `itl_ms`: `lastAt`, or earlier where an event brought no new token.
  @PackedInstant var countedAt: Instant? = nil
  /// The cumulative count at its last token-bearing event: 0 before the first, nil where that event stated none.
  @PackedInt var countedTokens: Int? = 0
  /// The last cumulative count that a usage stated for this choice.
  @PackedInt var statedTokens: Int? = nil
  /// The same by the server's other reports.
  @PackedInt var serverTokens: Int? = nil
  /// What a usage without choices stated when this choice was the only one that had finished since the last such usage.
  @PackedInt var tailTokens: Int? = nil
  /// Tokens that its events named without showing them, since its last token-bearing event.
  var silentTokens = 0
  var hasFinished = false
  /// `statedTokens` came with the choice's finish, or behind it.
  var isStatedAtEnd = false

  init(index: Int) { self.index = index }
}

/// The choices of one exchange, the first one inline: nearly every exchange has one.
struct ChoiceTable: Sendable {
  /// Choices told apart: as many as an API lets a client ask for (OpenAI: `n` ≤ 128).
  static let limit = 128

  /// Distinct choices seen, at most `limit`.
  private(set) var count = 0
  /// More than `limit` choices came: what is measured per choice is unknown.
  private(set) var overflowed = false
  private var first = ChoiceState(index: 0)
  private var more: [ChoiceState] = []

  /// Whether no other choice than `index` has been seen.
  func isOnly(_ index: Int) -> Bool { count == 0 || count == 1 && first.index == index }

  /// Calls `body` with the state of choice `index`, a new one where it has none; nil past the limit.
  mutating func withChoice<Result>(_ index: Int, _ body: (inout ChoiceState) -> Result) -> Result? {
    if count == 0 {
      first.index = index
      count = 1
    }
    if first.index == index { return body(&first) }
    if let place = more.firstIndex(where: { $0.index == index }) { return body(&more[place]) }
    guard count < Self.limit else {
      overflowed = true
      return nil
    }
    count += 1
    more.append(ChoiceState(index: index))
    return body(&more[more.count - 1])
  }

  /// Calls `body` with the state of each choice.
  mutating func forEach(_ body: (inout ChoiceState) -> Void) {
    if count > 0 { body(&first) }
    for place in more.indices { body(&more[place]) }
  }

  /// The sum of a count of each choice; nil unless every choice has one.
  func sum(_ count: (ChoiceState) -> Int?) -> Int? {
    guard self.count > 0, !overflowed else { return nil }
    return more.reduce(count(first)) { sum, choice in
      guard let sum, let count = count(choice) else { return nil }
      return sum &+ count
    }
  }

  /// The choices that `isSo` holds of.
  func count(where isSo: (ChoiceState) -> Bool) -> Int {
    count == 0 ? 0 : more.reduce(isSo(first) ? 1 : 0) { $0 + (isSo($1) ? 1 : 0) }
  }

  /// The state of choice `index`, where it has one.
  subscript(_ index: Int) -> ChoiceState? {
    if count > 0, first.index == index { return first }
    return more.first { $0.index == index }
  }
}
