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
  /// A front end's own calls, which are not in the distributions.
  private(set) var tasks = 0
  /// Answers that had begun and were not whole, by the server's or the proxy's doing.
  private(set) var cutOff = 0
  /// Exchanges that the client left, and those of them without a token.
  private(set) var gaveUp = 0
  private(set) var gaveUpWaiting = 0
  /// Microseconds until the first token, or until the end where none came, over all exchanges that say so.
  private(set) var waitedMicroseconds: UInt64 = 0
  /// Tokens made for clients that had left, and exchanges that say so.
  private(set) var undeliveredTokens = 0
  private(set) var withUndeliveredTokens = 0
  /// `ok` exchanges whose own P99 and P50 are of too few gaps.
  private(set) var thinGapP99 = 0
  private(set) var thinGapP50 = 0
  /// By the objective that was asked for, and by each token's deadline.
  private(set) var goodput = ComplianceTally()
  private(set) var onTime = ComplianceTally()
  /// Turns of sessions that are in the distributions, and requests that overlapped an earlier turn.
  private(set) var turns = 0
  private(set) var overlappingTurns = 0
  /// The session's turns, as long as all of the group is one session's.
  private var sessionTurns = SessionTurns()
  private var distributions = [Distribution](repeating: Distribution(), count: ReportMetric.allCases.count)

  /// Bytes on the heap.
  var footprintBytes: Int {
    distributions.reduce(distributions.count * MemoryLayout<Distribution>.stride + sessionTurns.footprintBytes) {
      $0 + $1.footprintBytes
    }
  }

  subscript(metric: ReportMetric) -> Distribution { distributions[metric.rawValue] }

  /// - Parameter keepsTurns: whether the group is one session.
  mutating func add(_ row: ReportRow, keepsTurns: Bool = false) {
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
    if let tokens = row.undeliveredTokens {
      undeliveredTokens &+= tokens
      withUndeliveredTokens += 1
    }
    guard !row.isLeftOut else { return tasks += 1 }
    if keepsTurns { sessionTurns.add(row) }
    addService(row)
    switch row.outcome {
    case .ok: addTimes(row)
    case let outcome where outcome.censorsWait: record(.censoredWait, row.waited)
    default: break
    }
  }

  /// What the exchange was like for who sent it.
  private mutating func addService(_ row: ReportRow) {
    waitedMicroseconds &+= row.ttft ?? row.waited ?? 0
    if let compliance = row.compliance { goodput.add(compliance) }
    onTime.add(row.deadlineCompliance)
    switch row.outcome {
    case .truncated, .streamError: cutOff += 1
    case .timeout where row.wasStreaming, .interrupted where row.wasStreaming: cutOff += 1
    case .clientCancelled:
      gaveUp += 1
      if !row.wasStreaming { gaveUpWaiting += 1 }
      record(.timeToGiveUp, row.totalMicroseconds ?? row.waited)
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
    if row.gapP50 != nil, let gaps = row.gapCount {
      if Percentiles.isThin(99, of: gaps) { thinGapP99 += 1 }
      if Percentiles.isThin(50, of: gaps) { thinGapP50 += 1 }
    }
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
    tasks += other.tasks
    cutOff += other.cutOff
    gaveUp += other.gaveUp
    gaveUpWaiting += other.gaveUpWaiting
    waitedMicroseconds &+= other.waitedMicroseconds
    undeliveredTokens &+= other.undeliveredTokens
    withUndeliveredTokens += other.withUndeliveredTokens
    thinGapP99 += other.thinGapP99
    thinGapP50 += other.thinGapP50
    goodput.merge(other.goodput)
    onTime.merge(other.onTime)
    turns += other.turns
    overlappingTurns += other.overlappingTurns
    sessionTurns.merge(other.sessionTurns)
    for index in distributions.indices { distributions[index].merge(other.distributions[index]) }
  }
}

// Sessions
extension GroupTally {
  /// The distributions that turns feed.
  private static let turnMetrics: [ReportMetric] = [.betweenTurns, .toolWait, .firstVisible]

  /// Measures the session's turns, which are then forgotten.
  mutating func measureTurns() {
    let kept = sessionTurns
    sessionTurns = SessionTurns()
    turns += kept.turns.count
    overlappingTurns += kept.measure { record($0, $1) }
  }

  /// Adds a group that is another session.
  mutating func fold(_ other: GroupTally) {
    var other = other
    other.measureTurns()
    merge(other)
  }

  /// Adds only what was measured of another group's turns.
  mutating func addTurns(of other: GroupTally) {
    turns += other.turns
    overlappingTurns += other.overlappingTurns
    for metric in Self.turnMetrics { distributions[metric.rawValue].merge(other[metric]) }
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
