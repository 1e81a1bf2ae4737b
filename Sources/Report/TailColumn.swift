// The columns of a tail: what each shows of an exchange, how wide it is, and which a narrow terminal leaves out.
import Measurement

/// One column of a tail with its width.
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
  /// The columns that a narrow terminal leaves out, in this order.
  static let removalOrder: [Self] = [.tokensPerSecond, .gaps, .time, .tokens, .tpot, .user]

  /// The columns that grow in a wide terminal, in this order.
  static let growthOrder: [Self] = [.user, .model, .time, .outcome]

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

  /// The least width.
  var width: Int {
    switch self {
    case .time: 8
    case .user: 8
    case .model: 12
    case .outcome: 16
    case .ttft: 8
    case .tpot: 7
    case .tokens: 7
    case .tokensPerSecond: 7
    case .gaps: 5
    }
  }

  /// The greatest width.
  var maximumWidth: Int {
    switch self {
    case .time: 12
    case .user: 20
    case .model: 28
    case .outcome: 26
    case .ttft, .tpot, .tokens, .tokensPerSecond, .gaps: width
    }
  }

  var alignRight: Bool {
    switch self {
    case .ttft, .tpot, .tokens, .tokensPerSecond: true
    case .time, .user, .model, .outcome, .gaps: false
    }
  }

  /// The cell's text, not yet made harmless. `columns` is its width: some cells have a shorter form.
  func text(_ record: ExchangeRecord, time: String, columns: Int) -> String {
    switch self {
    case .time: String(time.prefix(columns < 12 ? 8 : 12))
    case .user: record.user ?? NumberText.unknown
    case .model: Self.model(record)
    case .outcome: Self.outcome(record, columns: columns)
    case .ttft: Self.ttft(record)
    case .tpot: NumberText.short(record.tpotMilliseconds)
    case .tokens: Self.tokens(record)
    case .tokensPerSecond: NumberText.short(record.tokensPerSecond)
    case .gaps: ""
    }
  }

  /// An exchange that was passed through unmeasured has no model: its method and path stand there. For one that was
  /// rejected before its request was understood it is the reason.
  private static func model(_ record: ExchangeRecord) -> String {
    if let model = record.model ?? record.responseModel { return model }
    guard record.dialect == nil, let path = record.path else {
      guard record.outcome == .rejected, let error = record.error else { return NumberText.unknown }
      return ExchangeFailure(recorded: error)?.detail ?? error
    }
    return record.method.map { "\($0) \(path)" } ?? path
  }

  /// In a narrow column a status stands without its outcome's name, an outcome without its stage.
  private static func outcome(_ record: ExchangeRecord, columns: Int) -> String {
    let outcome = record.outcome.rawValue
    let isStatus = record.outcome == .upstreamStatus
    guard let detail = isStatus ? record.status.map({ "\($0)" }) : record.stage?.rawValue else { return outcome }
    let text = "\(outcome) \(detail)"
    return text.utf8.count <= columns ? text : isStatus ? "status \(detail)" : outcome
  }

  /// A censored wait means that the TTFT would have been longer. A response without a token, such as an error, had no
  /// TTFT to wait for.
  private static func ttft(_ record: ExchangeRecord) -> String {
    if let ttft = record.ttftMilliseconds { return NumberText.short(ttft) }
    guard let waited = record.waitedMilliseconds, record.outcome.censorsWait else { return NumberText.unknown }
    return ">" + NumberText.short(waited)
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
    case .upstreamStatus, .streamError, .truncated, .upstreamUnreachable, .upstreamReset, .upstreamInvalid, .timeout,
      .rejected, .interrupted:
      .red
    }
  }
}
