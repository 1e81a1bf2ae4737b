// Bounds how many exchanges are at an upstream server at once, over all workers, and queues those that have to wait.
import Synchronization

/// The bound on exchanges in flight (`limits.in_flight`). It is exact whichever worker they are on, and whoever asks
/// first is admitted first. Where nothing is bounded nobody asks it.
///
/// From any thread; its lock is held for a few instructions.
final class ConcurrencyLimiter: Sendable {
  /// Names a waiter among those of all limiters.
  struct WaiterID: Hashable, Sendable {
    fileprivate let limiter: ObjectIdentifier
    fileprivate let number: UInt64
  }

  /// Tells a waiter, on whatever thread, that it is admitted.
  typealias Admission = @Sendable (WaiterID) -> Void

  /// The answer to whoever asks for a permit.
  enum Entry: Equatable {
    /// The asker has a permit until it calls `release`.
    case admitted
    /// The asker is told when it is admitted, unless it calls `cancel` before.
    case queued(WaiterID)
    /// The queue is full.
    case full
  }

  private struct Waiter {
    let id: WaiterID
    let onAdmit: Admission
  }

  private struct State {
    var limit: Int?
    var queue: Int
    var running = 0
    /// In the order in which they came; nil where a waiter has cancelled.
    var waiters: [Waiter?] = []
    /// Those before it are admitted.
    var first = 0
    var waiting = 0
    var nextNumber: UInt64 = 1

    /// The place in `waiters` of the waiter that has `number`; nil once it is admitted. Numbers are consecutive.
    func index(of number: UInt64) -> Int? {
      guard number < nextNumber, nextNumber - 1 - number < waiters.count - first else { return nil }
      let behind = nextNumber - 1 - number
      return waiters.count - 1 - Int(behind)
    }

    /// Admits the waiters for whom there is room now.
    mutating func admit() -> [Waiter] {
      var admitted: [Waiter] = []
      while running < limit ?? .max, first < waiters.count {
        if let waiter = waiters[first] {
          admitted.append(waiter)
          running += 1
          waiting -= 1
        }
        first += 1
      }
      if first > 64, first > waiters.count / 2 {
        waiters.removeFirst(first)
        first = 0
      }
      return admitted
    }
  }

  private let state: Mutex<State>

  /// - Parameters:
  ///   - limit: exchanges that may run at once; nil is any number.
  ///   - queue: exchanges that may wait for one of those to end.
  init(limit: Int?, queue: Int) { state = Mutex(State(limit: limit, queue: queue)) }

  /// Exchanges that have a permit, and those that wait for one.
  var occupancy: (running: Int, waiting: Int) { state.withLock { ($0.running, $0.waiting) } }

  /// Asks for a permit.
  func acquire(_ onAdmit: @escaping Admission) -> Entry {
    state.withLock { state in
      // No newcomer overtakes: who makes room admits the waiters within the same lock, so there is room only if nobody
      // waits.
      if state.running < state.limit ?? .max {
        state.running += 1
        return .admitted
      }
      guard state.waiting < state.queue else { return .full }
      let id = WaiterID(limiter: ObjectIdentifier(self), number: state.nextNumber)
      state.nextNumber += 1
      state.waiting += 1
      state.waiters.append(Waiter(id: id, onAdmit: onAdmit))
      return .queued(id)
    }
  }

  /// Gives a permit back: the waiter that came first is admitted.
  func release() {
    admit {
      $0.running -= 1
    }
  }

  /// Takes over another limit, and admits as many as it allows. Nobody who has a permit loses it.
  func apply(limit: Int?, queue: Int) {
    admit {
      $0.limit = limit
      $0.queue = queue
    }
  }

  private func admit(after change: (inout State) -> Void) {
    let admitted = state.withLock { state in
      change(&state)
      return state.admit()
    }
    for waiter in admitted { waiter.onAdmit(waiter.id) }
  }

  /// Stops waiting.
  /// - Returns: false where the waiter has been admitted already, and has to call `release`.
  func cancel(_ id: WaiterID) -> Bool {
    guard id.limiter == ObjectIdentifier(self) else { return false }
    return state.withLock { state in
      guard let index = state.index(of: id.number), state.waiters[index] != nil else { return false }
      state.waiters[index] = nil
      state.waiting -= 1
      return true
    }
  }
}
