// Token times by model, summed up from the very records that the log gets, so that metrics and log agree.
// It must not hold user, session, client or anything else of a record that is not a label here.
import Measurement
import Metrics
import Synchronization

/// What tells one series of OpenTelemetry's GenAI metrics from another.
struct Operation: Hashable, Sendable {
  var dialect: String
  /// As asked; nil where the request named none.
  var model: String?
  /// As answered; nil where the response named none, and for what ended in an error.
  var responseModel: String?
  /// How it ended, where that was not well.
  var error: Outcome?

  /// Stands for every model beyond those that have series of their own.
  static let otherModel = "other"

  /// `gen_ai.provider.name`: whose format it is, which is all that a proxy can know.
  var provider: String { String(dialect.prefix { $0 != "." }) }

  /// `gen_ai.operation.name`.
  var name: String {
    switch dialect.drop(while: { $0 != "." }).dropFirst() {
    case "chat", "responses", "messages": "chat"
    default: "text_completion"
    }
  }
}

/// One series, counted by one worker.
final class OperationCounters: Sendable {
  /// OpenTelemetry's bounds for durations, doubled on to three quarters of an hour.
  private static let durations = Buckets(seconds: (0..<19).map { 0.01 * Double(1 << $0) })
  /// OpenTelemetry's for the first token, with those that vLLM adds for the slowest.
  private static let firstTokens = Buckets(seconds: [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
  ])
  /// metrics.md's for tokens and gaps: OpenTelemetry's first bound, 10 ms, is too coarse (MLPerf's interactive limit is 15).
  private static let tokens = Buckets(seconds: [
    0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.0125, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3,
    0.4, 0.5, 0.75, 1, 2.5, 5, 10, 20, 40, 80,
  ])

  let operation: Operation
  /// `total_ms`, of every exchange whose request was complete.
  let duration = BucketCounter(durations)
  /// `ttft_ms`, of those that ended well (metrics.md, "Outcomes"), as all that follows but the tokens.
  let timeToFirstToken = BucketCounter(firstTokens)
  /// `tpot_ms`.
  let timePerOutputToken = BucketCounter(tokens)
  /// The gaps of `gaps_ms`.
  let gaps = BucketCounter(tokens)
  let inputTokens = Counter()
  let outputTokens = Counter()

  init(_ operation: Operation) { self.operation = operation }

  /// Counts an exchange; on its worker's thread. Inlined, as a record that is lent to a function would be copied first.
  @inline(__always)
  func count(_ record: borrowing ExchangeRecord, _ meter: inout ExchangeMeter) {
    if let total = record.totalMilliseconds { duration.add(Self.nanoseconds(total)) }
    if let tokens = record.inputTokens { inputTokens.add(tokens) }
    if let tokens = record.outputTokens { outputTokens.add(tokens) }
    guard operation.error == nil else { return }
    if let first = record.ttftMilliseconds { timeToFirstToken.add(Self.nanoseconds(first)) }
    if let perToken = record.tpotMilliseconds { timePerOutputToken.add(Self.nanoseconds(perToken)) }
    meter.countGaps(in: gaps)
  }

  /// The record's milliseconds came of whole nanoseconds: rounding finds those again (by hand: `rounded()` calls the C library).
  private static func nanoseconds(_ milliseconds: Double) -> Int64 {
    let nanoseconds = milliseconds * 1e6 + 0.5
    return nanoseconds.magnitude < 9e18 ? Int64(nanoseconds) : .max
  }
}

/// Which models have series of their own, for all workers; and every worker's series, for whoever shows them.
///
/// A model gets its own once an answer for it went well: what clients ask for could be anything. The first `limit`
/// of them do, and the rest are `other`, so that a page of metrics stays as small as it began.
final class ModelRegistry: Sendable {
  private struct Pair: Hashable {
    var model: String?
    var responseModel: String?
  }

  private struct State {
    var pairs: Set<Pair> = []
    var models: Set<String?> = []
    var counters: [OperationCounters] = []
  }

  private let limit: Int
  private let state = Mutex(State())

  init(limit: Int) { self.limit = limit }

  /// Every series of every worker.
  var all: [OperationCounters] { state.withLock { $0.counters } }

  /// A worker has begun a series.
  func add(_ counters: OperationCounters) { state.withLock { $0.counters.append(counters) } }

  /// The labels that `operation` is shown under.
  func labels(of operation: Operation) -> Operation {
    let hasOwn = state.withLock { state in
      // Only a good answer speaks for a model; what failed is shown beside it.
      guard operation.error == nil else { return state.models.contains(operation.model) }
      let pair = Pair(model: operation.model, responseModel: operation.responseModel)
      if state.pairs.contains(pair) { return true }
      guard state.pairs.count < limit else { return false }
      state.pairs.insert(pair)
      state.models.insert(operation.model)
      return true
    }
    guard !hasOwn else { return operation }
    var shown = operation
    shown.model = operation.model.map { _ in Operation.otherModel }
    shown.responseModel = operation.responseModel.map { _ in Operation.otherModel }
    return shown
  }
}

/// One worker's series. Confined to its thread.
final class ModelMetrics {
  private let registry: ModelRegistry
  private var known: [Operation: OperationCounters] = [:]
  /// The series counted last: mostly the next one, too.
  private var last: OperationCounters?

  init(registry: ModelRegistry) { self.registry = registry }

  /// Counts an exchange; nothing of one that no dialect claims.
  @inline(__always)
  func count(_ record: borrowing ExchangeRecord, _ meter: inout ExchangeMeter) {
    let isWell = record.outcome == .ok
    // Looked at where it lies: most exchanges are of the same kind as the one before.
    if let last, last.operation.model == record.model, record.dialect == last.operation.dialect,
      isWell ? last.operation.responseModel == record.responseModel : last.operation.responseModel == nil,
      last.operation.error == (isWell ? nil : record.outcome)
    {
      return last.count(record, &meter)
    }
    guard let dialect = record.dialect else { return }
    let operation = Operation(
      dialect: dialect, model: record.model, responseModel: isWell ? record.responseModel : nil,
      error: isWell ? nil : record.outcome)
    let counters = counters(for: operation)
    last = counters
    counters.count(record, &meter)
  }

  private func counters(for operation: Operation) -> OperationCounters {
    if let counters = known[operation] { return counters }
    let shown = registry.labels(of: operation)
    if let counters = known[shown] { return counters }
    let counters = OperationCounters(shown)
    known[shown] = counters
    registry.add(counters)
    return counters
  }
}
