// The meter against made-up exchanges whose every number is known beforehand.
// It must not read a clock: every instant here is made up.
import Clocks
import Measurement
import Testing
import TokenWire

/// An exchange in the making, with times in milliseconds after the request's first byte.
private struct Exchange: ~Copyable {
  static let start: UInt64 = 1_000_000_000_000
  var meter: ExchangeMeter

  init(keepsTimeline: Bool = false) {
    meter = ExchangeMeter(
      received: WallAnchor(realtimeNanoseconds: 1_763_688_000_123_456_789, instant: Self.at(0)),
      keepsTimeline: keepsTimeline)
  }

  /// A streaming exchange whose request was complete at 10 ms and whose head came at 50 ms.
  static func streaming(keepsTimeline: Bool = false) -> Exchange {
    var exchange = Exchange(keepsTimeline: keepsTimeline)
    exchange.meter.requestComplete(at: at(10))
    exchange.meter.connected(startedAt: at(10), at: at(12), reused: false)
    exchange.meter.responseHead(firstByteAt: at(50), completeAt: at(51))
    exchange.meter.measures(.stream)
    return exchange
  }

  var hasOutput: Bool {
    mutating get { meter.hasOutput }
  }

  static func at(_ milliseconds: Double) -> Instant {
    Instant(nanoseconds: start + UInt64((milliseconds * 1e6).rounded()))
  }

  mutating func read(_ milliseconds: Double, lag: Double = 0, source: Arrival.Source = .kernel) {
    meter.beginRead(Arrival(at: Self.at(milliseconds), readAt: Self.at(milliseconds + lag), source: source))
  }

  /// An event of one choice's output.
  mutating func token(
    choice: Int = 0, scalars: Int = 4, kinds: OutputKinds = .answer, ids: Int? = nil, usage: Int? = nil,
    server: Int? = nil, finish: String? = nil
  ) {
    var observation = Observation()
    observation.outputs = [ChoiceOutput(choice: choice, scalars: scalars, kinds: kinds, tokens: ids)]
    if let usage {
      observation.usage = TokenUsage(input: 7, output: usage)
      observation.usageChoice = choice
    }
    if let server { observation.serverCounts = TokenUsage(output: server) }
    observation.finishReason = finish
    meter.observe(observation)
  }

  mutating func event(_ change: (inout Observation) -> Void = { _ in }) {
    var observation = Observation()
    change(&observation)
    meter.observe(observation)
  }

  mutating func record(_ change: (inout ExchangeRecord) -> Void = { $0.dialect = "openai.chat" }) -> ExchangeRecord {
    var record = ExchangeRecord()
    change(&record)
    meter.fill(&record)
    return record
  }
}

private func isNear(_ a: Double?, _ b: Double, _ tolerance: Double = 1e-9) -> Bool {
  guard let a else { return false }
  return (a - b).magnitude <= tolerance * max(1, b.magnitude)
}

@Suite("ExchangeMeter: instants and speeds")
struct MeterInstantTests {
  @Test("A plain stream gives every number of Metrics.md")
  func plainStream() {
    var exchange = Exchange.streaming()
    exchange.read(51)
    exchange.event()
    exchange.read(110, lag: 0.25)
    exchange.token(kinds: .reasoning)
    exchange.read(130)
    exchange.token(scalars: 6)
    exchange.read(160)
    exchange.token(scalars: 10, finish: "stop")
    exchange.event { $0.usage = TokenUsage(input: 30, cached: 20, output: 6, reasoning: 2) }
    exchange.event { $0.isTerminator = true }
    exchange.meter.ended(at: Exchange.at(165))
    let record = exchange.record()

    #expect(record.timestampNanoseconds == 1_763_688_000_123_456_789)
    #expect(isNear(record.uploadMilliseconds, 10))
    #expect(isNear(record.connectMilliseconds, 2))
    #expect(record.upstreamReused == false)
    #expect(isNear(record.ttfbMilliseconds, 40))
    #expect(isNear(record.ttfeMilliseconds, 41))
    #expect(isNear(record.ttftMilliseconds, 100))
    #expect(isNear(record.ttfaMilliseconds, 120))
    #expect(isNear(record.ttltMilliseconds, 150))
    #expect(isNear(record.totalMilliseconds, 155))
    #expect(record.waitedMilliseconds == nil)
    #expect(isNear(record.tpotMilliseconds, 10))
    #expect(isNear(record.tokensPerSecond, 100))
    #expect(isNear(record.tokensPerSecondEndToEnd, 40))
    #expect(isNear(record.charsPerSecond, 320))
    #expect(record.gapsMilliseconds == Quantiles(p50: 20, p90: 30, p99: 30, max: 30))
    #expect(record.itlMilliseconds == nil)
    #expect((record.inputTokens, record.cachedTokens, record.outputTokens) == (30, 20, 6))
    #expect(record.reasoningTokens == 2)
    #expect(record.tokensFrom == .usage)
    #expect(record.outputChars == 20)
    #expect((record.choices, record.events, record.coalescedEvents, record.reads) == (1, 3, 0, 3))
    #expect(record.clock == .kernel)
    #expect(isNear(record.loopLagMicroseconds, 250))
    #expect(record.finishReason == "stop")
    #expect(record.timeline == nil)
    let sawTerminator = exchange.meter.sawTerminator
    #expect(sawTerminator)
  }

  @Test("A single token has a TTFT and no TPOT")
  func singleToken() {
    var exchange = Exchange.streaming()
    exchange.read(110)
    exchange.token()
    exchange.event { $0.usage = TokenUsage(output: 1) }
    let record = exchange.record()
    #expect(isNear(record.ttftMilliseconds, 100))
    #expect(record.tpotMilliseconds == nil && record.tokensPerSecond == nil && record.charsPerSecond == nil)
    #expect(record.gapsMilliseconds == nil && record.itlMilliseconds == nil)
    #expect(isNear(record.tokensPerSecondEndToEnd, 10))
  }

  @Test("Tokens that all came in one read have no TPOT, not one of 0")
  func oneRead() {
    var exchange = Exchange.streaming()
    exchange.read(110)
    for _ in 0..<5 { exchange.token() }
    let record = exchange.record()
    #expect(record.tpotMilliseconds == nil && record.tokensPerSecond == nil && record.charsPerSecond == nil)
    #expect((record.events, record.coalescedEvents, record.reads) == (5, 4, 1))
    #expect(record.gapsMilliseconds == Quantiles(p50: 0, p90: 0, p99: 0, max: 0))
  }

  @Test("Hidden reasoning leaves no TTFT, and is not counted into TPOT")
  func hiddenReasoning() {
    var hidden = Exchange.streaming()
    hidden.read(900)
    hidden.event { $0.usage = TokenUsage(output: 100, reasoning: 100) }
    hidden.meter.ended(at: Exchange.at(910))
    let silent = hidden.record()
    #expect(silent.ttftMilliseconds == nil && silent.ttltMilliseconds == nil)
    #expect(silent.outputTokens == 100)
    #expect(silent.events == 0)
    #expect(isNear(silent.waitedMilliseconds, 900))

    var partly = Exchange.streaming()
    partly.read(900)
    partly.token()
    partly.read(920)
    partly.token()
    partly.event { $0.usage = TokenUsage(output: 102, reasoning: 100) }
    let record = partly.record()
    #expect(record.tpotMilliseconds == nil && record.tokensPerSecond == nil)
    #expect(isNear(record.tokensPerSecondEndToEnd, 102 / 0.91))
  }

  @Test("Tool calls and reasoning are tokens, but no answer; an empty token is one too")
  func firstAnswer() {
    var exchange = Exchange.streaming()
    exchange.read(60)
    exchange.token(scalars: 0, kinds: [])
    exchange.read(70)
    exchange.token(kinds: .toolCall)
    let record = exchange.record()
    #expect(isNear(record.ttftMilliseconds, 50))
    #expect(record.ttfaMilliseconds == nil)
  }

  @Test("A request that never was complete has no interval at all")
  func noRequest() {
    var exchange = Exchange()
    exchange.meter.ended(at: Exchange.at(500))
    let record = exchange.record()
    #expect(record.uploadMilliseconds == nil && record.totalMilliseconds == nil && record.waitedMilliseconds == nil)
    #expect(record.connectMilliseconds == nil && record.upstreamReused == nil && record.clock == nil)
    #expect(record.clientStalledMilliseconds == nil && record.loopLagMicroseconds == nil)
  }

  @Test("What came before the request was complete has no time from it")
  func earlyAnswer() {
    var exchange = Exchange()
    exchange.meter.responseHead(firstByteAt: Exchange.at(5), completeAt: Exchange.at(6))
    exchange.meter.requestComplete(at: Exchange.at(10))
    exchange.meter.ended(at: Exchange.at(12))
    let record = exchange.record()
    #expect(record.ttfbMilliseconds == nil)
    #expect(isNear(record.totalMilliseconds, 2))
  }

  @Test("A second connection counts its wait from the first")
  func retriedConnection() {
    var exchange = Exchange()
    exchange.meter.connected(startedAt: Exchange.at(10), at: Exchange.at(11), reused: true)
    exchange.meter.connected(startedAt: Exchange.at(15), at: Exchange.at(18), reused: false)
    let record = exchange.record()
    #expect(isNear(record.connectMilliseconds, 8))
    #expect(record.upstreamReused == false)
  }

  @Test("A stream that never gets a token says how long it waited; a passed-through path does not")
  func waited() {
    var exchange = Exchange.streaming()
    exchange.meter.ended(at: Exchange.at(2_010))
    #expect(isNear(exchange.record().waitedMilliseconds, 2_000))
    #expect(exchange.record { _ in }.waitedMilliseconds == nil)

    var unanswered = Exchange()
    unanswered.meter.requestComplete(at: Exchange.at(10))
    unanswered.meter.ended(at: Exchange.at(40))
    #expect(isNear(unanswered.record().waitedMilliseconds, 30))
    let whole = unanswered.record {
      $0.dialect = "openai.chat"
      $0.stream = false
    }
    #expect(whole.waitedMilliseconds == nil)
  }

  @Test("An error's body ends the wait", arguments: [400, 503])
  func waitedForAnError(status: Int) {
    var exchange = Exchange()
    exchange.meter.requestComplete(at: Exchange.at(10))
    exchange.meter.responseHead(firstByteAt: Exchange.at(20), completeAt: Exchange.at(20))
    exchange.meter.ended(at: Exchange.at(30))
    let record = exchange.record {
      $0.dialect = "openai.chat"
      $0.status = status
      $0.stream = false
    }
    #expect(isNear(record.waitedMilliseconds, 20))
  }

  @Test("Output begins with the first token, not with the head")
  func output() {
    var exchange = Exchange()
    exchange.meter.requestComplete(at: Exchange.at(1))
    exchange.meter.measures(.stream)
    exchange.meter.responseHead(firstByteAt: Exchange.at(4), completeAt: Exchange.at(4))
    let early = exchange.hasOutput
    #expect(!early)
    exchange.read(5)
    exchange.token()
    let hasOutput = exchange.hasOutput
    #expect(hasOutput)
  }
}

@Suite("ExchangeMeter: token counts")
struct MeterCountTests {
  @Test("Without any count the events are counted, and said to be")
  func byEvents() {
    var exchange = Exchange.streaming()
    for token in 0..<4 {
      exchange.read(100 + Double(token) * 10)
      exchange.token()
    }
    let record = exchange.record()
    #expect((record.outputTokens, record.tokensFrom) == (4, .events))
    #expect(isNear(record.tpotMilliseconds, 10))
    #expect(record.itlMilliseconds == nil)
  }

  @Test("Ids on every event beat counting events; on some events they are no count")
  func byIDs() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.token(ids: 8)
    exchange.read(110)
    exchange.token(ids: 3)
    #expect((exchange.record().outputTokens, exchange.record().tokensFrom) == (11, .ids))
    exchange.token()
    #expect((exchange.record().outputTokens, exchange.record().tokensFrom) == (3, .events))
  }

  @Test("Continuous usage survives an abort; with its finish reason it is the usage")
  func continuous() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.token(usage: 8)
    exchange.read(110)
    exchange.token(usage: 19)
    #expect((exchange.record().outputTokens, exchange.record().tokensFrom) == (19, .continuous))
    #expect(exchange.record().inputTokens == 7)
    exchange.token(usage: 41, finish: "stop")
    #expect((exchange.record().outputTokens, exchange.record().tokensFrom) == (41, .usage))
  }

  @Test("A usage of the exchange beats the server's other reports, and those beat continuous usage")
  func precedence() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.token(ids: 2, usage: 3, server: 4)
    #expect((exchange.record().outputTokens, exchange.record().tokensFrom) == (4, .server))
    exchange.event { $0.usage = TokenUsage(input: 9, output: 5) }
    let record = exchange.record()
    #expect((record.outputTokens, record.tokensFrom, record.inputTokens) == (5, .usage, 9))
  }

  @Test("A count of 0 beside tokens is no count; beside none it is")
  func zeroCount() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.event { $0.usage = TokenUsage(input: 5, output: 0) }
    #expect((exchange.record().outputTokens, exchange.record().tokensFrom) == (0, .usage))
    exchange.token(server: 0)
    #expect((exchange.record().outputTokens, exchange.record().tokensFrom) == (1, .events))
    exchange.token(ids: 0)
    #expect((exchange.record().outputTokens, exchange.record().tokensFrom) == (2, .events))
  }

  @Test("The last usage that is not null counts, field by field")
  func lastUsage() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.event { $0.usage = TokenUsage(input: 43, cached: 10) }
    exchange.token()
    exchange.event { $0.usage = TokenUsage(input: 61, output: 6) }
    let record = exchange.record()
    #expect((record.inputTokens, record.cachedTokens, record.outputTokens) == (61, 10, 6))
  }

  @Test("Several choices: counts are summed, gaps are per choice, and there is no TPOT")
  func severalChoices() {
    var exchange = Exchange.streaming()
    for step in 1...4 {
      exchange.read(Double(100 + 20 * step))
      exchange.token(choice: 0, usage: step)
      exchange.read(Double(105 + 20 * step))
      exchange.token(choice: 1, usage: 2 * step)
    }
    let record = exchange.record()
    #expect((record.choices, record.outputTokens, record.tokensFrom) == (2, 12, .continuous))
    #expect(record.tpotMilliseconds == nil && record.tokensPerSecond == nil)
    #expect(record.gapsMilliseconds == Quantiles(p50: 20, p90: 20, p99: 20, max: 20))
    #expect(record.itlMilliseconds == Quantiles(p50: 10, p90: 20, p99: 20, max: 20))
  }

  @Test("A second choice that says nothing is a choice: whose the tokens are is not known, and there is no TPOT")
  func silentChoice() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.event { $0.silentChoices = [0, 1] }
    for step in 1...3 {
      exchange.read(Double(100 + 20 * step))
      exchange.token()
    }
    exchange.event { $0.usage = TokenUsage(input: 7, output: 4) }
    let record = exchange.record()
    #expect((record.choices, record.outputTokens, record.tokensFrom) == (2, 4, .usage))
    #expect(record.tpotMilliseconds == nil && record.tokensPerSecond == nil)
    #expect(record.gapsMilliseconds == Quantiles(p50: 20, p90: 20, p99: 20, max: 20))
  }

  @Test("A usage for one of two choices is no count of both, unless it is the only one and the last")
  func usageOfOneChoice() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.token(choice: 0, usage: 5)
    exchange.token(choice: 1)
    #expect((exchange.record().outputTokens, exchange.record().tokensFrom) == (2, .events))

    var final = Exchange.streaming()
    final.read(100)
    final.token(choice: 0)
    final.token(choice: 1, usage: 9, finish: "stop")
    #expect((final.record().outputTokens, final.record().tokensFrom) == (9, .usage))
  }

  @Test("Reasoning that is counted beside one of two choices is not that of both")
  func reasoningOfOneChoice() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.token(choice: 0)
    exchange.token(choice: 1)
    exchange.event {
      $0.usage = TokenUsage(output: 9, reasoning: 4)
      $0.usageChoice = 1
      $0.finishReason = "stop"
    }
    #expect(exchange.record().outputTokens == 9)
    #expect(exchange.record().reasoningTokens == nil)
  }

  @Test("An index that counts tokens makes choices and gaps unknown, and costs no memory")
  func runawayIndex() {
    var exchange = Exchange.streaming()
    for index in 0..<10_000 {
      exchange.read(100 + Double(index))
      exchange.token(choice: index, ids: 1)
    }
    let record = exchange.record()
    #expect(record.choices == nil && record.gapsMilliseconds == nil && record.itlMilliseconds == nil)
    #expect(record.tpotMilliseconds == nil)
    #expect((record.outputTokens, record.tokensFrom, record.events) == (10_000, .ids, 10_000))
  }

  @Test("A whole body has counts and no times but its end")
  func wholeBody() {
    var exchange = Exchange()
    exchange.meter.requestComplete(at: Exchange.at(10))
    exchange.meter.responseHead(firstByteAt: Exchange.at(50), completeAt: Exchange.at(51))
    exchange.meter.measures(.whole)
    exchange.read(60)
    exchange.event {
      $0.outputs = [ChoiceOutput(choice: 0, scalars: 12, kinds: .answer)]
      $0.usage = TokenUsage(input: 5, output: 3)
      $0.responseModel = "tiny"
      var durations = ServerDurations()
      durations.decodeMilliseconds = 4.5
      $0.serverDurations = durations
    }
    exchange.meter.ended(at: Exchange.at(60))
    let record = exchange.record()
    #expect((record.outputTokens, record.tokensFrom, record.outputChars, record.choices) == (3, .usage, 12, 1))
    #expect(isNear(record.totalMilliseconds, 50))
    #expect(record.server?.decodeMilliseconds == 4.5 && record.responseModel == "tiny")
    #expect(record.ttfeMilliseconds == nil && record.ttftMilliseconds == nil && record.ttltMilliseconds == nil)
    #expect(record.tokensPerSecondEndToEnd == nil && record.events == nil && record.reads == nil)
    #expect(record.gapsMilliseconds == nil && record.waitedMilliseconds == nil)
  }

  @Test("A body that nobody decodes leaves its tokens unknown, not 0")
  func unmeasured() {
    var exchange = Exchange()
    exchange.meter.requestComplete(at: Exchange.at(10))
    exchange.meter.responseHead(firstByteAt: Exchange.at(50), completeAt: Exchange.at(51))
    exchange.read(60)
    exchange.token()
    exchange.meter.ended(at: Exchange.at(61))
    let record = exchange.record { _ in }
    #expect(record.events == nil && record.outputTokens == nil && record.outputChars == nil && record.choices == nil)
    #expect(record.clientStalledMilliseconds == 0)
    let hasOutput = exchange.hasOutput
    #expect(hasOutput)
  }

  @Test("Measuring that stopped keeps what is known and nothing that would be wrong")
  func blind() {
    var exchange = Exchange.streaming(keepsTimeline: true)
    exchange.read(100)
    exchange.token(usage: 1)
    exchange.read(120)
    exchange.token(usage: 2)
    exchange.meter.measuringStopped()
    exchange.token(usage: 3)
    exchange.meter.ended(at: Exchange.at(500))
    let record = exchange.record()
    #expect(isNear(record.ttftMilliseconds, 90))
    #expect(isNear(record.totalMilliseconds, 490))
    #expect(record.inputTokens == 7)
    #expect(record.outputTokens == nil && record.tokensFrom == nil && record.outputChars == nil)
    #expect(record.ttltMilliseconds == nil && record.tpotMilliseconds == nil && record.charsPerSecond == nil)
    #expect(record.tokensPerSecondEndToEnd == nil && record.gapsMilliseconds == nil && record.itlMilliseconds == nil)
    #expect(record.events == nil && record.coalescedEvents == nil && record.reads == nil && record.choices == nil)
    #expect(record.timeline == nil && record.waitedMilliseconds == nil)
  }
}

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
