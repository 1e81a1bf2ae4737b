// What a report keeps of one group: counts, sums and distributions, all of which can be merged.
import Measurement

/// One group's sums. Two of them merge into what one would be that had both their rows.
struct GroupTally: Sendable {
  private(set) var requests = 0
  /// Exchanges by outcome, in the order of `Outcome.allCases`.
  private(set) var outcomes = [Int](repeating: 0, count: Outcome.allCases.count)
  private(set) var inputTokens = 0
  private(set) var outputTokens = 0
  /// Exchanges whose input and output tokens are known.
  private(set) var withInputTokens = 0
  private(set) var withOutputTokens = 0
  /// Of those, the ones whose output was counted by events: lower bounds.
  private(set) var lowerBounds = 0
  /// `ok` exchanges whose stamps a slow client delayed.
  private(set) var stalled = 0
  /// `ok` exchanges whose timeline fed `everyGap`.
  private(set) var withTimeline = 0
  private var distributions = [Distribution](repeating: Distribution(), count: ReportMetric.allCases.count)

  /// Bytes on the heap.
  var footprintBytes: Int {
    distributions.reduce(distributions.count * MemoryLayout<Distribution>.stride) { $0 + $1.footprintBytes }
  }

  subscript(metric: ReportMetric) -> Distribution { distributions[metric.rawValue] }

  mutating func add(_ row: ReportRow) {
    requests += 1
    outcomes[row.outcome.index] += 1
    if let tokens = row.inputTokens {
      inputTokens &+= tokens
      withInputTokens += 1
    }
    if let tokens = row.outputTokens {
      outputTokens &+= tokens
      withOutputTokens += 1
      if row.isLowerBound { lowerBounds += 1 }
    }
    switch row.outcome {
    case .ok: addTimes(row)
    case let outcome where outcome.censorsWait: record(.censoredWait, row.waited)
    default: break
    }
  }

  /// Only `ok` feeds the distributions (Documentation.docc/Metrics.md, "Outcomes").
  private mutating func addTimes(_ row: ReportRow) {
    record(.ttft, row.ttft)
    record(.tpot, row.tpot)
    record(.tokensPerSecond, row.tokensPerSecond)
    record(.ttlt, row.ttlt)
    record(.gapP50, row.gapP50)
    record(.gapP99, row.gapP99)
    record(.gapMax, row.gapMax)
    if row.wasStalled { stalled += 1 }
    guard !row.timelineGaps.isEmpty else { return }
    withTimeline += 1
    for gap in row.timelineGaps { record(.everyGap, gap) }
  }

  private mutating func record(_ metric: ReportMetric, _ value: UInt64?) {
    if let value { distributions[metric.rawValue].record(value) }
  }

  mutating func merge(_ other: GroupTally) {
    requests += other.requests
    for index in outcomes.indices { outcomes[index] += other.outcomes[index] }
    inputTokens &+= other.inputTokens
    outputTokens &+= other.outputTokens
    withInputTokens += other.withInputTokens
    withOutputTokens += other.withOutputTokens
    lowerBounds += other.lowerBounds
    stalled += other.stalled
    withTimeline += other.withTimeline
    for index in distributions.indices { distributions[index].merge(other.distributions[index]) }
  }
}

extension Outcome {
  /// Whether a wait that ended so is censored: the client or a timeout ended it, so the first token would have come later.
  var censorsWait: Bool { self == .clientCancelled || self == .timeout }

  /// This outcome's index in `allCases`.
  fileprivate var index: Int {
    switch self {
    case .ok: 0
    case .upstreamStatus: 1
    case .streamError: 2
    case .truncated: 3
    case .clientCancelled: 4
    case .upstreamUnreachable: 5
    case .upstreamReset: 6
    case .upstreamInvalid: 7
    case .timeout: 8
    case .rejected: 9
    case .tunnelled: 10
    case .interrupted: 11
    }
  }
}
