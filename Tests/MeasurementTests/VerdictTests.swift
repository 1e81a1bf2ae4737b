// What follows from counts and times together: late tokens, stalls, tokens that nobody got, buffering.
import Clocks
import Measurement
import Testing
import TokenWire

@Suite("ExchangeMeter: late tokens")
struct LateTokenTests {
  /// Tokens due at 110, 120, 130, … ms: t0 is 10 ms.
  private func exchange() -> Exchange {
    var exchange = Exchange.streaming()
    exchange.meter.heldTo(ttft: 100_000_000, tpot: 10_000_000)
    return exchange
  }

  @Test("Each token has its own deadline: what came early pays for what comes slowly")
  func deadlines() {
    var exchange = exchange()
    for at in [50.0, 120, 130.001, 139, 155] {
      exchange.read(at)
      exchange.token(usage: nil)
    }
    // Due at 110, 120, 130, 140, 150.
    #expect(exchange.record().lateTokens == 2)
  }

  @Test("Of an event with several tokens those are late whose time has passed")
  func severalTokens() {
    var exchange = exchange()
    exchange.read(105)
    exchange.token(ids: 1)
    exchange.read(141)
    // Due at 120, 130, 140, 150, 160.
    exchange.token(ids: 5)
    exchange.read(165)
    exchange.token(ids: 2)
    #expect(exchange.record().lateTokens == 3)
  }

  @Test("A token at its deadline is in time; without an objective there is no number")
  func exact() {
    var exchange = exchange()
    exchange.read(110)
    exchange.token(ids: 1)
    #expect(exchange.record().lateTokens == 0)
    var free = Exchange.streaming()
    free.read(9_000)
    free.token()
    #expect(free.record().lateTokens == nil)
  }

  @Test(
    "Where events do not say their tokens, and the count is another, nobody can tell", arguments: [(4, 1), (5, nil)])
  func unknownTokens(usage: Int, late: Int?) {
    var exchange = exchange()
    for at in [100.0, 110, 400] {
      exchange.read(at)
      exchange.token()
    }
    exchange.event { $0.usage = TokenUsage(output: usage) }
    #expect(exchange.record().lateTokens == late)
  }

  @Test("Two choices, an echo and hidden reasoning have no number")
  func unknown() {
    var two = exchange()
    two.read(400)
    two.token(choice: 0)
    two.token(choice: 1)
    #expect(two.record().lateTokens == nil)
    var echo = exchange()
    echo.meter.echoesPrompt = true
    echo.read(400)
    echo.token()
    #expect(echo.record().lateTokens == nil)
    var hidden = exchange()
    hidden.read(400)
    hidden.token(ids: 2)
    hidden.event { $0.usage = TokenUsage(output: 2, reasoning: 1) }
    #expect(hidden.record().lateTokens == nil)
  }

  @Test("An objective that comes behind the first token, or before the request is complete, holds nothing")
  func tooLate() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.token()
    exchange.meter.heldTo(ttft: 1, tpot: 1)
    #expect(exchange.record().lateTokens == nil)
    var early = Exchange()
    early.meter.heldTo(ttft: 1, tpot: 1)
    early.meter.measures(.stream)
    early.read(100)
    early.token()
    #expect(early.record().lateTokens == nil)
  }
}

@Suite("ExchangeMeter: stalls")
struct StallTests {
  private func stalls(_ count: Int, _ milliseconds: Double) -> Stalls.Tally {
    Stalls.Tally(count: count, milliseconds: milliseconds)
  }

  @Test("A silence between tokens is the server's; the wait for the first one is none")
  func server() {
    var exchange = Exchange.streaming()
    for at in [2_000.0, 2_499, 2_999, 4_000] {
      exchange.read(at)
      exchange.meter.delivered(at: Exchange.at(at))
      exchange.token()
    }
    exchange.meter.ended(at: Exchange.at(9_000))
    let record = exchange.record()
    #expect(record.stalls?.server == stalls(2, 1_501))
    #expect(record.stalls?.proxy == stalls(0, 0))
    #expect(record.stalls?.client == stalls(0, 0))
  }

  @Test("The silence in which an exchange was given up counts, behind its last token and not behind its terminator")
  func givenUp() {
    for (ended, count) in [(false, 1), (true, 0)] {
      var exchange = Exchange.streaming()
      exchange.read(100)
      exchange.token()
      if ended { exchange.event { $0.isTerminator = true } }
      exchange.meter.ended(at: Exchange.at(5_100))
      let record = exchange.record { record in
        record.dialect = "openai.chat"
        record.outcome = .clientCancelled
      }
      #expect(record.stalls?.server == stalls(count, count == 1 ? 5_000 : 0))
    }
  }

  @Test("What had arrived and was read late is the proxy's, once for all reads that waited in it")
  func proxy() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.token()
    for at in [110.0, 120] {
      exchange.meter.read(
        Arrival(at: Exchange.at(at), readAt: Exchange.at(899), source: .kernel), deliveredAt: Exchange.at(900))
      exchange.token()
    }
    let record = exchange.record()
    #expect(record.stalls?.proxy == stalls(1, 790))
    #expect(record.stalls?.server == stalls(0, 0))
  }

  @Test("What the client's socket takes late is the client's, once for all reads that wait")
  func client() {
    var exchange = Exchange.streaming()
    for at in [100.0, 110, 120] {
      exchange.read(at, lag: 1)
      exchange.token()
    }
    exchange.meter.delivered(at: Exchange.at(801))
    exchange.read(810)
    exchange.token()
    exchange.meter.ended(at: Exchange.at(1_500))
    let record = exchange.record()
    #expect(record.stalls?.client == stalls(2, 700 + 690))
    #expect(record.stalls?.proxy == stalls(0, 0))
    // From 120 to 810.
    #expect(record.stalls?.server == stalls(1, 690))
  }

  @Test("A silence in which the proxy did not read, because the client was slow, is not the server's")
  func pause() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.token()
    exchange.meter.clientStalled(nanoseconds: 600_000_000)
    exchange.meter.readingResumed(at: Exchange.at(710))
    exchange.meter.read(
      Arrival(at: Exchange.at(150), readAt: Exchange.at(711), source: .kernel), deliveredAt: Exchange.at(711))
    exchange.token()
    exchange.read(1_400)
    exchange.token()
    let record = exchange.record()
    #expect(record.stalls?.server == stalls(1, 1_250))
    #expect(record.stalls?.proxy == stalls(0, 0))
  }

  @Test("A pause does not excuse a later silence")
  func laterSilence() {
    var exchange = Exchange.streaming()
    exchange.read(100)
    exchange.token()
    exchange.meter.clientStalled(nanoseconds: 600_000_000)
    exchange.read(700)
    exchange.token()
    exchange.read(1_300)
    exchange.token()
    #expect(exchange.record().stalls?.server == stalls(1, 600))
  }

  @Test("What is no stream has no stalls")
  func whole() {
    var exchange = Exchange()
    exchange.meter.requestComplete(at: Exchange.at(10))
    exchange.meter.measures(.whole)
    exchange.read(2_000)
    exchange.token()
    let record = exchange.record()
    #expect(record.stalls == nil)
    #expect(record.buffered == nil)
    #expect(record.undeliveredTokens == nil)
  }
}

@Suite("ExchangeMeter: tokens that nobody got")
struct UndeliveredTests {
  @Test("Tokens of reads that the client's socket never took are counted apart")
  func pending() {
    var exchange = Exchange.streaming()
    exchange.meter.read(
      Arrival(at: Exchange.at(100), readAt: Exchange.at(100), source: .kernel), deliveredAt: Exchange.at(101))
    exchange.token(ids: 3)
    exchange.read(110)
    exchange.token(ids: 2)
    exchange.meter.delivered(at: Exchange.at(115))
    exchange.read(120)
    exchange.token(ids: 4)
    exchange.token()
    let record = exchange.record()
    #expect(record.undeliveredTokens == 5)
    #expect(record.outputTokens == 4)
  }

  @Test("Tokens behind the end of the client's side count if it turns out to have gone", arguments: [true, false])
  func behindTheEnd(isGone: Bool) {
    var exchange = Exchange.streaming()
    for (at, ends) in [(100.0, true), (110, true), (120, false)] {
      exchange.meter.read(
        Arrival(at: Exchange.at(at), readAt: Exchange.at(at), source: .kernel), deliveredAt: Exchange.at(at))
      exchange.token()
      if ends { exchange.meter.clientEndedSide() }
    }
    let record = exchange.record { record in
      record.dialect = "openai.chat"
      record.outcome = isGone ? .clientCancelled : .ok
    }
    #expect(record.undeliveredTokens == (isGone ? 2 : 0))
  }
}

@Suite("ExchangeMeter: buffering")
struct BufferingTests {
  private func record(_ times: [Double], decode: Double? = nil, tokens: Int? = nil) -> ExchangeRecord {
    var exchange = Exchange.streaming()
    for at in times {
      exchange.read(at)
      exchange.token()
    }
    exchange.event { observation in
      if let decode {
        var durations = ServerDurations()
        durations.decodeMilliseconds = decode
        observation.serverDurations = durations
      }
      if let tokens { observation.usage = TokenUsage(output: tokens) }
    }
    return exchange.record()
  }

  private func steady(_ count: Int, from first: Double = 300, every gap: Double) -> [Double] {
    (0..<count).map { first + Double($0) * gap }
  }

  @Test("Tokens at a model's pace are not buffered, one silence or not; few tokens tell nothing")
  func steadyStream() {
    #expect(record(steady(20, every: 10)).buffered == false)
    #expect(record(steady(10, every: 2) + steady(10, from: 9_000, every: 2)).buffered == false)
    #expect(record(steady(20, every: 10), decode: 200).buffered == false)
    #expect(record(steady(15, every: 0)).buffered == nil)
    #expect(record([]).buffered == nil)
  }

  @Test("Events in a few clumps are buffered, whatever the server says")
  func clumps() {
    let clumps = [300.0, 700, 1_100].flatMap { steady(12, from: $0, every: 0.01) }
    #expect(record(clumps).buffered == true)
  }

  @Test("All at once behind a long wait is buffered; behind a short one it may be a cache's answer")
  func atOnce() {
    #expect(record(steady(16, from: 300, every: 0.01)).buffered == true)
    #expect(record(steady(16, from: 100, every: 0.01)).buffered == false)
  }

  @Test("A server that decoded for longer than its tokens took to arrive was buffered, unless it hid its tokens")
  func serverSays() {
    #expect(record(steady(8, every: 5), decode: 400).buffered == true)
    #expect(record(steady(8, every: 5), decode: 400, tokens: 80).buffered == nil)
    #expect(record(steady(8, every: 5), decode: 40).buffered == nil)
  }

  @Test("Pairs and triples of events are buffered where the server says that it decoded steadily")
  func pairs() {
    let triples = (0..<8).flatMap { steady(3, from: 300 + Double($0) * 60, every: 0.3) }
    #expect(record(triples).buffered == false)
    #expect(record(triples, decode: 480).buffered == true)
  }
}
