// The places at upstream, over all workers: how many exchanges may be there at once, and who waits for the next.
// It must not know what an exchange is, nor be asked where nothing is bounded.
import Synchronization

/// The bound on exchanges in flight (`limits.in_flight`): exact whichever worker they are on, first come first served.
///
/// From any thread; its lock is held for a few instructions.
final class Gate: Sendable {
  /// Names somebody who waits.
  typealias Ticket = UInt64
  /// Tells a waiter, on whatever thread, that the place is its own.
  typealias Wake = @Sendable (Ticket) -> Void

  /// What came of asking for a place.
  enum Entry: Equatable {
    /// It is the asker's until it calls `leave`.
    case admitted
    /// The asker's turn will come, or it calls `abandon`.
    case queued(Ticket)
    /// There is no room to wait either.
    case full
  }

  private struct Waiter {
    let ticket: Ticket
    let wake: Wake
  }

  private struct State {
    var running = 0
    /// Those who wait, in order; nil where somebody has gone.
    var waiters: [Waiter?] = []
    /// Before it there is nobody.
    var first = 0
    var waiting = 0
    var nextTicket: Ticket = 1

    /// Where `ticket` stands, unless its turn has come: tickets are given without a gap, one a place in the queue.
    func index(of ticket: Ticket) -> Int? {
      guard ticket < nextTicket, nextTicket - 1 - ticket < waiters.count - first else { return nil }
      let behind = nextTicket - 1 - ticket
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
  func enter(limit: Int, queue: Int, _ wake: @escaping Wake) -> Entry {
    state.withLock { state in
      // Nobody overtakes those who wait.
      if state.running < limit, state.waiting == 0 {
        state.running += 1
        return .admitted
      }
      guard state.waiting < queue else { return .full }
      defer { state.nextTicket += 1 }
      state.waiting += 1
      state.waiters.append(Waiter(ticket: state.nextTicket, wake: wake))
      return .queued(state.nextTicket)
    }
  }

  /// Gives a place back; whoever waits longest gets it.
  /// - Parameter limit: how many there are now; nil where there is no bound any more.
  func leave(limit: Int?) {
    follow(limit: limit, freeing: 1)
  }

  /// Has as many go in as a new limit allows.
  func follow(limit: Int?) { follow(limit: limit, freeing: 0) }

  private func follow(limit: Int?, freeing: Int) {
    let admitted = state.withLock { state in
      state.running -= freeing
      return state.admit(limit: limit ?? .max)
    }
    for waiter in admitted { waiter.wake(waiter.ticket) }
  }

  /// Stops waiting.
  /// - Returns: false where the place had been given already, and is to be left.
  func abandon(_ ticket: Ticket) -> Bool {
    state.withLock { state in
      guard let index = state.index(of: ticket), state.waiters[index] != nil else { return false }
      state.waiters[index] = nil
      state.waiting -= 1
      return true
    }
  }
}
