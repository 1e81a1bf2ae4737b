// A resolver that is used for long: what one lookup leaves behind for the next.
import Clocks
import TestSupport
import Testing

@testable import Transport

@Suite("Resolving again")
struct ResolverAgainTests {
  private let first: SocketAddress
  private let second: SocketAddress
  private let noName = TransportError(.resolve, code: -3008)
  /// Every answer is looked up anew.
  private let alwaysOld = Resolver.Policy.test(fresh: .zero)

  init() throws {
    first = try #require(SocketAddress(literal: "127.0.0.1", port: 80))
    second = try #require(SocketAddress(literal: "127.0.0.2", port: 80))
  }

  /// A resolver whose limits a test can shorten, and what it answers.
  private func scripted(_ driver: LoopDriver) -> (Resolver, ScriptedSystem, Answers) {
    let system = ScriptedSystem()
    let resolver = Resolver(loop: driver.loop, host: "llm", port: 80, lookup: system.lookup)
    // On a busy machine a test may be kept waiting for longer than a lookup may usually take.
    resolver.timing.hung = .seconds(3_600)
    return (resolver, system, Answers())
  }

  @Test("A system that was overdue and has answered is waited for again, and may be overdue again")
  func overdueTwice() throws {
    let driver = try LoopDriver()
    let (resolver, system, answers) = scripted(driver)
    resolver.timing.grace = .milliseconds(1)
    resolver.resolve(alwaysOld) { answers.add($0) }
    system.answer(0, .success([first]))
    try driver.until { answers.count == 1 }
    for (round, address) in [first, second].enumerated() {
      // The first query waits for the grace, the next ones not at all, until the system answers.
      #expect(resolver.resolve(alwaysOld) { answers.add($0) } != nil, "it waits")
      try driver.until { answers.count == 2 + 2 * round }
      #expect(resolver.resolve(alwaysOld) { answers.add($0) } == nil, "it is overdue")
      system.answer(1 + round, .success([round == 0 ? second : first]))
      try driver.until { !resolver.isCurrent(address) }
      #expect(system.count == 2 + round)
    }
    #expect(answers.hosts == ["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2"].map { [$0] })
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("An answer within its grace ends it: nobody is answered from the cache afterwards")
  func inTime() throws {
    let driver = try LoopDriver()
    let (resolver, system, answers) = scripted(driver)
    // Long enough that the answer comes before its end on a busy machine, too.
    resolver.timing.grace = .milliseconds(300)
    for index in 0..<2 {
      resolver.resolve(alwaysOld) { answers.add($0) }
      system.answer(index, .success([first]))
      try driver.until { answers.count == index + 1 }
    }
    // A timer as long as the grace, and begun later: it fires later.
    var isGraceOver = false
    let timer = Timer(loop: driver.loop) { isGraceOver = true }
    timer.start(milliseconds: 300)
    try driver.until { isGraceOver }
    timer.close()
    #expect(resolver.resolve(alwaysOld) { answers.add($0) } != nil)
    #expect(answers.count == 2)
    system.answer(2, .success([first]))
    try driver.until { answers.count == 3 }
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("Where the last answer is too old to be used, an overdue system is waited for")
  func overdueAndStale() throws {
    let driver = try LoopDriver()
    let (resolver, system, answers) = scripted(driver)
    resolver.timing.grace = .milliseconds(1)
    let policy = Resolver.Policy.test(fresh: .zero, stale: .zero)
    resolver.resolve(policy) { answers.add($0) }
    system.answer(0, .success([first]))
    try driver.until { answers.count == 1 }
    resolver.resolve(policy) { answers.add($0) }
    _ = try driver.turnsWhileIdle()
    #expect(answers.count == 1 && resolver.isAwaited)
    #expect(resolver.resolve(policy) { answers.add($0) } != nil)
    system.answer(1, .success([second]))
    try driver.until { answers.count == 3 }
    #expect(answers.hosts == [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2"]] && !resolver.isAwaited)
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("Beside a lookup that hangs others begin, up to a limit, and each that ends makes room for another")
  func hungLookups() throws {
    let driver = try LoopDriver()
    let (resolver, system, answers) = scripted(driver)
    resolver.timing.hung = .zero
    resolver.timing.lookups = 2
    for _ in 0..<4 { resolver.resolve(alwaysOld) { answers.add($0) } }
    #expect(resolver.runningLookups == 2)
    system.answer(0, .success([first]))
    try driver.until { answers.count == 4 }
    #expect(system.count <= 2)
    resolver.resolve(alwaysOld) { answers.add($0) }
    // The second and the third: the latter began when the first had ended.
    system.answer(1, .success([first]))
    system.answer(2, .success([first]))
    try driver.until { answers.count == 5 }
    #expect(system.count == 3)
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("Beside a lookup that is not hung no other begins")
  func oneLookup() throws {
    let driver = try LoopDriver()
    let (resolver, system, answers) = scripted(driver)
    for _ in 0..<3 {
      resolver.resolve(alwaysOld) { answers.add($0) }
      resolver.refresh(alwaysOld)
    }
    system.answer(0, .success([first]))
    #expect(resolver.runningLookups == 1)
    try driver.until { answers.count == 3 }
    #expect(system.count == 1 && resolver.runningLookups == 0)
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("After a failure there is another lookup as soon as its time has passed")
  func failureForgotten() throws {
    let driver = try LoopDriver()
    let (resolver, system, answers) = scripted(driver)
    resolver.timing.failure = .zero
    resolver.resolve(.test()) { answers.add($0) }
    system.answer(0, .failure(noName))
    try driver.until { answers.count == 1 }
    #expect(resolver.resolve(.test()) { answers.add($0) } != nil)
    system.answer(1, .success([first]))
    try driver.until { answers.count == 2 }
    #expect(answers.errors == [noName] && answers.hosts == [["127.0.0.1"]])
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("An answer after a failure ends it at once")
  func failureOvercome() throws {
    let driver = try LoopDriver()
    let (resolver, system, answers) = scripted(driver)
    resolver.timing.hung = .zero
    resolver.timing.failure = .seconds(3_600)
    for _ in 0..<2 { resolver.resolve(alwaysOld) { answers.add($0) } }
    system.answer(1, .failure(noName))
    try driver.until { answers.count == 2 }
    #expect(resolver.resolve(alwaysOld) { answers.add($0) } == nil)
    #expect(answers.errors == [noName, noName, noName])
    // The first lookup, which had seemed to hang.
    system.answer(0, .success([first]))
    resolver.onChange = { Issue.record("nothing was known before") }
    while !resolver.isCurrent(first) || resolver.isCurrent(second) { driver.loop.runOnce(waiting: true) }
    #expect(resolver.resolve(alwaysOld) { answers.add($0) } != nil, "it is looked up again")
    system.answer(2, .success([first]))
    try driver.until { answers.count == 4 }
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("A refresh looks up what is old, and neither what is fresh, nor what was never asked for, nor what just failed")
  func refresh() throws {
    let driver = try LoopDriver()
    let (resolver, system, answers) = scripted(driver)
    resolver.refresh(alwaysOld)
    #expect(resolver.runningLookups == 0)
    resolver.resolve(.test()) { answers.add($0) }
    system.answer(0, .success([first]))
    try driver.until { answers.count == 1 }
    resolver.refresh(Resolver.Policy.test())
    #expect(resolver.runningLookups == 0)
    resolver.refresh(alwaysOld)
    var changes = 0
    resolver.onChange = { changes += 1 }
    system.answer(1, .success([second]))
    try driver.until { changes == 1 }
    #expect(system.count == 2)
    resolver.refresh(alwaysOld)
    resolver.resolve(alwaysOld) { answers.add($0) }
    system.answer(2, .failure(noName))
    try driver.until { answers.count == 2 }
    resolver.refresh(alwaysOld)
    #expect(resolver.resolve(alwaysOld) { answers.add($0) } == nil)
    #expect(resolver.runningLookups == 0 && !resolver.isAwaited)
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("Of several queries only the cancelled one is not answered")
  func cancelOne() throws {
    let driver = try LoopDriver()
    let (resolver, system, answers) = scripted(driver)
    let queries = try (0..<3).map { number in
      try #require(resolver.resolve(.test()) { _ in answers.hosts.append(["\(number)"]) })
    }
    resolver.cancel(queries[1])
    resolver.cancel(queries[1])
    #expect(resolver.isAwaited)
    system.answer(0, .success([first]))
    try driver.until { answers.count == 2 }
    #expect(answers.hosts == [["0"], ["2"]] && !resolver.isAwaited)
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test(
    "An answer is used for as long as it is fresh, and while lookups fail for as long as it may be stale behind that")
  func ages() throws {
    let driver = try LoopDriver()
    let (resolver, system, answers) = scripted(driver)
    var time = Instant(nanoseconds: 1_000_000_000)
    resolver.now = { time }
    resolver.timing.failure = .seconds(1)
    let policy = Resolver.Policy.test(fresh: .seconds(5), stale: .seconds(20))
    resolver.resolve(policy) { answers.add($0) }
    system.answer(0, .success([first]))
    try driver.until { answers.count == 1 }
    time = time.advanced(byNanoseconds: 4_999_999_999)
    #expect(resolver.resolve(policy) { answers.add($0) } == nil)
    time = time.advanced(byNanoseconds: 1)
    #expect(resolver.resolve(policy) { answers.add($0) } != nil, "it is not fresh any more")
    system.answer(1, .failure(noName))
    try driver.until { answers.count == 3 }
    // 25 s after the answer less a nanosecond; then the failure's second is over.
    time = time.advanced(byNanoseconds: 19_999_999_999)
    #expect(resolver.resolve(policy) { answers.add($0) } != nil)
    system.answer(2, .failure(noName))
    try driver.until { answers.count == 4 }
    #expect(answers.hosts.count == 4 && answers.errors.isEmpty)
    time = time.advanced(byNanoseconds: 1)
    #expect(resolver.resolve(policy) { answers.add($0) } == nil)
    #expect(answers.errors == [noName], "it is too old")
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("The same addresses in another order are no change")
  func rotated() throws {
    let driver = try LoopDriver()
    let (resolver, system, answers) = scripted(driver)
    var changes = 0
    resolver.onChange = { changes += 1 }
    for (index, addresses) in [[first, second], [second, first], [second]].enumerated() {
      resolver.resolve(alwaysOld) { answers.add($0) }
      system.answer(index, .success(addresses))
      try driver.until { answers.count == index + 1 }
      #expect(changes == (index == 2 ? 1 : 0))
    }
    resolver.close()
    #expect(!driver.isAlive())
  }
}
