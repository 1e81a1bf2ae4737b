// Token times by model, counted from the records themselves, so that metrics and log agree.
// It must keep nothing of a record that is not a label: no user, session or client.
import Measurement
import Metrics

/// One worker's series. Confined to its thread.
final class ModelMetrics {
  private let registry: ModelRegistry
  private var known: [Operation: OperationCounters] = [:]
  /// The series counted last: mostly the next one, too.
  private var last: OperationCounters?

  init(registry: ModelRegistry) { self.registry = registry }

  /// Counts an exchange; one without a dialect is not counted.
  @inline(__always)
  func count(_ record: borrowing ExchangeRecord, _ meter: inout ExchangeMeter) {
    let isWell = record.outcome == .ok
    // Compared in place: most exchanges have the labels of the one before.
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
