// Places at upstream and shares of descriptors, without a proxy: who gets in, in which order, and what comes back.
// It must not sleep: threads are joined.
import Synchronization
import Testing
import Transport

@testable import Proxy

@Suite("Places at upstream")
struct ConcurrencyLimiterTests {
  /// Notes who was admitted, in order.
  private final class Admissions: Sendable {
    private let waiters = Mutex<[ConcurrencyLimiter.WaiterID]>([])
    var all: [ConcurrencyLimiter.WaiterID] { waiters.withLock { $0 } }
    var admit: ConcurrencyLimiter.Admission { { [self] waiter in waiters.withLock { $0.append(waiter) } } }
  }

  private func waiter(_ entry: ConcurrencyLimiter.Entry) throws -> ConcurrencyLimiter.WaiterID {
    guard case .queued(let waiter) = entry else {
      Issue.record("not queued: \(entry)")
      throw SocketPeerFailure.refused
    }
    return waiter
  }

  @Test("So many are let in, so many wait in order, and the rest is turned away")
  func order() throws {
    let limiter = ConcurrencyLimiter()
    let admissions = Admissions()
    #expect(limiter.acquire(limit: 2, queue: 2, admissions.admit) == .admitted)
    #expect(limiter.acquire(limit: 2, queue: 2, admissions.admit) == .admitted)
    let first = try waiter(limiter.acquire(limit: 2, queue: 2, admissions.admit))
    let second = try waiter(limiter.acquire(limit: 2, queue: 2, admissions.admit))
    #expect(limiter.acquire(limit: 2, queue: 2, admissions.admit) == .full)
    #expect(limiter.occupancy == (2, 2))
    limiter.release(limit: 2)
    #expect(admissions.all == [first])
    limiter.release(limit: 2)
    #expect(admissions.all == [first, second])
    #expect(limiter.occupancy == (2, 0))
    limiter.release(limit: 2)
    limiter.release(limit: 2)
    #expect(limiter.occupancy == (0, 0))
    #expect(limiter.acquire(limit: 2, queue: 0, admissions.admit) == .admitted)
  }

  @Test("Whoever gives up loses the place in the queue and nobody else does; one already admissions has to leave")
  func cancel() throws {
    let limiter = ConcurrencyLimiter()
    let admissions = Admissions()
    _ = limiter.acquire(limit: 1, queue: 9, admissions.admit)
    let waiters = try (0..<4).map { _ in try waiter(limiter.acquire(limit: 1, queue: 9, admissions.admit)) }
    #expect(limiter.cancel(waiters[1]))
    #expect(!limiter.cancel(waiters[1]))
    limiter.release(limit: 1)
    #expect(admissions.all == [waiters[0]])
    #expect(!limiter.cancel(waiters[0]))
    limiter.release(limit: 1)
    #expect(admissions.all == [waiters[0], waiters[2]])
    #expect(limiter.cancel(waiters[3]))
    limiter.release(limit: 1)
    #expect(limiter.occupancy == (0, 0))
    #expect(!limiter.cancel(999) && !limiter.cancel(0))
  }

  @Test("Another limit lets in as many as it allows; none lets in all")
  func apply() throws {
    let limiter = ConcurrencyLimiter()
    let admissions = Admissions()
    _ = limiter.acquire(limit: 1, queue: 9, admissions.admit)
    let waiters = try (0..<4).map { _ in try waiter(limiter.acquire(limit: 1, queue: 9, admissions.admit)) }
    limiter.apply(limit: 3)
    #expect(admissions.all == Array(waiters[..<2]))
    limiter.apply(limit: nil)
    #expect(admissions.all == waiters)
    #expect(limiter.occupancy == (5, 0))
    // A smaller one: nobody is thrown out, and nobody comes in before enough have left.
    let last = try waiter(limiter.acquire(limit: 2, queue: 9, admissions.admit))
    for _ in 0..<3 { limiter.release(limit: 2) }
    #expect(!admissions.all.contains(last))
    limiter.release(limit: 2)
    #expect(admissions.all.last == last)
  }

  @Test("From many threads at once the bound holds and no place is lost")
  func threads() throws {
    let limiter = ConcurrencyLimiter()
    let inside = Atomic<Int>(0)
    let worst = Atomic<Int>(0)
    let served = Atomic<Int>(0)
    let threads = try (0..<4).map { number in
      try WorkerThread(name: "limiter-\(number)") {
        for round in 0..<500 {
          let turn = Promise<Bool>()
          switch limiter.acquire(limit: 2, queue: 100, { _ in turn.fulfill(true) }) {
          case .admitted: break
          case .queued(let waiter):
            // Some give up; of those, some were let in meanwhile.
            if round % 7 == number, limiter.cancel(waiter) { continue }
            _ = turn.wait()
          case .full: continue
          }
          worst.max(inside.add(1, ordering: .sequentiallyConsistent).newValue, ordering: .relaxed)
          served.add(1, ordering: .relaxed)
          inside.subtract(1, ordering: .sequentiallyConsistent)
          limiter.release(limit: 2)
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(limiter.occupancy == (0, 0))
    #expect(worst.load(ordering: .relaxed) <= 2)
    #expect(served.load(ordering: .relaxed) > 1_000)
  }

  @Test("A client's connections are counted up to its limit, and forgotten when they are gone")
  func tally() {
    let clientConnections = PerClientConnectionCounter()
    #expect(
      clientConnections.acquire("a", limit: 2) && clientConnections.acquire("a", limit: 2)
        && !clientConnections.acquire("a", limit: 2))
    #expect(clientConnections.acquire("b", limit: 2))
    clientConnections.release("a")
    #expect(clientConnections.acquire("a", limit: 2) && !clientConnections.acquire("a", limit: 2))
  }

  @Test(
    "Descriptors are state out so that whoever is let in can be connected",
    arguments: [16, 32, 64, 128, 500, 1_000, 65_536, 1_000_000])
  func budget(descriptors: Int) {
    for workers in [1, 2, 8] where descriptors >= 16 * workers {
      let budget = DescriptorBudget(descriptors: descriptors, workers: workers, idle: 256)
      let used = 2 * budget.clients + workers * (budget.idle + budget.attemptBudget + budget.refused)
      #expect(used <= descriptors, "\(workers) workers")
      #expect(budget.clients >= descriptors * 2 / 10, "\(workers) workers: \(budget)")
    }
  }
}
