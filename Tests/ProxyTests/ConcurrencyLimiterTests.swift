// Places at upstream and shares of descriptors, without a proxy: who gets in, in which order, and what comes back.
// It must not sleep: threads are joined.
import Synchronization
import TestSupport
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
      throw SocketFailure.refused
    }
    return waiter
  }

  @Test("So many are let in, so many wait in order, and the rest is turned away")
  func order() throws {
    let limiter = ConcurrencyLimiter(limit: 2, queue: 2)
    let admissions = Admissions()
    #expect(limiter.acquire(admissions.admit) == .admitted)
    #expect(limiter.acquire(admissions.admit) == .admitted)
    let first = try waiter(limiter.acquire(admissions.admit))
    let second = try waiter(limiter.acquire(admissions.admit))
    #expect(limiter.acquire(admissions.admit) == .full)
    #expect(limiter.occupancy == (2, 2))
    limiter.release()
    #expect(admissions.all == [first])
    limiter.release()
    #expect(admissions.all == [first, second])
    #expect(limiter.occupancy == (2, 0))
    limiter.release()
    limiter.release()
    #expect(limiter.occupancy == (0, 0))
    // No queue is needed by whoever need not wait.
    limiter.apply(limit: 2, queue: 0)
    #expect(limiter.acquire(admissions.admit) == .admitted)
  }

  @Test("Whoever gives up loses the place in the queue and nobody else does; one already admissions has to leave")
  func cancel() throws {
    let limiter = ConcurrencyLimiter(limit: 1, queue: 9)
    let admissions = Admissions()
    _ = limiter.acquire(admissions.admit)
    let waiters = try (0..<4).map { _ in try waiter(limiter.acquire(admissions.admit)) }
    #expect(limiter.cancel(waiters[1]))
    #expect(!limiter.cancel(waiters[1]))
    limiter.release()
    #expect(admissions.all == [waiters[0]])
    #expect(!limiter.cancel(waiters[0]))
    limiter.release()
    #expect(admissions.all == [waiters[0], waiters[2]])
    #expect(limiter.cancel(waiters[3]))
    limiter.release()
    #expect(limiter.occupancy == (0, 0))
  }

  @Test("A waiter of one limiter is not known to another one, though both count from 1")
  func twoLimiters() throws {
    let limiters = (0..<2).map { _ in ConcurrencyLimiter(limit: 0, queue: 9) }
    let admissions = Admissions()
    let waiters = try limiters.map { try waiter($0.acquire(admissions.admit)) }
    #expect(waiters[0] != waiters[1])
    #expect(!limiters[0].cancel(waiters[1]))
    #expect(limiters.allSatisfy { $0.occupancy == (0, 1) })
    #expect(limiters[1].cancel(waiters[1]))
  }

  @Test("A newcomer does not overtake those who wait: a permit that is given back is theirs")
  func overtaking() throws {
    let limiter = ConcurrencyLimiter(limit: 1, queue: 9)
    let admissions = Admissions()
    #expect(limiter.acquire(admissions.admit) == .admitted)
    let first = try waiter(limiter.acquire(admissions.admit))
    limiter.release()
    // The permit is the waiter's already, though that may not know it yet.
    let newcomer = try waiter(limiter.acquire(admissions.admit))
    #expect(admissions.all == [first])
    // Also where the one before has cancelled.
    let last = try waiter(limiter.acquire(admissions.admit))
    #expect(limiter.cancel(newcomer))
    limiter.apply(limit: 2, queue: 9)
    #expect(admissions.all == [first, last])
    #expect(try waiter(limiter.acquire(admissions.admit)) != last)
  }

  @Test("Another limit lets in as many as it allows; none lets in all")
  func apply() throws {
    let limiter = ConcurrencyLimiter(limit: 1, queue: 9)
    let admissions = Admissions()
    _ = limiter.acquire(admissions.admit)
    let waiters = try (0..<4).map { _ in try waiter(limiter.acquire(admissions.admit)) }
    limiter.apply(limit: 3, queue: 9)
    #expect(admissions.all == Array(waiters[..<2]))
    limiter.apply(limit: nil, queue: 9)
    #expect(admissions.all == waiters)
    #expect(limiter.occupancy == (5, 0))
    // A smaller one: nobody is thrown out, and nobody comes in before enough have left.
    limiter.apply(limit: 2, queue: 9)
    let last = try waiter(limiter.acquire(admissions.admit))
    for _ in 0..<3 { limiter.release() }
    #expect(!admissions.all.contains(last))
    limiter.release()
    #expect(admissions.all.last == last)
  }

  @Test("From many threads at once the bound holds and no place is lost")
  func threads() throws {
    let limiter = ConcurrencyLimiter(limit: 2, queue: 100)
    let inside = Atomic<Int>(0)
    let worst = Atomic<Int>(0)
    let served = Atomic<Int>(0)
    let threads = try (0..<4).map { number in
      try WorkerThread(name: "limiter-\(number)") {
        for round in 0..<500 {
          let turn = Promise<Bool>()
          switch limiter.acquire({ _ in turn.fulfill(true) }) {
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
          limiter.release()
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
