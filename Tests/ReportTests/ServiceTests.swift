// What a report says of people: who waited, gave up, was cut off, and got what was promised.
import Measurement
import Testing

@testable import Report

private func held(to objective: String) throws -> ReportOptions {
  var options = ReportOptions()
  let parsed: Objective = try #require(Objective(objective))
  options.objective = parsed
  return options
}

@Suite("Whom a server served well")
struct ServiceTests {
  private static func left(_ user: String, after total: String, stage: String = "waiting", waited: String? = nil)
    -> String
  {
    line([
      "user": "\"\(user)\"", "outcome": #""client_cancelled""#, "stage": "\"\(stage)\"", "total_ms": total,
      "waited_ms": waited ?? total, "ttft_ms": waited == nil ? "null" : "100", "tps": "null", "tpot_ms": "null",
    ])
  }

  @Test("Who gave up, when, and who of them had no token yet")
  func gaveUp() throws {
    let summary = summary(
      [
        Self.left("ann", after: "1000"), Self.left("ann", after: "3000"), Self.left("ann", after: "9000"),
        Self.left("bob", after: "500", stage: "streaming", waited: "null"), line(["user": #""bob""#]),
      ], by: .user)
    let (ann, bob) = (summary.groups[0], summary.groups[1])
    #expect(ann.gaveUp == 3 && ann.gaveUpWaiting == 3)
    #expect(abs(try #require(ann[.timeToGiveUp]).p50 - 3000) <= 3)
    #expect(bob.gaveUp == 1 && bob.gaveUpWaiting == 0 && bob[.timeToGiveUp]?.p50 == 500)
    #expect(summary.all.gaveUp == 4 && summary.all[.timeToGiveUp]?.count == 4)
  }

  @Test("Who waited: until a first token, or in vain")
  func waited() {
    let all = summary([line(["ttft_ms": "250"]), Self.left("ann", after: "1750")]).all
    #expect(all.waitedSeconds == 2)
  }

  @Test("Cut off is what had begun and was not whole, by the server's doing")
  func cutOff() {
    let ended = { (outcome: String, stage: String) in line(["outcome": "\"\(outcome)\"", "stage": "\"\(stage)\""]) }
    let all = summary([
      ended("truncated", "streaming"), ended("stream_error", "streaming"), ended("timeout", "streaming"),
      ended("timeout", "waiting"), ended("client_cancelled", "streaming"), ended("upstream_unreachable", "connecting"),
      line(),
    ]).all
    #expect(all.cutOff == 3)
  }

  @Test("Tokens for clients that had left are summed where the log has them")
  func undelivered() {
    #expect(summary([line()]).all.undeliveredTokens == nil)
    let all = summary([line(["undelivered_tokens": "7"]), line(["undelivered_tokens": "5"]), line()]).all
    #expect(all.undeliveredTokens == 12 && all.withUndeliveredTokens == 2)
  }

  @Test(
    "Goodput is joint, and what nobody can tell is left out",
    arguments: [
      ([:], Compliance.met),
      (["ttft_ms": "500"], .met), (["ttft_ms": "500.001"], .missed), (["tpot_ms": "30.001"], .missed),
      (["ttft_ms": "501", "tpot_ms": "31"], .missed),
      // One token has no time per token; no known time is not zero.
      (["tpot_ms": "null", "output_tokens": "1"], .met), (["tpot_ms": "null"], .unknown),
      (["tpot_ms": "null", "ttft_ms": "501"], .missed), (["ttft_ms": "null", "tpot_ms": "null"], .unknown),
      (["outcome": #""truncated""#], .missed), (["outcome": #""timeout""#, "ttft_ms": "null"], .missed),
      (["outcome": #""upstream_status""#, "status": "503"], .missed),
      (["outcome": #""upstream_status""#, "status": "429"], .missed),
      (["outcome": #""upstream_status""#, "status": "400"], .unknown),
      // A client that left in time says nothing of the server; one that left too late does.
      (["outcome": #""client_cancelled""#, "ttft_ms": "null", "waited_ms": "400", "tpot_ms": "null"], .unknown),
      (["outcome": #""client_cancelled""#, "ttft_ms": "null", "waited_ms": "600", "tpot_ms": "null"], .missed),
      (["outcome": #""client_cancelled""#], .unknown),
      (["dialect": "null", "outcome": #""upstream_unreachable""#], .unknown),
    ] as [([String: String], Compliance)])
  func goodput(_ changes: [String: String], _ compliance: Compliance) throws {
    let goodput = try #require(summary([line(changes)], options: held(to: "ttft=500ms,tpot=30ms")).all.goodput)
    #expect(goodput.met == (compliance == .met ? 1 : 0))
    #expect(goodput.judged == (compliance == .unknown ? 0 : 1))
    #expect(goodput.unknown == (compliance == .unknown ? 1 : 0))
    #expect(summary([line(changes)]).all.goodput == nil)
  }

  @Test("An objective of one part is held to that part")
  func onePart() throws {
    let slow = line(["ttft_ms": "9000", "tpot_ms": "10"])
    #expect(try summary([slow], options: held(to: "tpot=30ms")).all.goodput?.share == 1)
    #expect(try summary([slow], options: held(to: "ttft=1s")).all.goodput?.share == 0)
  }

  @Test("By deadline: the share with no token late, of those whose record says it")
  func onTime() throws {
    let lines = [
      line(["late_tokens": "0"]), line(["late_tokens": "0"]), line(["late_tokens": "3"]), line(),
      line(["late_tokens": "0", "outcome": #""client_cancelled""#]),
      line(["late_tokens": "0", "outcome": #""truncated""#]),
    ]
    let onTime = try #require(summary(lines).all.onTime)
    #expect(onTime.met == 2 && onTime.judged == 4 && onTime.share == 0.5)
    #expect(summary([line()]).all.onTime == nil)
  }

  @Test(
    "MLPerf's limits are objectives by name, the interactive ones stricter",
    arguments: [
      ("mlperf:llama3.1-8b", 2000.0, 100.0), ("mlperf:llama3.1-8b-interactive", 500, 30),
      ("mlperf:llama2-70b", 2000, 200),
      ("mlperf:llama2-70b-interactive", 450, 40), ("mlperf:mixtral-8x7b", 2000, 200),
      ("mlperf:llama3.1-405b", 6000, 175),
      ("mlperf:llama3.1-405b-interactive", 4500, 80), ("mlperf:deepseek-r1", 2000, 80),
      ("mlperf:deepseek-r1-interactive", 1500, 15), ("mlperf:gpt-oss-120b", 3000, 80),
      ("mlperf:gpt-oss-120b-interactive", 2000, 20),
    ])
  func presets(_ name: String, _ ttft: Double, _ tpot: Double) throws {
    let objective = try #require(Objective(name))
    #expect(objective.ttft == UInt64(ttft * 1000) && objective.tpot == UInt64(tpot * 1000))
    #expect(MLPerfLimits.all.count == 11)
  }

  @Test("What is no objective is none", arguments: ["", "mlperf:", "mlperf:gpt-5", "ttft=fast", "500ms"])
  func noObjective(_ text: String) { #expect(Objective(text) == nil) }

  @Test("A front end's own calls are counted, and in no distribution unless they are asked for")
  func tasks() {
    let lines = [
      line(), line(["task": #""title""#, "ttft_ms": "9000"]),
      line(["task": #""title""#, "outcome": #""client_cancelled""#, "waited_ms": "5"]),
    ]
    let without = summary(lines)
    #expect(without.all.requests == 3 && without.all.tasks == 2 && without.all[.ttft]?.max == 100)
    #expect(without.all[.censoredWait] == nil && without.all.gaveUp == 0 && without.inFlight.first?.exchanges == 1)
    let text = ReportText(without, columns: 200) { _ in "TIME" }.lines().joined(separator: "\n")
    #expect(text.contains("in the distributions, unless --include-tasks is given: 2"))
    var options = ReportOptions()
    options.includesTasks = true
    let with = summary(lines, options: options)
    #expect(with.all.tasks == 0 && with.all[.ttft]?.max == 9000 && with.all.gaveUp == 1)
  }

  @Test(
    "By user the table shows it in 80 columns, with goodput and deadlines where there are any",
    arguments: [60, 80, 120])
  func table(columns: Int) throws {
    let lines = [
      line(["late_tokens": "0", "undelivered_tokens": "0"]),
      line(["user": #""bob""#, "ttft_ms": "700", "late_tokens": "4"]),
      Self.left("bob", after: "7000"),
    ]
    let text = try ReportText(
      summary(lines, by: .user, options: held(to: "mlperf:llama3.1-8b-interactive")), columns: columns
    ) {
      _ in "TIME"
    }.lines()
    for line in text { #expect(TerminalText.width(line) <= columns, "\(line)") }
    let all = text.joined(separator: " ")
    for title in ["WAITED", "GAVE UP", "NO TOKEN", "AFTER P50", "CUT OFF", "TOKENS LOST", "IN SLO", "ON TIME"] {
      #expect(all.contains(title))
    }
    #expect(all.contains("33.3 %") && all.contains("50 %") && all.contains("(ttft=500ms,tpot=30ms)"))
  }

  @Test("JSON has the same by stable names")
  func json() throws {
    let lines = [line(["late_tokens": "0", "undelivered_tokens": "3"]), Self.left("bob", after: "7000")]
    let text = try summary(lines, by: .user, options: held(to: "ttft=500ms,tpot=30ms")).json { "\($0)" }
    let checked = parse(text) { root in
      #expect(root["slo"]?["ttft_ms"]?.double == 500 && root["slo"]?["tpot_ms"]?.double == 30)
      let all = root["all"]
      #expect(all?["gave_up"]?.int == 1 && all?["gave_up_before_first_token"]?.int == 1 && all?["cut_off"]?.int == 0)
      #expect(all?["time_to_give_up_ms"]?["max"]?.double == 7000)
      #expect(all?["waited_s"]?.double == 7.1)
      #expect(all?["undelivered_tokens"]?.int == 3 && all?["undelivered_tokens_known_for"]?.int == 1)
      #expect(all?["goodput"]?["share"]?.double == 0.5 && all?["goodput"]?["judged"]?.int == 2)
      #expect(all?["on_time"]?["share"]?.double == 1)
      return true
    }
    #expect(checked == true)
  }

  @Test("Two parts of a log merge into the same")
  func merging() throws {
    let lines = [
      line(["late_tokens": "0", "undelivered_tokens": "3"]), Self.left("bob", after: "7000"),
      line(["outcome": #""truncated""#, "late_tokens": "2"]), line(["task": #""tags""#]), line(["ttft_ms": "800"]),
    ]
    let options = try held(to: "ttft=500ms")
    let whole = ReportSummary(tally(lines, by: .user, options: options), top: 9).json { "\($0)" }
    for cut in 0...lines.count {
      var merged = tally(Array(lines[..<cut]), by: .user, options: options)
      merged.merge(tally(Array(lines[cut...]), by: .user, options: options))
      #expect(ReportSummary(merged, top: 9).json { "\($0)" } == whole)
    }
  }
}

@Suite("Thin percentiles")
struct ThinPercentileTests {
  @Test(
    "A percentile of fewer than 5 / (1 - p) values is thin",
    arguments: [(9, [50, 90, 99]), (10, [90, 99]), (49, [90, 99]), (50, [99]), (499, [99]), (500, [])])
  func bounds(_ count: Int, _ thin: [Int]) throws {
    let all = summary((0..<count).map { _ in line() }).all
    #expect(try #require(all[.ttft]).thin == thin)
  }

  @Test("It is marked in text, with a footnote, and named in JSON")
  func marked() {
    let few = summary((0..<60).map { _ in line(["ttft_ms": "100"]) })
    let text = ReportText(few, columns: 200) { _ in "TIME" }.lines()
    #expect(
      text.contains {
        $0.contains("60  100.0   100.0   100.0*  100.0") || $0.contains("60  100.0  100.0  100.0*  100.0")
      }, "\(text)")
    #expect(text.contains { $0.hasPrefix("*: a thin percentile, of fewer than 5 / (1 - p) values") })
    let named = parse(few.json { "\($0)" }) { root in
      #expect(root["all"]?["ttft_ms"]?["thin"]?.count == 1)
      return root["all"]?["ttft_ms"]?["thin"]?.firstElement?.string
    }
    #expect(named == "p99")
    let many = ReportText(summary((0..<500).map { _ in line() }), columns: 200) { _ in "TIME" }.lines()
    #expect(!many.contains { $0.contains("*") })
  }

  @Test("Digits of thin and other numbers stand below each other")
  func aligned() throws {
    let lines = (0..<10).map { _ in line(["model": #""b""#]) } + [line(["model": #""a""#])]
    let text = ReportText(summary(lines), columns: 60) { _ in "TIME" }.lines()
    let title = try #require(text.firstIndex { $0.hasPrefix("TTFT, ms") })
    #expect(
      Array(text[(title + 3)...(title + 4)]) == [
        "b      10  100.0   100.0*  100.0*  100.0", "a       1  100.0*  100.0*  100.0*  100.0",
      ])
  }

  @Test("An exchange's own percentiles are of its gaps: in the report by a remark, in a tail by a mark")
  func ownGaps() {
    let gaps = #"{"p50":1,"p90":2,"p99":3,"max":4}"#
    let all = summary([
      line(["gaps_ms": gaps, "events": "501"]), line(["gaps_ms": gaps, "events": "500"]),
      line(["gaps_ms": gaps, "events": "5"]),
    ]).all
    #expect(all.thinGapP99 == 2 && all.thinGapP50 == 1)
    var record = ExchangeRecord()
    record.outcome = .ok
    record.gapsMilliseconds = Quantiles(p50: 8, p90: 9, p99: 60, max: 12_000)
    let tail = TailLine(terminalColumns: 160, isColoured: false)
    record.events = 501
    record.choices = 1
    #expect(tail.line(record, time: "12:34:56.789").hasSuffix("█"))
    record.events = 500
    #expect(tail.line(record, time: "12:34:56.789").hasSuffix("█*"))
  }
}
