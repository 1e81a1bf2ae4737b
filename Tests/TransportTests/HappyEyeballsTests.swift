// Which address is tried when: a table of events and actions, without a socket or a clock.
import Clocks
import Glibc
import TestSupport
import Testing

@testable import Transport

@Suite("Happy Eyeballs")
struct HappyEyeballsTests {
  private let refused = TransportError(.connect, code: -ECONNREFUSED)
  private let unreachable = TransportError(.connect, code: -ENETUNREACH)
  private let addresses: [SocketAddress]

  init() throws {
    addresses = try (1...4).map { try #require(SocketAddress(literal: "127.0.0.\($0)", port: 80)) }
  }

  private func race(_ count: Int, timeout: Duration? = nil) -> HappyEyeballs {
    HappyEyeballs(Array(addresses.prefix(count)), options: HappyEyeballs.Options.test(attemptTimeout: timeout))
  }

  private func at(_ milliseconds: UInt64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

  @Test("A race of one address opens it, and waits for nothing else")
  func single() {
    var race = race(1)
    #expect(race.handle(.started, at: at(0), extraLimit: 8) == [.stopTimer, .open(1, addresses[0])])
    #expect(race.handle(.connected(1), at: at(5), extraLimit: 8) == [.stopTimer, .succeed(1)])
    #expect(race.failures == 0 && race.extraAttempts == 0)
  }

  @Test("A race for nothing fails at once")
  func none() {
    var race = race(0)
    #expect(race.handle(.started, at: at(0), extraLimit: 8) == [.stopTimer, .fail(TransportError(.resolve, code: 0))])
  }

  @Test("Each attempt has a head start, then the next begins beside it, until there is none left")
  func headStarts() {
    var race = race(3)
    #expect(race.handle(.started, at: at(0), extraLimit: 8) == [.startTimer, .open(1, addresses[0])])
    #expect(race.handle(.delayElapsed, at: at(250), extraLimit: 8) == [.startTimer, .open(2, addresses[1])])
    #expect(race.extraAttempts == 1)
    #expect(race.handle(.delayElapsed, at: at(500), extraLimit: 8) == [.startTimer, .open(3, addresses[2])])
    #expect(race.extraAttempts == 2)
    #expect(race.handle(.delayElapsed, at: at(750), extraLimit: 8) == [])
  }

  @Test("The first to connect wins, and all others are closed", arguments: [1, 2, 3])
  func firstToConnect(id: Int) {
    var race = race(4)
    _ = race.handle(.started, at: at(0), extraLimit: 8)
    for tick in 1...2 { _ = race.handle(.delayElapsed, at: at(UInt64(250 * tick)), extraLimit: 8) }
    let losers = [1, 2, 3].filter { $0 != id }.map { HappyEyeballs.Action.close($0) }
    #expect(race.handle(.connected(id), at: at(600), extraLimit: 8) == [.stopTimer] + losers + [.succeed(id)])
    #expect(race.extraAttempts == 0 && race.failures == 0)
    // A second one that connects at the same moment, or fails, or a late tick, changes nothing.
    for event in [.connected(losers.count), .failed(losers.count, refused), .delayElapsed, .cancelled]
      as [HappyEyeballs.Event]
    {
      #expect(race.handle(event, at: at(601), extraLimit: 8) == [])
    }
    #expect(race.failures == 0)
  }

  @Test("One that fails is followed at once, and with the last of all the race has failed")
  func failed() {
    var race = race(2)
    _ = race.handle(.started, at: at(0), extraLimit: 8)
    #expect(race.handle(.failed(1, refused), at: at(240), extraLimit: 0) == [.stopTimer, .open(2, addresses[1])])
    #expect(race.failures == 1 && race.extraAttempts == 0)
    #expect(race.handle(.failed(2, unreachable), at: at(241), extraLimit: 0) == [.stopTimer, .fail(unreachable)])
    #expect(race.failures == 2)
  }

  @Test("One that fails is followed with a head start of its own, and the race goes on while any is open")
  func failedBeside() {
    var race = race(3)
    _ = race.handle(.started, at: at(0), extraLimit: 1)
    _ = race.handle(.delayElapsed, at: at(250), extraLimit: 1)
    #expect(race.handle(.failed(2, refused), at: at(260), extraLimit: 1) == [.startTimer, .open(3, addresses[2])])
    #expect(race.handle(.failed(3, refused), at: at(270), extraLimit: 1) == [])
    #expect(race.extraAttempts == 0)
    // The same failure twice is one.
    #expect(race.handle(.failed(3, refused), at: at(271), extraLimit: 1) == [])
    #expect(race.failures == 2)
    #expect(race.handle(.connected(1), at: at(280), extraLimit: 1) == [.stopTimer, .succeed(1)])
  }

  @Test("No attempt begins beside the first beyond the limit, and one that has ended makes room")
  func extraLimit() {
    var race = race(4)
    #expect(race.handle(.started, at: at(0), extraLimit: 0) == [.startTimer, .open(1, addresses[0])])
    #expect(race.handle(.delayElapsed, at: at(250), extraLimit: 0) == [])
    #expect(race.handle(.delayElapsed, at: at(500), extraLimit: 1) == [.startTimer, .open(2, addresses[1])])
    #expect(race.handle(.delayElapsed, at: at(750), extraLimit: 1) == [])
    #expect(race.handle(.failed(1, refused), at: at(760), extraLimit: 1) == [.startTimer, .open(3, addresses[2])])
    #expect(race.extraAttempts == 1)
  }

  @Test("An attempt that is open for too long is given up for another, but never the last of all")
  func timeout() {
    var race = race(2, timeout: .milliseconds(400))
    _ = race.handle(.started, at: at(0), extraLimit: 0)
    #expect(race.handle(.delayElapsed, at: at(400), extraLimit: 0) == [])
    #expect(
      race.handle(.delayElapsed, at: at(401), extraLimit: 0) == [.close(1), .stopTimer, .open(2, addresses[1])])
    #expect(race.failures == 1)
    #expect(race.handle(.delayElapsed, at: at(9_000), extraLimit: 0) == [])
    #expect(race.failures == 1)
  }

  @Test("Of several that are open for too long all but the last are given up")
  func severalTimeouts() {
    var race = race(3, timeout: .milliseconds(600))
    _ = race.handle(.started, at: at(0), extraLimit: 8)
    for tick in 1...2 { _ = race.handle(.delayElapsed, at: at(UInt64(250 * tick)), extraLimit: 8) }
    #expect(race.handle(.delayElapsed, at: at(750), extraLimit: 8) == [.close(1)])
    #expect(race.handle(.delayElapsed, at: at(5_000), extraLimit: 8) == [.close(2)])
    #expect(race.handle(.delayElapsed, at: at(9_000), extraLimit: 8) == [])
    #expect(race.handle(.failed(3, refused), at: at(9_001), extraLimit: 8) == [.stopTimer, .fail(refused)])
    #expect(race.failures == 3)
  }

  @Test("One that was given up can neither win nor fail")
  func connectedTooLate() {
    var race = race(2, timeout: .milliseconds(100))
    _ = race.handle(.started, at: at(0), extraLimit: 0)
    _ = race.handle(.delayElapsed, at: at(250), extraLimit: 0)
    #expect(race.handle(.connected(1), at: at(251), extraLimit: 0) == [])
    #expect(race.handle(.failed(1, refused), at: at(251), extraLimit: 0) == [])
    #expect(race.failures == 1)
    #expect(race.handle(.connected(2), at: at(260), extraLimit: 0) == [.stopTimer, .succeed(2)])
  }

  @Test("Without a timeout an attempt is never given up")
  func noTimeout() {
    var race = race(2)
    _ = race.handle(.started, at: at(0), extraLimit: 0)
    #expect(race.handle(.delayElapsed, at: at(3_600_000), extraLimit: 0) == [])
  }

  @Test("A cancel closes everything, whenever it comes, and nothing follows")
  func cancelled() {
    var race = race(3)
    _ = race.handle(.started, at: at(0), extraLimit: 8)
    _ = race.handle(.delayElapsed, at: at(250), extraLimit: 8)
    #expect(race.handle(.cancelled, at: at(260), extraLimit: 8) == [.stopTimer, .close(1), .close(2)])
    #expect(race.extraAttempts == 0)
    #expect(race.handle(.cancelled, at: at(261), extraLimit: 8) == [])
    var idle = self.race(2)
    #expect(idle.handle(.cancelled, at: at(0), extraLimit: 8) == [.stopTimer])
  }

  @Test("Families take turns, each in its order, the preferred one first where there is one")
  func families() throws {
    let six = try (1...3).map { try #require(SocketAddress(literal: "::\($0)", port: 1)) }
    let four = Array(addresses.prefix(2))
    #expect((six + four).interleaved() == [six[0], four[0], six[1], four[1], six[2]])
    #expect((six + four).interleaved(preferring: .ipv4) == [four[0], six[0], four[1], six[1], six[2]])
    #expect(four.interleaved(preferring: .ipv6) == four)
    #expect([SocketAddress]().interleaved().isEmpty)
    for (preferred, first) in [(nil, six[0]), (.ipv4, four[0])] as [(SocketAddress.Family?, SocketAddress)] {
      var race = HappyEyeballs(six + four, preferring: preferred, options: HappyEyeballs.Options.test())
      #expect(race.handle(.started, at: at(0), extraLimit: 0) == [.startTimer, .open(1, first)])
    }
  }
}
