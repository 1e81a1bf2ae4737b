// Names to addresses: looked up once, cached, used while no answer comes, and never waited for at the end.
// It must not use the network: but for localhost, the test itself answers lookups.
import Glibc
import Synchronization
import Testing

@testable import Transport

/// Stands for the system's resolver: answers what the test gives it, when the test does.
private final class ScriptedSystem: Sendable {
  private let lookups = Mutex<[Promise<Result<[SocketAddress], TransportError>>]>([])

  /// Lookups that have begun so far.
  var count: Int { lookups.withLock { $0.count } }

  var lookup: Resolver.Lookup {
    { [self] _, _ in
      let promise = Promise<Result<[SocketAddress], TransportError>>()
      lookups.withLock { $0.append(promise) }
      return promise.wait()
    }
  }

  /// Answers lookup `index`, once it has begun.
  func answer(_ index: Int, _ result: Result<[SocketAddress], TransportError>) {
    while count <= index { sched_yield() }
    lookups.withLock { $0[index] }.fulfill(result)
  }
}

@Suite("Resolving")
struct ResolverTests {
  private let first: SocketAddress
  private let second: SocketAddress
  private let noName = TransportError(.resolve, code: -3008)

  init() throws {
    first = try #require(SocketAddress(literal: "127.0.0.1", port: 80))
    second = try #require(SocketAddress(literal: "127.0.0.2", port: 80))
  }

  /// Collects what one resolver answers.
  private final class Answers {
    var hosts: [[String]] = []
    var errors: [TransportError] = []
    var count: Int { hosts.count + errors.count }

    func add(_ result: Result<[SocketAddress], TransportError>) {
      switch result {
      case .success(let addresses): hosts.append(addresses.map(\.host))
      case .failure(let error): errors.append(error)
      }
    }
  }

  @Test("A literal address is resolved at once", arguments: ["127.0.0.1", "::1"])
  func literal(host: String) throws {
    let driver = try LoopDriver()
    let resolver = Resolver(loop: driver.loop, host: host, port: 80)
    let answers = Answers()
    #expect(resolver.resolve(Resolver.Policy(fresh: .zero)) { answers.add($0) } == nil)
    #expect(answers.hosts == [[host]])
    #expect(!driver.isAlive())
  }

  @Test("The system resolves localhost, with the port")
  func system() throws {
    let driver = try LoopDriver()
    let resolver = Resolver(loop: driver.loop, host: "localhost", port: 4141)
    var found: [SocketAddress] = []
    resolver.resolve { if case .success(let addresses) = $0 { found = addresses } }
    try driver.until { !found.isEmpty }
    #expect(found.allSatisfy { $0.port == 4141 && ["127.0.0.1", "::1"].contains($0.host) })
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("A name that cannot exist is an error of the resolver, and is not looked up again at once")
  func noSuchName() throws {
    let driver = try LoopDriver()
    let resolver = Resolver(loop: driver.loop, host: "no host has spaces", port: 1)
    let answers = Answers()
    resolver.resolve { answers.add($0) }
    try driver.until { answers.count == 1 }
    #expect(answers.errors.first?.operation == .resolve)
    #expect(answers.errors.first?.name.hasPrefix("EAI_") == true)
    #expect(resolver.resolve { answers.add($0) } == nil)
    #expect(answers.errors.count == 2)
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("A name is looked up once for all queries that wait, and cached while it is fresh")
  func once() throws {
    let driver = try LoopDriver()
    let system = ScriptedSystem()
    let resolver = Resolver(loop: driver.loop, host: "llm", port: 80, lookup: system.lookup)
    let answers = Answers()
    for _ in 0..<3 { resolver.resolve { answers.add($0) } }
    #expect(answers.count == 0)
    system.answer(0, .success([first]))
    try driver.until { answers.count == 3 }
    #expect(resolver.resolve { answers.add($0) } == nil)
    #expect(answers.hosts == Array(repeating: ["127.0.0.1"], count: 4))
    #expect(system.count == 1)
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("Once an answer is not fresh any more, the next one is waited for, and a change is reported")
  func change() throws {
    let driver = try LoopDriver()
    let system = ScriptedSystem()
    let resolver = Resolver(loop: driver.loop, host: "llm", port: 80, lookup: system.lookup)
    var changes = 0
    resolver.onChange = { changes += 1 }
    let answers = Answers()
    let policy = Resolver.Policy(fresh: .zero)
    resolver.resolve(policy) { answers.add($0) }
    system.answer(0, .success([first]))
    try driver.until { answers.count == 1 }
    #expect(resolver.isCurrent(first) && !resolver.isCurrent(second) && changes == 0)
    resolver.resolve(policy) { answers.add($0) }
    system.answer(1, .success([second]))
    try driver.until { answers.count == 2 }
    #expect(answers.hosts == [["127.0.0.1"], ["127.0.0.2"]])
    #expect(!resolver.isCurrent(first) && resolver.isCurrent(second) && changes == 1)
    resolver.refresh(policy)
    system.answer(2, .success([second]))
    resolver.resolve(policy) { answers.add($0) }
    try driver.until { answers.count == 3 }
    #expect(changes == 1)
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("While the system hangs the last answer is used, and only the first query waits for the system")
  func hangs() throws {
    let driver = try LoopDriver()
    let system = ScriptedSystem()
    let resolver = Resolver(loop: driver.loop, host: "llm", port: 80, lookup: system.lookup)
    let answers = Answers()
    let policy = Resolver.Policy(fresh: .zero)
    resolver.resolve(policy) { answers.add($0) }
    system.answer(0, .success([first]))
    try driver.until { answers.count == 1 }
    resolver.resolve(policy) { answers.add($0) }
    #expect(answers.count == 1)
    try driver.until("after its grace") { answers.count == 2 }
    #expect(resolver.resolve(policy) { answers.add($0) } == nil)
    #expect(answers.hosts == Array(repeating: ["127.0.0.1"], count: 3))
    #expect(system.count == 2)
    // It answers after all.
    system.answer(1, .success([second]))
    try driver.until { resolver.isCurrent(second) }
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("Where nothing is cached a hung system is waited for, and a cancelled query is not answered")
  func hangsFromTheStart() throws {
    let driver = try LoopDriver()
    let system = ScriptedSystem()
    let resolver = Resolver(loop: driver.loop, host: "llm", port: 80, lookup: system.lookup)
    let answers = Answers()
    let query = try #require(resolver.resolve { answers.add($0) })
    resolver.resolve { _ in answers.add(.failure(noName)) }
    resolver.cancel(query)
    system.answer(0, .success([first]))
    try driver.until { answers.count == 1 }
    #expect(answers.hosts.isEmpty)
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("A failure falls back on the last answer, for as long as that may be used")
  func failure() throws {
    let driver = try LoopDriver()
    let system = ScriptedSystem()
    let resolver = Resolver(loop: driver.loop, host: "llm", port: 80, lookup: system.lookup)
    let answers = Answers()
    resolver.resolve { answers.add($0) }
    system.answer(0, .success([first]))
    try driver.until { answers.count == 1 }
    resolver.resolve(Resolver.Policy(fresh: .zero)) { answers.add($0) }
    system.answer(1, .failure(noName))
    try driver.until { answers.count == 2 }
    #expect(answers.hosts.count == 2 && answers.errors.isEmpty)
    // The same failure, where nothing stale may be used.
    #expect(resolver.resolve(Resolver.Policy(fresh: .zero, stale: .zero)) { answers.add($0) } == nil)
    #expect(answers.errors == [noName])
    #expect(system.count == 2)
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("A system that never answers does not keep the loop running")
  func end() throws {
    let driver = try LoopDriver()
    let system = ScriptedSystem()
    let resolver = Resolver(loop: driver.loop, host: "llm", port: 80, lookup: system.lookup)
    resolver.resolve { _ in Issue.record("answered") }
    resolver.close()
    #expect(!driver.isAlive())
    // The thread ends with an answer that is dropped.
    system.answer(0, .success([first]))
    #expect(!driver.isAlive())
  }

  // MARK: The second time

  /// A resolver whose limits a test can shorten, and what it answers.
  private func scripted(_ driver: LoopDriver) -> (Resolver, ScriptedSystem, Answers) {
    let system = ScriptedSystem()
    return (Resolver(loop: driver.loop, host: "llm", port: 80, lookup: system.lookup), system, Answers())
  }

  private let alwaysOld = Resolver.Policy(fresh: .zero)

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
    resolver.timing.grace = .milliseconds(5)
    for index in 0..<2 {
      resolver.resolve(alwaysOld) { answers.add($0) }
      system.answer(index, .success([first]))
      try driver.until { answers.count == index + 1 }
    }
    _ = try driver.turnsWhileIdle()
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
    let policy = Resolver.Policy(fresh: .zero, stale: .zero)
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
    try driver.until { answers.count == 3 }
    #expect(system.count == 1)
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("After a failure there is another lookup as soon as its time has passed")
  func failureForgotten() throws {
    let driver = try LoopDriver()
    let (resolver, system, answers) = scripted(driver)
    resolver.timing.failure = .zero
    resolver.resolve { answers.add($0) }
    system.answer(0, .failure(noName))
    try driver.until { answers.count == 1 }
    #expect(resolver.resolve { answers.add($0) } != nil)
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
    #expect(system.count == 0)
    resolver.resolve { answers.add($0) }
    system.answer(0, .success([first]))
    try driver.until { answers.count == 1 }
    resolver.refresh(Resolver.Policy())
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
    #expect(system.count == 3 && !resolver.isAwaited)
    resolver.close()
    #expect(!driver.isAlive())
  }

  @Test("Of several queries only the cancelled one is not answered")
  func cancelOne() throws {
    let driver = try LoopDriver()
    let (resolver, system, answers) = scripted(driver)
    let queries = try (0..<3).map { number in
      try #require(resolver.resolve { _ in answers.hosts.append(["\(number)"]) })
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
}
