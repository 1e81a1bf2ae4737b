// Which models have series of their own, for all workers.
import Clocks
import Synchronization

/// Which models have series of their own, for all workers; and the series of every worker.
///
/// A model gets its own once a response for it ended well, since clients can name any model in a request. There are `limit` of
/// them, and the rest are `other`, so that a page of metrics stays as small as it began. Where servers answer for any name, a
/// client can invent names, too: a model that is asked for more than the least used one takes its place, and use is forgotten
/// by half each hour. What was counted of the former one is `other`'s from then on.
final class ModelRegistry: Sendable {
  private struct Pair: Hashable {
    var model: String?
    var responseModel: String?

    init(_ operation: Operation) {
      model = operation.model
      responseModel = operation.responseModel
    }
  }

  /// How much a pair is used.
  private struct Use {
    /// Of the hours before.
    var former: UInt64 = 0
    /// What its series had counted when this hour began.
    var counted: UInt64 = 0
  }

  private struct State {
    var pairs: [Pair: Use] = [:]
    /// Good answers for pairs that have no series. Misra and Gries' counts: where there are too many, all lose one, so that
    /// names that come once leave nothing behind.
    var candidates: [Pair: UInt64] = [:]
    var counters: [OperationCounters] = []
    var hourBeganAt: Instant
  }

  private static let hour = Duration.seconds(3_600)

  private let limit: Int
  private let now: @Sendable () -> Instant
  private let state: Mutex<State>
  /// How many pairs have lost their series: a worker whose number is another has some to give up.
  private let losses = Atomic<Int>(0)

  /// - Parameter now: the clock; tests have one of their own.
  init(limit: Int, now: @escaping @Sendable () -> Instant = { .now() }) {
    self.limit = limit
    self.now = now
    state = Mutex(State(hourBeganAt: now()))
  }

  /// Every series of every worker.
  var all: [OperationCounters] { state.withLock { $0.counters } }

  /// How many pairs have lost their series so far.
  var lossCount: Int { losses.load(ordering: .relaxed) }

  /// A worker has begun a series.
  func add(_ counters: OperationCounters) { state.withLock { $0.counters.append(counters) } }

  /// A worker has given up a series, which counts no more. Call it before its counts are added to another one.
  func remove(_ counters: OperationCounters) { state.withLock { $0.counters.removeAll { $0 === counters } } }

  /// Whether `operation` has a series of its own, and does not share that of the others.
  func hasOwn(_ operation: Operation) -> Bool { state.withLock { Self.hasOwn(operation, $0) } }

  private static func hasOwn(_ operation: Operation, _ state: borrowing State) -> Bool {
    // Only a good answer speaks for a model; what failed is shown beside it.
    guard operation.error == nil else { return state.pairs.keys.contains { $0.model == operation.model } }
    return state.pairs[Pair(operation)] != nil
  }

  /// An exchange was counted that may have no series of its own: the labels that `operation` is shown under.
  func labels(of operation: Operation) -> Operation {
    let now = now()
    let hasOwn = state.withLock { state in
      if Self.hasOwn(operation, state) { return true }
      return operation.error == nil && admit(Pair(operation), &state, now)
    }
    return hasOwn ? operation : otherLabels(of: operation)
  }

  /// The labels of what shares the others' series.
  func otherLabels(of operation: Operation) -> Operation {
    var shown = operation
    shown.model = operation.model.map { _ in Operation.otherModel }
    shown.responseModel = operation.responseModel.map { _ in Operation.otherModel }
    return shown
  }

  /// - Returns: whether the pair has series from now on.
  private func admit(_ pair: Pair, _ state: inout State, _ now: Instant) -> Bool {
    guard state.pairs.count >= limit else {
      state.pairs[pair] = Use()
      return true
    }
    guard limit > 0 else { return false }
    let uses = state.candidates[pair, default: 0] + 1
    if uses == 1, state.candidates.count >= limit {
      state.candidates = state.candidates.compactMapValues { $0 > 1 ? $0 - 1 : nil }
      return false
    }
    state.candidates[pair] = uses
    // It is compared now and then: all series have to be looked at.
    guard uses & (uses - 1) == 0 else { return false }
    age(&state, now)
    let use = state.pairs.mapValues { $0.former }.merging(counted(state)) { $0 &+ $1 }
    guard let least = state.pairs.keys.min(by: { use[$0, default: 0] < use[$1, default: 0] }),
      use[least, default: 0] < uses
    else { return false }
    state.pairs[least] = nil
    state.pairs[pair] = Use(former: uses)
    state.candidates[pair] = nil
    losses.add(1, ordering: .relaxed)
    return true
  }

  /// What the series of each pair have counted in this hour.
  private func counted(_ state: borrowing State) -> [Pair: UInt64] {
    var counted: [Pair: UInt64] = [:]
    for counters in state.counters where counters.operation.error == nil {
      counted[Pair(counters.operation), default: 0] &+= counters.duration.counts.count
    }
    for (pair, use) in state.pairs { counted[pair] = counted[pair, default: 0] &- use.counted }
    return counted
  }

  /// Halves what was used, for each hour that has passed.
  private func age(_ state: inout State, _ now: Instant) {
    while now.duration(since: state.hourBeganAt) >= Self.hour {
      let counted = counted(state)
      for (pair, use) in state.pairs {
        let uses = counted[pair, default: 0]
        state.pairs[pair] = Use(former: (use.former &+ uses) / 2, counted: use.counted &+ uses)
      }
      state.candidates = state.candidates.compactMapValues { $0 > 1 ? $0 / 2 : nil }
      state.hourBeganAt = state.hourBeganAt.advanced(byNanoseconds: 3_600_000_000_000)
      // Nothing is left to be halved.
      if state.pairs.values.allSatisfy({ $0.former == 0 }) { state.hourBeganAt = now }
    }
  }
}
