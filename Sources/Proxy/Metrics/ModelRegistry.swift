// Which models have series of their own, for all workers.
import Synchronization

/// Which models have series of their own, for all workers; and the series of every worker.
///
/// A model gets its own once a response for it ended well, since clients can name any model in a request. The first `limit`
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
