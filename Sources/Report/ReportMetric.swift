// The distributions of a report: their names, units and the exchanges that feed them.

/// One distribution of a report. Values are kept as whole numbers, `unitsPerValue` of them to the unit shown.
public enum ReportMetric: Int, CaseIterable, Sendable {
  case ttft
  case censoredWait
  case tpot
  case tokensPerSecond
  case ttlt
  case gapP50
  case gapP99
  case gapMax
  case everyGap
  case timeToGiveUp
  case betweenTurns
  case toolWait
  case firstVisible

  /// Whole numbers kept to one unit shown: microseconds for milliseconds, thousandths for tokens a second.
  static let unitsPerValue = 1000.0

  /// The key in the JSON report.
  public var key: String {
    switch self {
    case .ttft: "ttft_ms"
    case .censoredWait: "waits_cut_short_ms"
    case .tpot: "tpot_ms"
    case .tokensPerSecond: "tps"
    case .ttlt: "ttlt_ms"
    case .gapP50: "gap_p50_of_each_exchange_ms"
    case .gapP99: "gap_p99_of_each_exchange_ms"
    case .gapMax: "gap_max_of_each_exchange_ms"
    case .everyGap: "gaps_from_timelines_ms"
    case .timeToGiveUp: "time_to_give_up_ms"
    case .betweenTurns: "between_turns_ms"
    case .toolWait: "tool_wait_ms"
    case .firstVisible: "first_visible_ms"
    }
  }

  /// The heading in the text report, with its unit.
  public var title: String {
    switch self {
    case .ttft: "TTFT, ms"
    case .censoredWait: "WAITS CUT SHORT, ms"
    case .tpot: "TPOT, ms"
    case .tokensPerSecond: "TOK/S PER USER"
    case .ttlt: "TTLT, ms"
    case .gapP50: "EACH EXCHANGE'S MEDIAN GAP, ms"
    case .gapP99: "EACH EXCHANGE'S P99 GAP, ms"
    case .gapMax: "EACH EXCHANGE'S LONGEST GAP, ms"
    case .everyGap: "EVERY GAP (TIMELINES), ms"
    case .timeToGiveUp: "TIME TO GIVE UP, ms"
    case .betweenTurns: "BETWEEN TURNS, ms"
    case .toolWait: "TOOL WAIT, ms"
    case .firstVisible: "FIRST VISIBLE TOKEN, ms"
    }
  }

  /// What the number is, for a footnote.
  public var explanation: String {
    switch self {
    case .ttft: "time to first token: complete request to first token-bearing event; exchanges that ended ok"
    case .censoredWait:
      "how long exchanges had waited for a first token when the client left or a timeout ended them: their "
        + "TTFT would have been longer, so read this beside TTFT"
    case .tpot: "time per output token: (last token - first token) / (output tokens - 1); ok, one choice"
    case .tokensPerSecond: "1000 / TPOT: the speed that one user saw while it streamed; p99 and max are the fastest"
    case .ttlt: "time to last token, from the complete request; ok"
    case .gapP50, .gapP99, .gapMax:
      "a record keeps only the percentiles of its own gaps, and percentiles cannot be averaged: "
        + "this is how that one number varies over the exchanges"
    case .everyGap: "all gaps between token-bearing events of the ok exchanges that carry a timeline and one choice"
    case .timeToGiveUp: "from the complete request to the client's leaving, before its first token or behind it"
    case .betweenTurns: "from the end of a session's exchanges so far to its next request"
    case .toolWait: "the same, behind an answer that called tools: how long the tools took"
    case .firstVisible:
      "from a request that brings no tool's result to the first token that a person can read, over all tool calls between"
    }
  }
}
