// Which exchanges feed which series, and that clients cannot make a page of metrics grow without bound.
// It must not render: the page has its own tests.
import Clocks
import Measurement
import Metrics
import Synchronization
import Testing

@testable import Proxy

@Suite("Series by model") struct ModelMetricsTests {
  private static func record(
    _ model: String?, answeredBy responseModel: String? = nil, _ outcome: Outcome = .ok,
    dialect: String? = "openai.chat"
  ) -> ExchangeRecord {
    var record = ExchangeRecord()
    record.dialect = dialect
    record.model = model
    record.responseModel = responseModel
    record.outcome = outcome
    record.totalMilliseconds = 1_000
    record.ttftMilliseconds = 50
    record.tpotMilliseconds = 12.5
    record.inputTokens = 7
    record.outputTokens = 11
    return record
  }

  private static func count(_ record: ExchangeRecord, in tally: ModelMetrics) {
    var meter = ExchangeMeter(received: .now(), keepsTimeline: false)
    tally.count(record, &meter)
  }

  private static func count(_ records: [ExchangeRecord], limit: Int = 100) -> [OperationCounters] {
    let registry = ModelRegistry(limit: limit)
    let tally = ModelMetrics(registry: registry)
    for record in records { Self.count(record, in: tally) }
    return registry.all
  }

  @Test(
    "What ended well feeds every distribution of its model; what did not, its duration by outcome and its tokens only")
  func outcomes() throws {
    let all = Self.count([Self.record("m"), Self.record("m", .clientCancelled), Self.record("m")])
    #expect(all.map(\.operation.error) == [nil, .clientCancelled])
    let (well, cut) = (try #require(all.first), try #require(all.last))
    #expect(
      [well.duration.counts.count, well.timeToFirstToken.counts.count, well.timePerOutputToken.counts.count] == [
        2, 2, 2,
      ])
    #expect(
      [cut.duration.counts.count, cut.timeToFirstToken.counts.count, cut.timePerOutputToken.counts.count] == [1, 0, 0])
    #expect([well.inputTokens.count, well.outputTokens.count, cut.outputTokens.count] == [14, 22, 11])
  }

  @Test("A time that equals a bound is within it")
  func bounds() throws {
    let counts = try #require(Self.count([Self.record("m")]).first).timePerOutputToken.counts
    #expect(counts.inBucket.firstIndex(of: 1) == 6)
    #expect(counts.sum == 12_500_000)
  }

  @Test("What no dialect claims has no series")
  func unclaimed() {
    #expect(Self.count([Self.record("m", dialect: nil)]).isEmpty)
  }

  @Test("Beyond the limit models are counted as other, and one that is known keeps its own")
  func limit() {
    let asked = (0..<50).map { Self.record("model-\($0)") } + [Self.record("model-1")]
    let all = Self.count(asked, limit: 3)
    #expect(all.map(\.operation.model) == ["model-0", "model-1", "model-2", "other"])
    #expect(all.map { $0.duration.counts.count } == [1, 2, 1, 47])
  }

  @Test("Invented names make room for models that are used, and what was counted of them is other's")
  func invented() {
    let registry = ModelRegistry(limit: 3)
    let metrics = ModelMetrics(registry: registry)
    for number in 0..<1_000 { Self.count(Self.record("invented-\(number)"), in: metrics) }
    for model in ["a", "b", "c"] { for _ in 0..<20 { Self.count(Self.record(model), in: metrics) } }
    Self.count(Self.record("a", .timeout), in: metrics)
    let shown = registry.all.filter { $0.operation.error == nil }.map(\.operation.model)
    #expect(Set(shown) == ["a", "b", "c", "other"] && shown.count == 4)
    #expect(registry.all.contains { $0.operation.model == "a" && $0.operation.error == .timeout })
    #expect(registry.all.reduce(0) { $0 + $1.duration.counts.count } == 1_061)
    let other = registry.all.first { $0.operation.model == "other" }
    #expect((other?.duration.counts.count ?? 0) >= 1_000 && (other?.inputTokens.count ?? 0) >= 7_000)
    // Names that come once each displace nobody, however many they are.
    for number in 0..<1_000 { Self.count(Self.record("more-\(number)"), in: metrics) }
    #expect(Set(registry.all.filter { $0.operation.error == nil }.map(\.operation.model)) == ["a", "b", "c", "other"])
  }

  @Test("A model that is not asked for any more makes room in time, one that is does not")
  func aged() {
    let clock = Mutex(Instant.at(0))
    let registry = ModelRegistry(limit: 2, now: { clock.withLock { $0 } })
    let metrics = ModelMetrics(registry: registry)
    for _ in 0..<64 {
      Self.count(Self.record("old"), in: metrics)
      Self.count(Self.record("lasting"), in: metrics)
    }
    for hour in 1...6 {
      clock.withLock { $0 = .at(UInt64(hour) * 3_600) }
      for _ in 0..<30 { Self.count(Self.record("lasting"), in: metrics) }
      for _ in 0..<2 { Self.count(Self.record("new"), in: metrics) }
    }
    let shown = Set(registry.all.map(\.operation.model))
    #expect(shown.contains("new") && shown.contains("lasting") && !shown.contains("old"))
  }

  @Test("A model that was never answered for gets no series of its own, whatever clients ask for")
  func unanswered() {
    let failed = (0..<50).map { Self.record("guess-\($0)", .upstreamStatus) }
    let all = Self.count(failed + [Self.record("real")] + [Self.record("real", .timeout)])
    #expect(all.map(\.operation.model) == ["other", "real", "real"])
  }

  @Test("Workers share the limit, and the series of one model are the same for both")
  func workers() {
    let registry = ModelRegistry(limit: 1)
    for model in ["a", "b"] {
      let tally = ModelMetrics(registry: registry)
      Self.count(Self.record(model), in: tally)
      Self.count(Self.record("a"), in: tally)
    }
    #expect(registry.all.map(\.operation.model) == ["a", "other", "a"])
  }

  @Test("Operations and providers are named as OpenTelemetry names them")
  func names() {
    let named = ["openai.chat", "openai.completions", "ollama.chat", "ollama.generate"].map {
      let operation = Operation(dialect: $0)
      return "\(operation.provider) \(operation.name)"
    }
    #expect(named == ["openai chat", "openai text_completion", "ollama chat", "ollama text_completion"])
  }
}
