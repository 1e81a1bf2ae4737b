// Token times by model, counted from the records themselves, so that metrics and log agree.
// It must keep nothing of a record that is not a label: no user, session or client.
import Measurement
import Metrics
import TokenWire

/// One worker's series. Confined to its thread.
final class ModelMetrics {
  private let registry: ModelRegistry
  private var known: [Operation: OperationCounters] = [:]
  /// The series counted last: mostly the next one, too.
  private var last: OperationCounters?
  /// Models that had lost their series when this worker gave up its own of them.
  private var losses = 0

  init(registry: ModelRegistry) { self.registry = registry }

  /// Counts an exchange; one without a dialect is not counted.
  @inline(__always)
  func count(_ record: borrowing ExchangeRecord, _ meter: inout ExchangeMeter, unread obstacle: RequestObstacle? = nil)
  {
    if registry.lossCount != losses { giveUpLost() }
    let isWell = record.outcome == .ok
    // Compared in place: most exchanges have the labels of the one before.
    if let last, last.operation.model == record.model, record.dialect == last.operation.dialect,
      isWell ? last.operation.responseModel == record.responseModel : last.operation.responseModel == nil,
      last.operation.error == (isWell ? nil : record.outcome)
    {
      return last.count(record, &meter, unread: obstacle)
    }
    guard let dialect = record.dialect else { return }
    let operation = Operation(
      dialect: dialect, model: record.model, responseModel: isWell ? record.responseModel : nil,
      error: isWell ? nil : record.outcome)
    let counters = counters(for: operation)
    last = counters
    counters.count(record, &meter, unread: obstacle)
  }

  /// Counts what has lost its series with the others.
  private func giveUpLost() {
    losses = registry.lossCount
    last = nil
    for (operation, counters) in known where operation.model != nil || operation.responseModel != nil {
      guard operation.model != Operation.otherModel, !registry.hasOwn(operation) else { continue }
      known[operation] = nil
      registry.remove(counters)
      self.counters(shown: registry.otherLabels(of: operation)).add(counters)
    }
  }

  private func counters(for operation: Operation) -> OperationCounters {
    if let counters = known[operation] { return counters }
    return counters(shown: registry.labels(of: operation))
  }

  private func counters(shown: Operation) -> OperationCounters {
    if let counters = known[shown] { return counters }
    let counters = OperationCounters(shown)
    known[shown] = counters
    registry.add(counters)
    return counters
  }
}
