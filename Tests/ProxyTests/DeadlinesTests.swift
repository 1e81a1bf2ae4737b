// An exchange's deadlines as pure values: what is waited for at each point, and what does not count.
// It must not read a clock: the test says what time it is.
import Clocks
import SettingValues
import Testing

@testable import Proxy

@Suite("What an exchange waits for")
struct DeadlinesTests {
  private static let second: Int64 = 1_000_000_000
  private let start = Instant(nanoseconds: 1_000_000_000_000)

  private func at(_ seconds: Int64) -> Instant { start.advanced(byNanoseconds: seconds * Self.second) }

  private func settings(_ adjust: (inout Settings) -> Void = { _ in }) -> Settings {
    var settings = Settings(upstream: UpstreamAddress(host: "a", port: 1))
    settings.timeouts.response = .seconds(100)
    settings.timeouts.betweenReads = .seconds(20)
    settings.timeouts.firstToken = .seconds(200)
    settings.timeouts.betweenTokens = .seconds(30)
    adjust(&settings)
    return settings
  }

  private func snapshot(_ point: ExchangePoint, activeAt: Int64 = 0, stepAt: Int64 = 0) -> Deadlines.Snapshot {
    let machine = point.machine()
    return Deadlines.Snapshot(
      wait: machine.wait, awaitsHead: machine.awaitsHead, activeAt: at(activeAt), stepAt: at(stepAt))
  }

  /// Which limit `snapshot` runs into first when it is looked at each second, and in which.
  private func first(_ snapshot: Deadlines.Snapshot, until: Int64 = 1_000) -> (Limit, Int64)? {
    var deadlines = Deadlines(at: start)
    for now in 1...until {
      if let expired = deadlines.expired(snapshot, settings(), at: at(now)) { return (expired.limit, now) }
    }
    return nil
  }

  @Test("Each wait has its own deadline")
  func waits() throws {
    let expected: [(ExchangePoint, Limit, Int64)] = [
      (.waitingForPermit, .queueTimeout, 31), (.connecting, .connectTimeout, 11), (.uploading, .requestBodyTimeout, 61),
      (.sent, .responseTimeout, 101), (.responding, .betweenReadsTimeout, 21),
    ]
    for (point, limit, second) in expected {
      let found = try #require(first(snapshot(point)), "\(point)")
      #expect(found.0 == limit && found.1 == second, "\(point): \(found)")
    }
    #expect(first(snapshot(.delivering)) == nil)
  }

  @Test("What is queued for a connection that is still being made is no sign of a server that takes nothing")
  func queuedWhileConnecting() {
    var deadlines = Deadlines(at: start)
    var snapshot = snapshot(.connecting)
    snapshot.upstream = (queued: 10, accepted: 0)
    let settings = settings {
      $0.timeouts.connect = .seconds(1_000)
      $0.timeouts.upstreamStalled = .seconds(1)
    }
    for now in 1...100 as ClosedRange<Int64> {
      let expired = deadlines.expired(snapshot, settings, at: at(now))
      #expect(expired == nil)
    }
  }

  @Test("A response's head has a deadline of its own once it has begun")
  func responseHead() throws {
    var snapshot = snapshot(.sent)
    snapshot.wait = .responseHead(startedAt: at(5))
    let found = try #require(first(snapshot))
    #expect(found == (.responseHeadTimeout, 66))
  }

  @Test("Comments keep a stream alive and are no tokens")
  func tokens() throws {
    var snapshot = snapshot(.responding, activeAt: 1_000)
    #expect(first(snapshot) == nil)
    snapshot.awaitsTokens = true
    #expect(try #require(first(snapshot)) == (.firstTokenTimeout, 201))
    snapshot.tokenAt = at(50)
    #expect(try #require(first(snapshot)) == (.betweenTokensTimeout, 81))
  }

  @Test("While the client is slow upstream is not waited for, but a client that takes nothing is")
  func paused() throws {
    var snapshot = snapshot(.responding)
    snapshot.wait = .nothing
    #expect(first(snapshot) == nil)
    snapshot.client = (1, 100)
    // The first look finds it where it was left: the count begins there.
    #expect(try #require(first(snapshot)) == (.clientStalledTimeout, 302))
    var deadlines = Deadlines(at: start)
    for now in 1...1_000 {
      snapshot.client.accepted += 1
      let expired = deadlines.expired(snapshot, settings(), at: at(Int64(now)))
      #expect(expired == nil, "a slow reader is a reader")
    }
  }

  @Test("A client that takes nothing is noticed also when the whole response waits for it")
  func stalledAtTheEnd() throws {
    var snapshot = snapshot(.delivering)
    snapshot.client = (1, 0)
    #expect(try #require(first(snapshot)) == (.clientStalledTimeout, 301))
  }

  @Test("While upstream takes nothing the client is not asked for more, and upstream has a deadline of its own")
  func upstreamStalled() throws {
    var snapshot = snapshot(.uploading)
    snapshot.upstream = (1 << 20, 0)
    #expect(try #require(first(snapshot)) == (.upstreamStalledTimeout, 301))
    var deadlines = Deadlines(at: start)
    for now in 1...1_000 {
      snapshot.upstream.accepted += 1
      let expired = deadlines.expired(snapshot, settings(), at: at(Int64(now)))
      #expect(expired == nil)
    }
  }

  @Test("A body must come at its rate in every stretch in which it is awaited, however fast it came before")
  func rate() {
    for pause in [0, 490] {
      var rate = MinimumRate(at: start)
      // 1,000 bytes a second for five seconds, and then none; upstream takes nothing between 10 and 500 s.
      let slow = (1...80).first { quarter in
        let paused = quarter > 40 ? Int64(pause) : 0
        if quarter == 41 {
          let isSlow = rate.isTooSlow(
            bytes: 5_000, isAwaited: false, at: at(10 + paused), rate: 100, window: .seconds(10))
          #expect(!isSlow)
        }
        return rate.isTooSlow(
          bytes: min(5_000, quarter * 250), isAwaited: true,
          at: at(paused).advanced(byNanoseconds: Int64(quarter) * 250_000_000), rate: 100, window: .seconds(10))
      }
      #expect(slow == 60, "a window of 10 s with less than 1,000 bytes ends 15 s after the beginning")
    }
  }

  @Test("A byte every fifty-nine seconds does not last for ever")
  func slowloris() throws {
    var deadlines = Deadlines(at: start)
    var snapshot = snapshot(.uploading)
    var ended: Int64?
    for now in Int64(1)...600 where ended == nil {
      if now % 59 == 0 {
        snapshot.uploadedBytes += 1
        snapshot.activeAt = at(now)
      }
      if let expired = deadlines.expired(snapshot, settings(), at: at(now)) {
        #expect(expired.limit == .requestBodyRate)
        ended = now
      }
    }
    #expect(try #require(ended) == 68)
  }

  @Test("A client that talks on while it is answered is held to no rate")
  func bothWays() {
    var snapshot = snapshot(.respondingEarly, activeAt: 1_000)
    snapshot.uploadedBytes = 1
    #expect(first(snapshot) == nil)
  }
}
