// The columns of a tail: what each says of an exchange, how wide it is, and which go first in a narrow terminal.
// It must not put columns together.
import Measure

/// One column of a tail, as wide as it was laid out.
struct TailColumn: Sendable {
  /// What a column shows, in the order from left to right.
  enum Kind: CaseIterable, Sendable {
    case time
    case user
    case model
    case outcome
    case ttft
    case tpot
    case tokens
    case tokensPerSecond
    case gaps
  }

  let kind: Kind
  var width: Int
}

extension TailColumn.Kind {
  /// The columns a narrow terminal goes without, in turn.
  static let leastFirst: [Self] = [.tokensPerSecond, .gaps, .time, .tokens, .tpot, .user]

  var title: String {
    switch self {
    case .time: "TIME"
    case .user: "USER"
    case .model: "MODEL"
    case .outcome: "OUTCOME"
    case .ttft: "TTFT ms"
    case .tpot: "TPOT ms"
    case .tokens: "TOKENS"
    case .tokensPerSecond: "TOK/S"
    case .gaps: "GAPS"
    }
  }

  /// Columns at least.
  var width: Int {
    switch self {
    case .time: 12
    case .user: 10
    case .model: 14
    case .outcome: 10
    case .ttft: 8
    case .tpot: 7
    case .tokens: 7
    case .tokensPerSecond: 7
    case .gaps: 4
    }
  }

  /// Columns at most, where there is room.
  var mostWidth: Int {
    switch self {
    case .user: 20
    case .model: 28
    case .outcome: 24
    case .time, .ttft, .tpot, .tokens, .tokensPerSecond, .gaps: width
    }
  }

  var alignRight: Bool {
    switch self {
    case .ttft, .tpot, .tokens, .tokensPerSecond: true
    case .time, .user, .model, .outcome, .gaps: false
    }
  }

  /// The cell's text, not yet made harmless.
  func text(_ record: ExchangeRecord, time: String) -> String {
    switch self {
    case .time: time
    case .user: record.user ?? NumberText.unknown
    case .model: Self.model(record)
    case .outcome: Self.outcome(record)
    case .ttft: Self.ttft(record)
    case .tpot: NumberText.short(record.tpotMilliseconds)
    case .tokens: Self.tokens(record)
    case .tokensPerSecond: NumberText.short(record.tokensPerSecond)
    case .gaps: ""
    }
  }

  /// An exchange that was passed through unmeasured has no model: its request says what it was.
  private static func model(_ record: ExchangeRecord) -> String {
    if let model = record.model ?? record.responseModel { return model }
    guard record.dialect == nil, let path = record.path else { return NumberText.unknown }
    return record.method.map { "\($0) \(path)" } ?? path
  }

  private static func outcome(_ record: ExchangeRecord) -> String {
    let detail = record.outcome == .upstreamStatus ? record.status.map { "\($0)" } : record.stage?.rawValue
    return detail.map { "\(record.outcome.rawValue) \($0)" } ?? record.outcome.rawValue
  }

  /// A wait that ended without a token says that a TTFT would have been longer, which is all that is known.
  private static func ttft(_ record: ExchangeRecord) -> String {
    if let ttft = record.ttftMilliseconds { return NumberText.short(ttft) }
    return record.waitedMilliseconds.map { ">" + NumberText.short($0) } ?? NumberText.unknown
  }

  /// A count by events is a lower bound.
  private static func tokens(_ record: ExchangeRecord) -> String {
    guard let tokens = record.outputTokens else { return NumberText.unknown }
    return (record.tokensFrom == .events ? "≥" : "") + NumberText.whole(tokens)
  }

  func colour(_ record: ExchangeRecord) -> TailColour {
    switch self {
    case .time: .dim
    case .user: .cyan
    case .model: record.dialect == nil ? .dim : .blue
    case .outcome: Self.colour(record.outcome)
    case .ttft, .tpot, .tokens, .tokensPerSecond, .gaps: .plain
    }
  }

  private static func colour(_ outcome: Outcome) -> TailColour {
    switch outcome {
    case .ok: .green
    case .clientCancelled, .tunnelled: .yellow
    case .upstreamStatus, .streamError, .truncated, .upstreamUnreachable, .upstreamReset, .timeout, .rejected: .red
    }
  }
}
