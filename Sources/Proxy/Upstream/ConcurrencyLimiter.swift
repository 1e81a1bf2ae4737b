// The places at upstream, over all workers: how many exchanges may be there at once, and who waits for the next.
// It must not know what an exchange is, nor be asked where nothing is bounded.
import Synchronization

/// The bound on exchanges in flight (`limits.in_flight`): exact whichever worker they are on, first come first served.
///
/// From any thread; its lock is held for a few instructions.
final class ConcurrencyLimiter: Sendable {
  /// Names somebody who waits.
  typealias WaiterID = UInt64
  /// Tells a waiter, on whatever thread, that the place is its own.
  typealias Admission = @Sendable (WaiterID) -> Void

  /// What came of asking for a place.
  enum Entry: Equatable {
    /// It is the asker's until it calls `leave`.
    case admitted
    /// The asker's turn will come, or it calls `abandon`.
    case queued(WaiterID)
    /// There is no room to wait either.
    case full
  }

  private struct Waiter {
    let id: WaiterID
    let onAdmit: Admission
  }

  private struct State {
    var running = 0
    /// Those who wait, in order; nil where somebody has gone.
    var waiters: [Waiter?] = []
    /// Before it there is nobody.
    var first = 0
    var waiting = 0
    var nextID: WaiterID = 1

    /// Where `id` stands, unless its turn has come: ids are given without a gap, one a place in the queue.
    func index(of id: WaiterID) -> Int? {
      guard id < nextID, nextID - 1 - id < waiters.count - first else { return nil }
      let behind = nextID - 1 - id
      return waiters.count - 1 - Int(behind)
    }

    /// Takes those who may go in now.
    mutating func admit(limit: Int) -> [Waiter] {
      var admitted: [Waiter] = []
      while running < limit, first < waiters.count {
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

  private let state = Mutex(State())

  /// Exchanges that have a place, and those that wait for one.
  var occupancy: (running: Int, waiting: Int) { state.withLock { ($0.running, $0.waiting) } }

  /// Asks for a place.
  /// - Parameters:
  ///   - limit: how many there are.
  ///   - queue: how many may wait.
  func acquire(limit: Int, queue: Int, _ onAdmit: @escaping Admission) -> Entry {
    state.withLock { state in
      // Nobody overtakes those who wait.
      if state.running < limit, state.waiting == 0 {
        state.running += 1
        return .admitted
      }
      guard state.waiting < queue else { return .full }
      defer { state.nextID += 1 }
      state.waiting += 1
      state.waiters.append(Waiter(id: state.nextID, onAdmit: onAdmit))
      return .queued(state.nextID)
    }
  }

  /// Gives a place back; whoever waits longest gets it.
  /// - Parameter limit: how many there are now; nil where there is no bound any more.
  func release(limit: Int?) {
    apply(limit: limit, freeing: 1)
  }

  /// Has as many go in as a new limit allows.
  func apply(limit: Int?) { apply(limit: limit, freeing: 0) }

  private func apply(limit: Int?, freeing: Int) {
    let admitted = state.withLock { state in
      state.running -= freeing
      return state.admit(limit: limit ?? .max)
    }
    for waiter in admitted { waiter.onAdmit(waiter.id) }
  }

  /// Stops waiting.
  /// - Returns: false where the place had been given already, and is to be left.
  func cancel(_ id: WaiterID) -> Bool {
    state.withLock { state in
      guard let index = state.index(of: id), state.waiters[index] != nil else { return false }
      state.waiters[index] = nil
      state.waiting -= 1
      return true
    }
  }
}
