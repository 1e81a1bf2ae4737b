// A tally turned into the numbers that a report shows: rates, percentiles, the order of groups. Nothing is rounded here.
import Measurement

/// A distribution in five numbers, in the unit of its metric.
public struct Percentiles: Hashable, Sendable {
  /// Values in it.
  public var count: Int
  /// The median.
  public var p50: Double
  /// The 90th percentile.
  public var p90: Double
  /// The 99th percentile.
  public var p99: Double
  /// The largest value, to the microsecond.
  public var max: Double

  /// Whether fewer than 5 / (1 - p) values make a percentile: fewer than five of them lie above it, and the next few may move it.
  public static func isThin(_ percentile: Int, of count: Int) -> Bool { count * (100 - percentile) < 500 }

  /// The percentiles that so few values make that they are but a hint.
  public var thin: [Int] { [50, 90, 99].filter { Self.isThin($0, of: count) } }

  init?(_ distribution: Distribution) {
    guard let p50 = distribution.value(atPercentile: 50), let p90 = distribution.value(atPercentile: 90),
      let p99 = distribution.value(atPercentile: 99)
    else { return nil }
    let unit = ReportMetric.unitsPerValue
    count = distribution.count
    self.p50 = Double(p50) / unit
    self.p90 = Double(p90) / unit
    self.p99 = Double(p99) / unit
    max = Double(distribution.maximum) / unit
  }
}

/// One group's numbers. A nil is "not known".
public struct ReportGroup: Sendable {
  /// Which exchanges a group holds.
  public enum Name: Hashable, Sendable {
    /// Every exchange.
    case all
    /// Those whose key has this value; nil is a key that is null.
    case key(String?)
    /// Groups too small to be shown: how many keys (at least so many where `hasUncountedKeys`).
    case other(keys: Int, hasUncountedKeys: Bool)
  }

  /// What the group holds.
  public let name: Name
  /// Exchanges.
  public let requests: Int
  /// Exchanges by outcome, those that happened only, in the order of
  /// Documentation.docc/Metrics.md, "Outcomes".
  public let outcomes: [(outcome: Outcome, count: Int)]
  /// The sum over the exchanges where it is known; nil where it never is.
  public let inputTokens: Int?
  /// The sum over the exchanges where it is known; nil where it never is.
  public let outputTokens: Int?
  /// Exchanges whose input tokens are known.
  public let withInputTokens: Int
  /// Exchanges whose output tokens are known.
  public let withOutputTokens: Int
  /// Of those, the ones whose count is a lower bound.
  public let lowerBounds: Int
  /// `ok` exchanges with a slow client.
  public let stalled: Int
  /// `ok` exchanges with a timeline.
  public let withTimeline: Int
  /// Over the whole report's span of time, so that the groups' rates add up.
  public let requestsPerSecond: Double?
  /// Over the whole report's span of time, so that the groups' rates add up.
  public let outputTokensPerSecond: Double?
  /// A front end's own calls: counted, and not in the distributions unless it was asked for.
  public let tasks: Int
  /// Answers that had begun and were not whole, by the server's or the proxy's doing.
  public let cutOff: Int
  /// Exchanges that the client left.
  public let gaveUp: Int
  /// Those of them that had no token yet.
  public let gaveUpWaiting: Int
  /// Seconds that all exchanges together waited for their first token, in vain or not.
  public let waitedSeconds: Double
  /// Tokens made for clients that had left; nil where no exchange says so.
  public let undeliveredTokens: Int?
  /// Exchanges that say so.
  public let withUndeliveredTokens: Int
  /// `ok` exchanges whose own P99 is of fewer than 500 gaps.
  public let thinGapP99: Int
  /// `ok` exchanges whose own P50 is of fewer than 10 gaps.
  public let thinGapP50: Int
  /// Within the objective that was asked for; nil without one.
  public let goodput: Attainment?
  /// With no token late, by the objective under which each was recorded; nil where none says so.
  public let onTime: Attainment?
  /// Turns of sessions.
  public let turns: Int
  /// Requests of a session that began before its earlier ones had ended.
  public let overlappingTurns: Int
  private let percentiles: [Percentiles?]

  /// The distribution of `metric`; nil where nothing fed it.
  public subscript(metric: ReportMetric) -> Percentiles? { percentiles[metric.rawValue] }

  init(_ name: Name, _ tally: GroupTally, spanSeconds: Double?) {
    self.name = name
    requests = tally.requests
    outcomes = zip(Outcome.allCases, tally.outcomes).filter { $0.1 > 0 }.map { ($0.0, $0.1) }
    inputTokens = tally.withInputTokens > 0 ? tally.inputTokens : nil
    outputTokens = tally.withOutputTokens > 0 ? tally.outputTokens : nil
    withInputTokens = tally.withInputTokens
    withOutputTokens = tally.withOutputTokens
    lowerBounds = tally.lowerBounds
    stalled = tally.stalled
    withTimeline = tally.withTimeline
    tasks = tally.tasks
    cutOff = tally.cutOff
    gaveUp = tally.gaveUp
    gaveUpWaiting = tally.gaveUpWaiting
    waitedSeconds = Double(tally.waitedMicroseconds) / 1e6
    undeliveredTokens = tally.withUndeliveredTokens > 0 ? tally.undeliveredTokens : nil
    withUndeliveredTokens = tally.withUndeliveredTokens
    thinGapP99 = tally.thinGapP99
    thinGapP50 = tally.thinGapP50
    let goodput = Attainment(tally.goodput)
    self.goodput = goodput.judged + goodput.unknown > 0 ? goodput : nil
    onTime = tally.onTime.judged > 0 ? Attainment(tally.onTime) : nil
    turns = tally.turns
    overlappingTurns = tally.overlappingTurns
    requestsPerSecond = spanSeconds.map { Double(tally.requests) / $0 }
    outputTokensPerSecond = spanSeconds.flatMap { span in
      tally.withOutputTokens > 0 ? Double(tally.outputTokens) / span : nil
    }
    percentiles = ReportMetric.allCases.map { Percentiles(tally[$0]) }
  }
}

/// Exchanges that had about as many in flight beside them.
public struct InFlightRow: Sendable {
  /// In flight when dispatched, itself included.
  public let inFlight: ClosedRange<Int>
  /// Those that ended ok.
  public let exchanges: Int
  /// Milliseconds.
  public let ttft: Percentiles?
  /// Milliseconds.
  public let tpot: Percentiles?
  /// Of each user's stream.
  public let tokensPerSecond: Percentiles?
  /// All streams together; see `InFlightTally.estimatedTokensPerSecond`.
  public let estimatedTokensPerSecond: Double?
}

/// A report, ready to be shown.
public struct ReportSummary: Sendable {
  /// The key that makes the groups.
  public let grouping: ReportGrouping
  /// The time asked for.
  public let window: TimeWindow
  /// The conditions asked for, as they were written.
  public let conditions: [String]
  /// What was read.
  public let reading: ReadingTally
  /// First start to last end of the exchanges counted, nanoseconds since 1970; nil where there are none.
  public let span: ClosedRange<Int64>?
  /// Every exchange in the window.
  public let all: ReportGroup
  /// Most requests first.
  public let groups: [ReportGroup]
  /// All groups that are not among `groups`.
  public let other: ReportGroup?
  /// By exchanges in flight, rising; only numbers that occurred.
  public let inFlight: [InFlightRow]

  /// What was asked for besides.
  public let options: ReportOptions
  /// First tokens by the length of the input, most exchanges first; empty unless asked for.
  public let inputs: [InputReport]
  /// Exchanges of models that are not among `inputs`, as there were too many.
  public let inputsLeftOut: Int

  /// The length of `span`; nil where it has none.
  public var spanSeconds: Double? { Self.seconds(span) }

  /// - Parameter top: groups shown one by one; the others are shown together.
  public init(_ tally: ReportTally, top: Int) {
    grouping = tally.grouping
    window = tally.window
    conditions = tally.conditions.map(\.text)
    reading = tally.reading
    span = tally.firstStart.flatMap { start in tally.lastEnd.map { start...max(start, $0) } }
    let seconds = Self.seconds(span)
    options = tally.options
    inputs = tally.inputs.named.map { InputReport($0.model, $0.tally) }.sorted { a, b in
      a.exchanges != b.exchanges ? a.exchanges > b.exchanges : (a.model ?? "") < (b.model ?? "")
    }
    inputsLeftOut = tally.inputs.leftOut
    let ordered = Self.ordered(tally.groups)
    var whole = tally.all
    for group in ordered { whole.addTurns(of: group.tally) }
    whole.addTurns(of: tally.groups.folded)
    all = ReportGroup(.all, whole, spanSeconds: seconds)
    groups = ordered.prefix(top).map { ReportGroup(.key($0.key), $0.tally, spanSeconds: seconds) }
    var other = tally.groups.folded
    let hidden = ordered.dropFirst(top)
    for group in hidden { other.merge(group.tally) }
    let name = ReportGroup.Name.other(
      keys: tally.groups.foldedKeys + hidden.count, hasUncountedKeys: tally.groups.hasUncountedKeys)
    self.other = other.requests > 0 ? ReportGroup(name, other, spanSeconds: seconds) : nil
    inFlight = tally.inFlight.buckets.enumerated().filter { $0.element.exchanges > 0 }.map { bucket, tally in
      InFlightRow(
        inFlight: InFlightCurve.range(of: bucket), exchanges: tally.exchanges, ttft: Percentiles(tally.ttft),
        tpot: Percentiles(tally.tpot), tokensPerSecond: Percentiles(tally.tokensPerSecond),
        estimatedTokensPerSecond: tally.estimatedTokensPerSecond)
    }
  }

  private static func seconds(_ span: ClosedRange<Int64>?) -> Double? {
    guard let span, span.upperBound > span.lowerBound else { return nil }
    return Double(span.upperBound &- span.lowerBound) / 1e9
  }

  private static func ordered(_ table: GroupTable) -> [(key: String?, tally: GroupTally)] {
    var groups: [(key: String?, tally: GroupTally)] = table.named.map {
      var tally = $0.tally
      tally.measureTurns()
      return ($0.key, tally)
    }
    if table.keyless.requests > 0 { groups.append((nil, table.keyless)) }
    return groups.sorted { a, b in
      a.tally.requests != b.tally.requests ? a.tally.requests > b.tally.requests : (a.key ?? "") < (b.key ?? "")
    }
  }
}
