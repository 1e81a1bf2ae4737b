// The meter's token counts: which source is believed, and what stays unknown.
import Clocks
import Measurement
import Testing
import TokenWire

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
    final.token(choice: 0, finish: "stop")
    final.token(choice: 1, usage: 9, finish: "stop")
    #expect((final.record().outputTokens, final.record().tokensFrom) == (9, .usage))
  }

  @Test("Reasoning that is counted beside one of two choices is not that of both")
  func reasoningOfOneChoice() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.token(choice: 0, finish: "stop")
    exchange.token(choice: 1)
    exchange.event {
      $0.finishedChoices = [1]
      $0.usage = TokenUsage(output: 9, reasoning: 4)
      $0.countedChoice = 1
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
