// The meter's distributions: gaps, weighted gaps, deliveries, clocks, the timeline.
import Clocks
import Measurement
import Testing
import TokenWire

@Suite("ExchangeMeter: distributions")
struct MeterDistributionTests {
  @Test("Weighted gaps: k tokens after a gap g count as k gaps of g/k, swallowed tokens included")
  func weighted() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.token(usage: 1)
    exchange.read(110)
    exchange.token(usage: 2)
    exchange.read(150)
    exchange.token(usage: 10)
    let record = exchange.record()
    #expect(record.gapsMilliseconds == Quantiles(p50: 10, p90: 40, p99: 40, max: 40))
    #expect(record.itlMilliseconds == Quantiles(p50: 5, p90: 10, p99: 10, max: 10))
  }

  @Test("An event that brings no new token passes its gap on to the next")
  func zeroGrowth() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.token(server: 1)
    exchange.read(110)
    exchange.token(server: 1)
    exchange.read(130)
    exchange.token(server: 3)
    #expect(exchange.record().itlMilliseconds == Quantiles(p50: 15, p90: 15, p99: 15, max: 15))
  }

  @Test("The server's own count of all choices weighs no choice's gaps")
  func serverCountOfTwoChoices() {
    var exchange = Exchange.streaming()
    for (step, choice) in [0, 1, 0, 1].enumerated() {
      exchange.read(100 + Double(step) * 10)
      exchange.token(choice: choice, server: step + 1)
    }
    let record = exchange.record()
    #expect(record.gapsMilliseconds?.max == 20)
    #expect(record.itlMilliseconds == nil)
  }

  @Test("A count that is missing once, or shrinks, makes weighted gaps unknown", arguments: [nil, 1])
  func unknownWeights(second: Int?) {
    var exchange = Exchange.streaming()
    for (step, count) in [2, second, 5].enumerated() {
      exchange.read(100 + Double(step))
      exchange.token(usage: count)
    }
    let record = exchange.record()
    #expect(record.itlMilliseconds == nil)
    #expect(record.gapsMilliseconds != nil)
  }

  @Test("Absurd counts never trap", arguments: [Int.min, -1, Int.max])
  func absurdCounts(count: Int) {
    var exchange = Exchange.streaming(keepsTimeline: true)
    for step in 0..<3 {
      exchange.read(100 + Double(step))
      exchange.token(scalars: count, ids: count, usage: step == 1 ? 0 : count, server: count)
      exchange.token(choice: 1, scalars: count, ids: count, usage: count)
    }
    #expect(exchange.record().events == 6)
  }

  @Test("With one token in each event the weighted gaps are the gaps")
  func onesWeighted() {
    var exchange = Exchange.streaming()
    for step in 0..<2_000 {
      exchange.read(100 + Double(step * step) / 100)
      exchange.token(ids: 1)
    }
    let record = exchange.record()
    #expect(record.itlMilliseconds == record.gapsMilliseconds)
    #expect(isNear(record.gapsMilliseconds?.max, 39.97))
    // 1,999 gaps of (2n+1)/100 ms: the median is the 1,000th.
    #expect(isNear(record.gapsMilliseconds?.p50, 19.99, 0.004))
  }

  @Test("Delivery counts every read, also those that waited for the client's socket")
  func delivery() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.meter.delivered(at: Exchange.at(100.010))
    exchange.read(200)
    exchange.read(201)
    exchange.read(202)
    exchange.meter.delivered(at: Exchange.at(203))
    exchange.meter.delivered(at: Exchange.at(900))
    exchange.read(950)
    exchange.meter.delivered(at: Exchange.at(951))
    exchange.meter.clientStalled(nanoseconds: 1_500_000)
    exchange.meter.clientStalled(nanoseconds: 500_000)
    let record = exchange.record()
    #expect(record.deliveryMicroseconds == DeliveryQuantiles(p50: 1_000, p99: 3_000, max: 3_000))
    #expect(record.clientStalledMilliseconds == 2)
  }

  @Test("A client that takes nothing costs no memory, and its longest waits are kept")
  func stuckClient() {
    var exchange = Exchange.streaming()
    for step in 0..<100_000 { exchange.read(100 + Double(step) / 1_000) }
    exchange.meter.delivered(at: Exchange.at(300))
    #expect(exchange.record().deliveryMicroseconds?.max == 200_000)
  }

  @Test("Two clocks in one exchange are said to be mixed; lateness is known where the kernel stamped")
  func clocks() {
    var exchange = Exchange.streaming()
    exchange.read(100, source: .loop)
    #expect(exchange.record().clock == .loop)
    #expect(exchange.record().loopLagMicroseconds == nil)
    exchange.read(101, lag: 0.04)
    exchange.read(102, lag: 0.01)
    #expect(exchange.record().clock == .mixed)
    #expect(isNear(exchange.record().loopLagMicroseconds, 40))
  }

  @Test("No read comes before the one before it, whatever two stamps say")
  func order() {
    var exchange = Exchange.streaming(keepsTimeline: true)
    for arrival in [100.002, 100, 101] {
      exchange.read(arrival)
      exchange.token()
    }
    #expect(exchange.record().timeline?.map(\.offsetMicroseconds) == [90_002, 90_002, 91_000])
  }

  @Test("What arrived while reading was paused waited for the client: lateness counts from when reading went on")
  func latenessAfterPause() {
    var exchange = Exchange.streaming()
    exchange.read(100, lag: 0.02)
    exchange.meter.readingResumed(at: Exchange.at(5_000))
    exchange.read(200, lag: 4_800.05)
    #expect(isNear(exchange.record().loopLagMicroseconds, 50))
    exchange.read(5_001, lag: 0.3)
    #expect(isNear(exchange.record().loopLagMicroseconds, 300))
  }

  @Test("The timeline has one pair a token-bearing event, from t0")
  func timeline() {
    var exchange = Exchange.streaming(keepsTimeline: true)
    exchange.read(100)
    exchange.event()
    exchange.token(usage: 3)
    exchange.read(112.0345)
    exchange.token()
    #expect(
      exchange.record().timeline == [
        TimelineEntry(offsetMicroseconds: 90_000, tokens: 3),
        TimelineEntry(offsetMicroseconds: 102_035, tokens: nil),
      ])
  }

  @Test("A timeline that would be cut is none")
  func longTimeline() {
    var exchange = Exchange.streaming(keepsTimeline: true)
    exchange.read(100)
    for _ in 0..<100_000 { exchange.token() }
    #expect(exchange.record().timeline?.count == 100_000)
    exchange.token()
    #expect(exchange.record().timeline == nil)
  }

  @Test("Long names from a server or a client are cut")
  func longNames() {
    var exchange = Exchange.streaming()
    let path = exchange.record { $0.path = "/" + String(repeating: "x", count: 60_000) }.path
    #expect(path?.utf8.count == 256)
    exchange.event { $0.responseModel = String(repeating: "ü", count: 1_000) }
    #expect(exchange.record().responseModel == String(repeating: "ü", count: 128))
  }
}
