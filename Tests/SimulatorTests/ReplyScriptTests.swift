// The course of an answer: tokens, limits, stalls and faults, step by step.
import Clocks
import Testing

@testable import Simulator

@Suite("The course of an answer")
struct ReplyScriptTests {
  func behaviour(tokens: String = "5", perEvent: Int = 1) throws -> Behaviour {
    var behaviour = try Behaviour()
    behaviour.ttft = try Distribution(duration: "30ms")
    behaviour.interval = try Distribution(duration: "20ms")
    behaviour.tokens = try Distribution(count: tokens)
    behaviour.tokensPerEvent = try Distribution(count: "\(perEvent)")
    return behaviour
  }

  func steps(_ behaviour: Behaviour, limit: Int? = nil) -> [ReplyScript.Step] {
    var script = ReplyScript(behaviour, limit: limit, source: RandomSource(seed: 1))
    var steps: [ReplyScript.Step] = []
    while steps.count < 100 {
      let step = script.next()
      steps.append(step)
      switch step {
      case .tokens, .merged, .swallowed: continue
      case .finish, .fault: return steps
      }
    }
    return steps
  }

  @Test("Events carry what they were told to, the last one the rest")
  func perEvent() throws {
    #expect(try steps(behaviour(perEvent: 2)) == [.tokens(2), .tokens(2), .tokens(1), .finish])
  }

  @Test("Events carry what a distribution gives, and never nothing")
  func distribution() throws {
    var behaviour = try behaviour(tokens: "200")
    behaviour.tokensPerEvent = try Distribution(count: "uniform:0,4")
    let counts = steps(behaviour).compactMap { if case .tokens(let count) = $0 { count } else { nil } }
    #expect(counts.reduce(0, +) == 200 && Set(counts) == [1, 2, 3, 4])
  }

  @Test("A token that is merged has no event of its own, unless it is the last")
  func merged() throws {
    var behaviour = try behaviour(tokens: "6")
    behaviour.mergeEvery = 2
    #expect(
      steps(behaviour) == [.tokens(1), .merged(1), .tokens(1), .merged(1), .tokens(1), .tokens(1), .finish])
  }

  @Test("Tokens are swallowed from the first to the last that is told")
  func swallowed() throws {
    var behaviour = try behaviour(tokens: "7", perEvent: 2)
    behaviour.swallow = (afterTokens: 1, tokens: 3)
    #expect(steps(behaviour) == [.tokens(1), .swallowed(2), .swallowed(1), .tokens(2), .tokens(1), .finish])
  }

  @Test("The request's limit cuts the answer, and says so")
  func limit() throws {
    #expect(try steps(behaviour(), limit: 2) == [.tokens(1), .tokens(1), .finish])
    #expect(try ReplyScript(behaviour(), limit: 2, source: RandomSource(seed: 1)).isCutByLimit)
    #expect(try !ReplyScript(behaviour(), limit: 5, source: RandomSource(seed: 1)).isCutByLimit)
  }

  @Test("A fault strikes after exactly its number of tokens, also at the very end")
  func faults() throws {
    var behaviour = try behaviour(perEvent: 2)
    behaviour.fault = Fault(kind: .cut, afterTokens: 3)
    #expect(steps(behaviour) == [.tokens(2), .tokens(1), .fault(.cut)])
    behaviour.fault = Fault(kind: .error, afterTokens: 0)
    #expect(steps(behaviour) == [.fault(.error)])
    behaviour.fault = Fault(kind: .reset, afterTokens: 5)
    #expect(steps(behaviour) == [.tokens(2), .tokens(2), .tokens(1), .fault(.reset)])
    behaviour.fault = Fault(kind: .reset, afterTokens: 6)
    #expect(steps(behaviour).last == .finish)
  }

  @Test("A stall lengthens the one pause behind its token")
  func stall() throws {
    var behaviour = try behaviour()
    behaviour.stall = (afterTokens: 2, nanoseconds: 1_000_000_000)
    var script = ReplyScript(behaviour, limit: nil, source: RandomSource(seed: 1))
    var pauses: [Int64] = []
    for _ in 0..<4 {
      _ = script.next()
      pauses.append(script.pause())
    }
    #expect(pauses == [20_000_000, 1_020_000_000, 20_000_000, 20_000_000])
  }

  @Test("Spread first tokens lie anywhere within one interval, and nowhere else")
  func spread() throws {
    var behaviour = try behaviour()
    behaviour.spreadsPhase = true
    let ttfts = (0..<200).map {
      ReplyScript(behaviour, limit: nil, source: RandomSource(seed: 1, stream: $0)).ttftNanoseconds
    }
    #expect(ttfts.allSatisfy { (30_000_000..<50_000_000).contains($0) })
    for millisecond in 30..<50 {
      #expect(ttfts.contains { $0 / 1_000_000 == millisecond }, "none within \(millisecond) ms")
    }
  }

  @Test("The deadline queue gives back in order, and nothing early")
  func deadlines() {
    var queue = DeadlineQueue<Int>()
    var source = RandomSource(seed: 3)
    let keys = (0..<500).map { _ in Int(source.next() % 1000) }
    for key in keys { queue.insert(key, at: Instant(nanoseconds: UInt64(key))) }
    var popped: [Int] = []
    while let key = queue.popDue(by: Instant(nanoseconds: 499)) { popped.append(key) }
    #expect(popped == keys.filter { $0 < 500 }.sorted())
    #expect(queue.nextAt == keys.filter { $0 >= 500 }.min().map { Instant(nanoseconds: UInt64($0)) })
  }

  @Test("Nanoseconds since 1970 become a date")
  func dates() {
    func text(_ nanoseconds: Int64) -> String {
      var bytes: [UInt8] = []
      bytes.append(utc: nanoseconds)
      return String(decoding: bytes, as: UTF8.self)
    }
    #expect(text(0) == "1970-01-01T00:00:00.000000000Z")
    #expect(text(951_782_399_000_000_001) == "2000-02-28T23:59:59.000000001Z")
    #expect(text(951_782_400_000_000_000) == "2000-02-29T00:00:00.000000000Z")
    #expect(text(1_795_226_298_069_889_039) == "2026-11-21T01:58:18.069889039Z")
  }
}
