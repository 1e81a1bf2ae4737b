// The meter's instants and speeds, against made-up exchanges whose every number is known beforehand.
import Clocks
import Measurement
import Testing
import TokenWire

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

  @Test("Where tokens came before the request was complete, there is no rate from its end on")
  func tokensBeforeTheRequestsEnd() {
    var exchange = Exchange.streaming()
    for at in [5.0, 6, 1010] {
      exchange.read(at)
      exchange.token()
    }
    exchange.event { $0.usage = TokenUsage(output: 3) }
    let record = exchange.record()
    #expect(record.outputTokens == 3 && record.ttftMilliseconds == nil)
    #expect(isNear(record.ttltMilliseconds, 1000))
    #expect(record.tokensPerSecondEndToEnd == nil)
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
