// One series of OpenTelemetry's GenAI metrics: its labels and its counters.
import Measurement
import Metrics
import TokenWire

/// What tells one series of OpenTelemetry's GenAI metrics from another.
struct Operation: Hashable, Sendable {
  var dialect: String
  /// As asked; nil where the request named none.
  var model: String?
  /// As answered; nil where the response named none, and for what ended in an error.
  var responseModel: String?
  /// The outcome, where it is not `ok`.
  var error: Outcome?

  /// Stands for every model beyond those that have series of their own.
  static let otherModel = "other"

  /// `gen_ai.provider.name`: whose API it is, which is all that a proxy can know.
  var provider: String { Dialects.named(dialect)?.provider ?? "unknown" }

  /// `gen_ai.operation.name`.
  var name: String { Dialects.named(dialect)?.operation ?? "unknown" }
}

/// One series, counted by one worker.
final class OperationCounters: Sendable {
  /// OpenTelemetry's bounds for durations, doubled on to three quarters of an hour.
  private static let durations = Buckets(seconds: (0..<19).map { 0.01 * Double(1 << $0) })
  /// OpenTelemetry's for the first token, with those that vLLM adds for the slowest.
  private static let firstTokens = Buckets(seconds: [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
  ])
  /// For tokens and gaps: OpenTelemetry's first bound, 10 ms, is too coarse (MLPerf's interactive limit is 15 ms).
  /// Documentation.docc/Metrics.md, "Aggregates".
  private static let tokens = Buckets(seconds: [
    0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.0125, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3,
    0.4, 0.5, 0.75, 1, 2.5, 5, 10, 20, 40, 80,
  ])

  let operation: Operation
  /// `total_ms`, of every exchange whose request was complete.
  let duration = BucketCounter(durations)
  /// `ttft_ms`, of those that ended well, as all that follows but the tokens (Documentation.docc/Metrics.md,
  /// "Outcomes").
  let timeToFirstToken = BucketCounter(firstTokens)
  /// `tpot_ms`.
  let timePerOutputToken = BucketCounter(tokens)
  /// The gaps of `gaps_ms`.
  let gaps = BucketCounter(tokens)
  /// Requests that were not read to their end.
  let unread = CounterFamily<RequestObstacle>()
  let inputTokens = Counter()
  let outputTokens = Counter()

  init(_ operation: Operation) { self.operation = operation }

  /// Counts an exchange; on its worker's thread. Inlined, as a record that is lent to a function would be copied first.
  @inline(__always)
  func count(_ record: borrowing ExchangeRecord, _ meter: inout ExchangeMeter, unread obstacle: RequestObstacle?) {
    if let obstacle { unread.add(obstacle) }
    if let total = record.totalMilliseconds { duration.add(Self.nanoseconds(total)) }
    if let tokens = record.inputTokens { inputTokens.add(tokens) }
    if let tokens = record.outputTokens { outputTokens.add(tokens) }
    guard operation.error == nil else { return }
    if let first = record.ttftMilliseconds { timeToFirstToken.add(Self.nanoseconds(first)) }
    if let perToken = record.tpotMilliseconds { timePerOutputToken.add(Self.nanoseconds(perToken)) }
    meter.countGaps(in: gaps)
  }

  /// Adds what another series of the same worker has counted, which has ended.
  func add(_ other: OperationCounters) {
    duration.add(other.duration.counts)
    timeToFirstToken.add(other.timeToFirstToken.counts)
    timePerOutputToken.add(other.timePerOutputToken.counts)
    gaps.add(other.gaps.counts)
    inputTokens.add(Int(truncatingIfNeeded: other.inputTokens.count))
    outputTokens.add(Int(truncatingIfNeeded: other.outputTokens.count))
    for reason in RequestObstacle.allCases { unread.add(reason, Int(truncatingIfNeeded: other.unread.count(reason))) }
  }

  /// The record's milliseconds came of whole nanoseconds: rounding finds those again (by hand: `rounded()` calls the C library).
  private static func nanoseconds(_ milliseconds: Double) -> Int64 {
    let nanoseconds = milliseconds * 1e6 + 0.5
    return nanoseconds.magnitude < 9e18 ? Int64(nanoseconds) : .max
  }
}
