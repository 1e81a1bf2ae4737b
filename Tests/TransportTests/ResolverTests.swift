// Names to addresses: looked up once, cached, used while no answer comes, and never waited for at the end.
// It must not use the network: but for localhost, the test itself answers lookups.
import TestSupport
import Testing

@testable import Transport

@Suite("Resolving")
struct ResolverTests {
  private let first: SocketAddress
  private let second: SocketAddress
  private let noName = TransportError(.resolve, code: -3008)

  init() throws {
    first = try #require(SocketAddress(literal: "127.0.0.1", port: 80))
    second = try #require(SocketAddress(literal: "127.0.0.2", port: 80))
  }

  @Test("A literal address is resolved at once", arguments: ["127.0.0.1", "::1"])
  func literal(host: String) throws {
    let driver = try LoopDriver()
    let resolver = Resolver(loop: driver.loop, host: host, port: 80)
    let answers = Answers()
    #expect(resolver.resolve(Resolver.Policy.test(fresh: .zero)) { answers.add($0) } == nil)
    #expect(answers.hosts == [[host]])
    #expect(!driver.isAlive())
  }

  @Test("The system resolves localhost, with the port")
  func system() throws {
    let driver = try LoopDriver()
    let resolver = Resolver(loop: driver.loop, host: "localhost", port: 4141)
    var found: [SocketAddress] = []
    resolver.resolve(.test()) { if case .success(let addresses) = $0 { found = addresses } }
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
    resolver.resolve(.test()) { answers.add($0) }
    try driver.until { answers.count == 1 }
    #expect(answers.errors.first?.operation == .resolve)
    #expect(answers.errors.first?.name.hasPrefix("EAI_") == true)
    #expect(resolver.resolve(.test()) { answers.add($0) } == nil)
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
    for _ in 0..<3 { resolver.resolve(.test()) { answers.add($0) } }
    #expect(answers.count == 0)
    system.answer(0, .success([first]))
    try driver.until { answers.count == 3 }
    #expect(resolver.resolve(.test()) { answers.add($0) } == nil)
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
    let policy = Resolver.Policy.test(fresh: .zero)
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
    let policy = Resolver.Policy.test(fresh: .zero)
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
    let query = try #require(resolver.resolve(.test()) { answers.add($0) })
    resolver.resolve(.test()) { _ in answers.add(.failure(noName)) }
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
    resolver.resolve(.test()) { answers.add($0) }
    system.answer(0, .success([first]))
    try driver.until { answers.count == 1 }
    resolver.resolve(Resolver.Policy.test(fresh: .zero)) { answers.add($0) }
    system.answer(1, .failure(noName))
    try driver.until { answers.count == 2 }
    #expect(answers.hosts.count == 2 && answers.errors.isEmpty)
    // The same failure, where nothing stale may be used.
    #expect(resolver.resolve(Resolver.Policy.test(fresh: .zero, stale: .zero)) { answers.add($0) } == nil)
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
    resolver.resolve(.test()) { _ in Issue.record("answered") }
    resolver.close()
    #expect(!driver.isAlive())
    // The thread ends with an answer that is dropped.
    system.answer(0, .success([first]))
    #expect(!driver.isAlive())
  }
}
