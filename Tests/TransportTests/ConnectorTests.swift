// Several addresses, one connection: which is tried when over real sockets, and that nothing of the others is left.
// It must not measure: a head start is either one that never ends, or one that the test waits for.
import CSocket
import Glibc
import TestSupport
import Testing

@testable import Transport

/// An address that answers nothing: its listener's queue is full, and the kernel drops the packets of further clients. It
/// does so for as long as this object lives; afterwards it refuses them.
private final class DeadAddress {
  private let listening: PlainListener
  private var fillers: [Int32] = []
  var address: SocketAddress { listening.address }

  init() throws {
    listening = try PlainListener(backlog: 0)
    for _ in 0..<8 {
      let filler = tg_stream_socket(AF_INET)
      var raw = address.raw
      _ = tg_connect(filler, &raw)
      fillers.append(filler)
    }
    var last = pollfd(fd: fillers[7], events: Int16(POLLOUT), revents: 0)
    try #require(poll(&last, 1, 0) == 0, "the queue takes another client")
  }

  deinit { fillers.forEach { close($0) } }
}

@Suite("Connecting to one of several addresses")
struct ConnectorTests {
  private let never = HappyEyeballs.Options.test(attemptDelay: .seconds(3_600))
  private let soon = HappyEyeballs.Options.test(attemptDelay: .milliseconds(10))

  /// An address at which nobody listens.
  private func refusing() throws -> SocketAddress { try PlainListener().address }

  /// Connects, and gives what came of it.
  private func connect(
    _ addresses: [SocketAddress], _ options: HappyEyeballs.Options, budget: AttemptBudget = AttemptBudget(8)
  ) throws -> (result: Result<SocketAddress?, TransportError>, failures: Int) {
    let driver = try LoopDriver()
    let connector = Connector(loop: driver.loop, addresses: addresses, options: options, budget: budget)
    var result: Result<any ByteStream, TransportError>?
    var calls = 0
    connector.start {
      result = $0
      calls += 1
    }
    try driver.until { result != nil }
    let ended = try #require(result)
    defer {
      if case .success(let stream) = ended { stream.close() }
      #expect(!driver.isAlive(), "an attempt or the timer is left")
      #expect(calls == 1)
    }
    return (ended.map(\.peer), connector.failures)
  }

  @Test(
    "The first address that answers is taken, and the next is not asked", arguments: [SocketAddress.Family.ipv4, .unix])
  func first(family: SocketAddress.Family) throws {
    let (first, second) = try (PlainListener(family), PlainListener())
    let (result, failures) = try connect([first.address, second.address], never)
    #expect(try result.get() == first.address)
    #expect(failures == 0)
    #expect(first.hasClient && !second.hasClient)
  }

  @Test("One that refuses is followed by the next without a head start")
  func refused() throws {
    let living = try PlainListener()
    let (result, failures) = try connect([refusing(), refusing(), living.address], never)
    #expect(try result.get() == living.address)
    #expect(failures == 2)
  }

  @Test("One that fails on the spot is followed by the next likewise")
  func refusedOnTheSpot() throws {
    let living = try PlainListener()
    let (result, failures) = try connect([SocketPath().address(), living.address], never)
    #expect(try result.get() == living.address)
    #expect(failures == 1)
  }

  @Test("One that is dead costs its head start, and is closed once another has answered, as often as it is tried")
  func dead() throws {
    let (dead, living) = try (DeadAddress(), PlainListener())
    let budget = AttemptBudget(1)
    for _ in 0..<3 {
      let (result, failures) = try connect([dead.address, living.address], soon, budget: budget)
      #expect(try result.get() == living.address)
      #expect(failures == 0)
      // What the race took of the allowance has come back.
      #expect(budget.available == 1)
    }
  }

  @Test("Where no second attempt can be afforded, a dead one is given up for the next")
  func givenUp() throws {
    let (dead, living) = try (DeadAddress(), PlainListener())
    var options = soon
    options.attemptTimeout = .nanoseconds(1)
    let (result, failures) = try connect([dead.address, living.address], options, budget: AttemptBudget(0))
    #expect(try result.get() == living.address)
    #expect(failures == 1)
  }

  @Test("What a race takes of the budget comes back when attempts fail")
  func budgetAfterFailures() throws {
    let driver = try LoopDriver()
    let dead = try DeadAddress()
    let budget = AttemptBudget(1)
    let connector = Connector(
      loop: driver.loop, addresses: try [dead.address, refusing(), refusing()], options: soon, budget: budget)
    connector.start { _ in Issue.record("called") }
    try driver.until { connector.failures == 2 }
    #expect(budget.available == 1)
    connector.cancel()
    #expect(budget.available == 1)
    #expect(!driver.isAlive())
  }

  @Test("Where all refuse, the last failure is reported")
  func nobody() throws {
    let (result, failures) = try connect([refusing(), refusing()], never)
    #expect(throws: TransportError(.connect, code: -ECONNREFUSED)) { try result.get() }
    #expect(failures == 2)
  }

  @Test("A connector that is cancelled leaves nothing open, gives its budget back and calls nobody")
  func cancelled() throws {
    let driver = try LoopDriver()
    let dead = try DeadAddress()
    let budget = AttemptBudget(8)
    let connector = Connector(
      loop: driver.loop, addresses: [dead.address, dead.address], options: soon, budget: budget)
    connector.start { _ in Issue.record("called") }
    try driver.until("a second attempt") { budget.available == 7 }
    connector.cancel()
    #expect(budget.available == 8)
    connector.cancel()
    #expect(budget.available == 8)
    #expect(!driver.isAlive())
  }

  @Test("Connectors that run at once share one budget")
  func sharedBudget() throws {
    let driver = try LoopDriver()
    let (dead, living) = try (DeadAddress(), PlainListener())
    let budget = AttemptBudget(1)
    let greedy = Connector(loop: driver.loop, addresses: [dead.address, dead.address], options: soon, budget: budget)
    greedy.start { _ in Issue.record("called") }
    try driver.until { budget.available == 0 }
    var result: Result<any ByteStream, TransportError>?
    let waiting = Connector(
      loop: driver.loop, addresses: [dead.address, living.address], options: soon, budget: budget)
    waiting.start { result = $0 }
    _ = try driver.turnsWhileIdle()
    #expect(result == nil && !living.hasClient)
    greedy.cancel()
    try driver.until { result != nil }
    let stream = try #require(try result?.get())
    #expect(stream.peer == living.address && budget.available == 1)
    stream.close()
    #expect(!driver.isAlive())
  }
}
