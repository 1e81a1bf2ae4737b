// Places at upstream and shares of descriptors, without a proxy: who gets in, in which order, and what comes back.
// It must not sleep: threads are joined.
import Synchronization
import Testing
import Transport

@testable import Proxy

@Suite("Places at upstream")
struct GateTests {
  /// Writes down who was woken.
  private final class Woken: Sendable {
    private let tickets = Mutex<[Gate.Ticket]>([])
    var all: [Gate.Ticket] { tickets.withLock { $0 } }
    var wake: Gate.Wake { { [self] ticket in tickets.withLock { $0.append(ticket) } } }
  }

  private func ticket(_ entry: Gate.Entry) throws -> Gate.Ticket {
    guard case .queued(let ticket) = entry else {
      Issue.record("not queued: \(entry)")
      throw WireFailure.refused
    }
    return ticket
  }

  @Test("So many are let in, so many wait in order, and the rest is turned away")
  func order() throws {
    let gate = Gate()
    let woken = Woken()
    #expect(gate.enter(limit: 2, queue: 2, woken.wake) == .admitted)
    #expect(gate.enter(limit: 2, queue: 2, woken.wake) == .admitted)
    let first = try ticket(gate.enter(limit: 2, queue: 2, woken.wake))
    let second = try ticket(gate.enter(limit: 2, queue: 2, woken.wake))
    #expect(gate.enter(limit: 2, queue: 2, woken.wake) == .full)
    #expect(gate.occupancy == (2, 2))
    gate.leave(limit: 2)
    #expect(woken.all == [first])
    gate.leave(limit: 2)
    #expect(woken.all == [first, second])
    #expect(gate.occupancy == (2, 0))
    gate.leave(limit: 2)
    gate.leave(limit: 2)
    #expect(gate.occupancy == (0, 0))
    #expect(gate.enter(limit: 2, queue: 0, woken.wake) == .admitted)
  }

  @Test("Whoever gives up loses the place in the queue and nobody else does; one already woken has to leave")
  func abandon() throws {
    let gate = Gate()
    let woken = Woken()
    _ = gate.enter(limit: 1, queue: 9, woken.wake)
    let tickets = try (0..<4).map { _ in try ticket(gate.enter(limit: 1, queue: 9, woken.wake)) }
    #expect(gate.abandon(tickets[1]))
    #expect(!gate.abandon(tickets[1]))
    gate.leave(limit: 1)
    #expect(woken.all == [tickets[0]])
    #expect(!gate.abandon(tickets[0]))
    gate.leave(limit: 1)
    #expect(woken.all == [tickets[0], tickets[2]])
    #expect(gate.abandon(tickets[3]))
    gate.leave(limit: 1)
    #expect(gate.occupancy == (0, 0))
    #expect(!gate.abandon(999) && !gate.abandon(0))
  }

  @Test("Another limit lets in as many as it allows; none lets in all")
  func follow() throws {
    let gate = Gate()
    let woken = Woken()
    _ = gate.enter(limit: 1, queue: 9, woken.wake)
    let tickets = try (0..<4).map { _ in try ticket(gate.enter(limit: 1, queue: 9, woken.wake)) }
    gate.follow(limit: 3)
    #expect(woken.all == Array(tickets[..<2]))
    gate.follow(limit: nil)
    #expect(woken.all == tickets)
    #expect(gate.occupancy == (5, 0))
    // A smaller one: nobody is thrown out, and nobody comes in before enough have left.
    let last = try ticket(gate.enter(limit: 2, queue: 9, woken.wake))
    for _ in 0..<3 { gate.leave(limit: 2) }
    #expect(!woken.all.contains(last))
    gate.leave(limit: 2)
    #expect(woken.all.last == last)
  }

  @Test("From many threads at once the bound holds and no place is lost")
  func threads() throws {
    let gate = Gate()
    let inside = Atomic<Int>(0)
    let worst = Atomic<Int>(0)
    let served = Atomic<Int>(0)
    let threads = try (0..<4).map { number in
      try WorkerThread(name: "gate-\(number)") {
        for round in 0..<500 {
          let turn = Promise<Bool>()
          switch gate.enter(limit: 2, queue: 100, { _ in turn.keep(true) }) {
          case .admitted: break
          case .queued(let ticket):
            // Some give up; of those, some were let in meanwhile.
            if round % 7 == number, gate.abandon(ticket) { continue }
            _ = turn.wait()
          case .full: continue
          }
          worst.max(inside.add(1, ordering: .sequentiallyConsistent).newValue, ordering: .relaxed)
          served.add(1, ordering: .relaxed)
          inside.subtract(1, ordering: .sequentiallyConsistent)
          gate.leave(limit: 2)
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(gate.occupancy == (0, 0))
    #expect(worst.load(ordering: .relaxed) <= 2)
    #expect(served.load(ordering: .relaxed) > 1_000)
  }

  @Test("A client's connections are counted up to its limit, and forgotten when they are gone")
  func tally() {
    let tally = ClientTally()
    #expect(tally.enter("a", limit: 2) && tally.enter("a", limit: 2) && !tally.enter("a", limit: 2))
    #expect(tally.enter("b", limit: 2))
    tally.leave("a")
    #expect(tally.enter("a", limit: 2) && !tally.enter("a", limit: 2))
  }

  @Test(
    "Descriptors are shared out so that whoever is let in can be connected",
    arguments: [16, 32, 64, 128, 500, 1_000, 65_536, 1_000_000])
  func budget(descriptors: Int) {
    for workers in [1, 2, 8] where descriptors >= 16 * workers {
      let budget = DescriptorBudget(descriptors: descriptors, workers: workers, idle: 256)
      let used = 2 * budget.clients + workers * (budget.idle + budget.spareAttempts + budget.refused)
      #expect(used <= descriptors, "\(workers) workers")
      #expect(budget.clients >= descriptors * 2 / 10, "\(workers) workers: \(budget)")
    }
  }
}
