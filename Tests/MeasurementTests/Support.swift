// An exchange that a test makes up: every instant is its own, no clock is read.
import Clocks
import Measurement
import TokenWire

/// An exchange in the making, with times in milliseconds after the request's first byte.
struct Exchange: ~Copyable {
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
      observation.countedChoice = choice
    }
    if let server { observation.serverCounts = TokenUsage(output: server) }
    observation.finishReason = finish
    if finish != nil { observation.finishedChoices = [choice] }
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

func isNear(_ a: Double?, _ b: Double, _ tolerance: Double = 1e-9) -> Bool {
  guard let a else { return false }
  return (a - b).magnitude <= tolerance * max(1, b.magnitude)
}
