// Several addresses, one connection: who is tried when, who wins, and that nothing of the others is left.
// It must not measure: a head start is either one that never ends, or one that the test waits for.
import Glibc
import Testing

@testable import Transport

/// A port whose listener's queue is full: whoever connects waits for ever, as if nobody were there.
private final class DeadPort {
  let address: SocketAddress
  private var sockets: [Int32] = []

  init() throws {
    let listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    address = try #require(SocketAddress(literal: "127.0.0.1", port: listenOnLoopback(listening)))
    listen(listening, 0)
    sockets = [listening]
    for _ in 0..<8 {
      let filler = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
      var target = sockaddr_in()
      target.sin_family = sa_family_t(AF_INET)
      target.sin_port = address.port.bigEndian
      target.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      _ = withUnsafePointer(to: &target) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(filler, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      sockets.append(filler)
    }
  }

  deinit { sockets.forEach { close($0) } }
}

@Suite("Connecting to one of several addresses")
struct ConnectorTests {
  private let never = Connector.HappyEyeballsOptions(staggerMilliseconds: 3_600_000)
  private let soon = Connector.HappyEyeballsOptions(staggerMilliseconds: 10)

  private func living() throws -> (socket: Int32, address: SocketAddress) {
    let listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    return (listening, try #require(SocketAddress(literal: "127.0.0.1", port: listenOnLoopback(listening))))
  }

  /// An address at which nobody listens.
  private func refusing() throws -> SocketAddress {
    let (socket, address) = try living()
    close(socket)
    return address
  }

  /// Connects, and gives what came of it.
  private func connect(
    _ addresses: [SocketAddress], _ options: Connector.HappyEyeballsOptions, budget: AttemptBudget = AttemptBudget(8)
  ) throws -> (result: Result<SocketAddress?, TransportError>, failures: Int) {
    let driver = try LoopDriver()
    let connector = Connector(loop: driver.loop, addresses: addresses, options: options, budget: budget)
    var result: Result<any ByteStream, TransportError>?
    connector.start { result = $0 }
    try driver.until { result != nil }
    let ended = try #require(result)
    defer {
      if case .success(let stream) = ended { stream.close() }
      #expect(!driver.isAlive(), "an attempt or the timer is left")
    }
    return (ended.map(\.peer), connector.failures)
  }

  @Test("The first address that answers is taken, and the next is not asked")
  func first() throws {
    let (one, first) = try living()
    let (other, second) = try living()
    defer {
      close(one)
      close(other)
    }
    let (result, failures) = try connect([first, second], never)
    #expect(try result.get() == first)
    #expect(failures == 0)
    var entry = pollfd(fd: other, events: Int16(POLLIN), revents: 0)
    #expect(poll(&entry, 1, 0) == 0)
  }

  @Test("One that refuses is followed by the next without a head start")
  func refused() throws {
    let (socket, address) = try living()
    defer { close(socket) }
    let (result, failures) = try connect([refusing(), refusing(), address], never)
    #expect(try result.get() == address)
    #expect(failures == 2)
  }

  @Test("One that is dead costs its head start, and is closed once another has answered")
  func dead() throws {
    let (socket, address) = try living()
    defer { close(socket) }
    let budget = AttemptBudget(1)
    let (result, _) = try connect([DeadPort().address, address], soon, budget: budget)
    #expect(try result.get() == address)
    // What the race took of the allowance has come back: a second one has as much.
    let (again, _) = try connect([DeadPort().address, address], soon, budget: budget)
    #expect(try again.get() == address)
  }

  @Test("Where no second attempt can be afforded, a dead one is given up for the next")
  func givenUp() throws {
    let (socket, address) = try living()
    defer { close(socket) }
    var options = soon
    options.attemptNanoseconds = 1
    let (result, failures) = try connect([DeadPort().address, address], options, budget: AttemptBudget(0))
    #expect(try result.get() == address)
    #expect(failures == 1)
  }

  @Test("Where all refuse, the last failure is told")
  func nobody() throws {
    let (result, failures) = try connect([refusing(), refusing()], never)
    #expect(throws: TransportError.self) { try result.get() }
    guard case .failure(let error) = result else { return }
    #expect(error.operation == .connect && error.name == "ECONNREFUSED")
    #expect(failures == 2)
  }

  @Test("A connector that is cancelled leaves nothing and tells nobody")
  func cancelled() throws {
    let driver = try LoopDriver()
    let dead = try DeadPort()
    let connector = Connector(
      loop: driver.loop, addresses: [dead.address, dead.address], options: soon, budget: AttemptBudget(8))
    connector.start { _ in Issue.record("told") }
    driver.loop.runOnce()
    connector.cancel()
    connector.cancel()
    #expect(!driver.isAlive())
  }

  @Test("Families take turns, each in its order")
  func interleaved() throws {
    let six = try (1...3).map { try #require(SocketAddress(literal: "::\($0)", port: 1)) }
    let four = try (1...2).map { try #require(SocketAddress(literal: "127.0.0.\($0)", port: 1)) }
    #expect((six + four).interleaved() == [six[0], four[0], six[1], four[1], six[2]])
    #expect((six + four).interleaved(preferring: four[1]) == [four[0], six[0], four[1], six[1], six[2]])
    #expect(four.interleaved(preferring: six[0]) == four)
    #expect([SocketAddress]().interleaved().isEmpty)
  }
}
