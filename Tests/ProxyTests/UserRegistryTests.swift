// Which users have series of their own: those with most tokens, so many and no more.
import Clocks
import Synchronization
import Testing

@testable import Proxy

@Suite("Series by user") struct UserRegistryTests {
  @Test("Every exchange is counted once, for its user or among the others")
  func complete() {
    let registry = UserRegistry(limit: 3)
    for number in 0..<500 { registry.count("user-\(number % 17)", input: number, output: 1) }
    let shown = registry.snapshot
    #expect(shown.users.count == 3)
    let all = shown.users.values.reduce(into: shown.others) { $0.add($1) }
    #expect(all == UserCounts(exchanges: 500, inputTokens: UInt64((0..<500).reduce(0, +)), outputTokens: 500))
    #expect(shown.folded == 14)
  }

  @Test("Who uses most tokens gets a series, though others came first, and the former one's counts go to the others")
  func top() {
    let registry = UserRegistry(limit: 2)
    registry.count("small", input: 1, output: 0)
    registry.count("middle", input: 50, output: 0)
    registry.count("large", input: 100, output: 0)
    let shown = registry.snapshot
    #expect(Set(shown.users.keys) == ["middle", "large"])
    #expect(shown.others == UserCounts(exchanges: 1, inputTokens: 1, outputTokens: 0) && shown.folded == 1)
  }

  @Test("Names that come once displace nobody who is active, and nothing is kept of most of them")
  func invented() {
    let registry = UserRegistry(limit: 2)
    for _ in 0..<10 { for user in ["ann", "bob"] { registry.count(user, input: 1000, output: 10) } }
    for number in 0..<10_000 { registry.count("invented-\(number)", input: 100, output: 10) }
    #expect(Set(registry.snapshot.users.keys) == ["ann", "bob"])
    #expect(registry.snapshot.folded == 10_000)
  }

  @Test("A place that is not used any more is lost: use is forgotten by half each hour")
  func ageing() {
    let time = Mutex(Instant(nanoseconds: 0))
    let registry = UserRegistry(limit: 1) { time.withLock { $0 } }
    registry.count("former", input: 1_000_000, output: 0)
    registry.count("present", input: 1000, output: 0)
    #expect(Set(registry.snapshot.users.keys) == ["former"])
    time.withLock { $0 = $0.advanced(byNanoseconds: 12 * 3_600_000_000_000) }
    registry.count("present", input: 1000, output: 0)
    #expect(Set(registry.snapshot.users.keys) == ["present"])
  }

  @Test("A user who is called as the others are is one of them")
  func other() {
    let registry = UserRegistry(limit: 5)
    registry.count("other", input: 3, output: 4)
    #expect(registry.snapshot.users.isEmpty && registry.snapshot.others.outputTokens == 4)
  }
}
