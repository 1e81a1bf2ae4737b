// Turns of sessions, and first tokens by the length of the input.
import JSON
import RecordLog
import Testing

@testable import Report

/// Reads a JSON text.
func parse<Result>(_ text: String, _ body: (JSONValue) -> Result?) -> Result? {
  JSONParser().parse(Array(text.utf8).span.bytes) { body($0) } ?? nil
}

@Suite("Turns of a session")
struct SessionTurnTests {
  /// An exchange of 10 s that began at a second of the minute.
  private static func turn(_ second: Int, session: String = "s", _ changes: [String: String] = [:]) -> String {
    let clock = second < 10 ? "0\(second)" : "\(second)"
    let defaults = [
      "session": "\"\(session)\"", "ts": "\"2026-10-01T12:00:\(clock)Z\"", "total_ms": "5000", "ttfa_ms": "200",
      "stream": "true",
    ]
    return line(defaults.merging(changes) { $1 })
  }

  @Test("Times lie between the end of a turn and the next request, whatever the order in the log")
  func between() throws {
    let lines = [Self.turn(20), Self.turn(0), Self.turn(8, session: "other"), Self.turn(30)]
    let group = try #require(summary(lines, by: .session).groups.first)
    #expect(group.turns == 3)
    let between = try #require(group[.betweenTurns])
    #expect(between.count == 2 && between.max == 15_000 && abs(between.p50 - 5000) <= 5)
    #expect(group[.toolWait] == nil)
  }

  @Test(
    "Behind an answer that called tools the time is a tool wait",
    arguments: [["tool_calls": "2"], ["finish_reason": #""tool_use""#]])
  func tools(_ calls: [String: String]) throws {
    let lines = [Self.turn(0, calls), Self.turn(7), Self.turn(40)]
    let group = try #require(summary(lines, by: .session).groups.first)
    #expect(group[.toolWait]?.count == 1 && group[.toolWait]?.max == 2000)
    #expect(group[.betweenTurns]?.count == 2)
  }

  @Test("The first visible token counts from what the person sent, over the tool calls between")
  func visible() throws {
    let silent = ["tool_calls": "1", "ttfa_ms": "null"]
    let lines = [Self.turn(0, silent), Self.turn(7, silent), Self.turn(14), Self.turn(40)]
    let visible = try #require(summary(lines, by: .session).groups.first?[.firstVisible])
    #expect(visible.count == 2 && visible.max == 14_200 && abs(visible.p50 - 200) <= 0.2)
  }

  @Test("An answer that is not streamed is visible when it is there")
  func notStreamed() throws {
    let lines = [Self.turn(0, ["stream": "false", "ttfa_ms": "null"])]
    #expect(try #require(summary(lines, by: .session).groups.first)[.firstVisible]?.max == 5000)
  }

  @Test("Requests that overlap are counted and have no time between; a front end's own calls are no turns")
  func overlapping() throws {
    let lines = [Self.turn(0), Self.turn(2), Self.turn(3, ["task": #""title""#]), Self.turn(12)]
    let group = try #require(summary(lines, by: .session).groups.first)
    #expect(group.turns == 3 && group.overlappingTurns == 1)
    #expect(group[.betweenTurns]?.count == 1 && group[.betweenTurns]?.max == 5000)
  }

  @Test("All sessions together have the turns of each, and nothing lies between two sessions or without one")
  func together() {
    let lines =
      [
        Self.turn(0, session: "a"), Self.turn(10, session: "a"), Self.turn(20, session: "b"),
        Self.turn(40, session: "b"),
      ]
      + [Self.turn(1, ["session": "null"]), Self.turn(50, ["session": "null"])]
    let summary = summary(lines, by: .session)
    #expect(summary.all.turns == 4 && summary.all[.betweenTurns]?.count == 2)
    for cut in 0...lines.count {
      var merged = tally(Array(lines[..<cut]), by: .session)
      merged.merge(tally(Array(lines[cut...]), by: .session))
      #expect(ReportSummary(merged, top: .max).json { "\($0)" } == summary.json { "\($0)" })
    }
  }

  @Test("Sessions that do not fit are folded one by one: their turns stay apart")
  func folded() throws {
    var limits = ReportLimits()
    limits.groups = 2
    let lines = (0..<20).flatMap { [Self.turn(0, session: "s\($0)"), Self.turn(20, session: "s\($0)")] }
    let summary = ReportSummary(tally(lines, by: .session, limits: limits), top: 1)
    // What comes of a session after it was folded is no turn of anything.
    #expect((20..<40).contains(summary.all.turns))
    let between = try #require(summary.all[.betweenTurns])
    #expect(between.count >= 10 && between.max == 15_000 && abs(between.p50 - 15_000) <= 15)
    #expect(ReportSummary(tally([line()], by: .user), top: 1).all.turns == 0)
  }

  @Test("The table shows turns in 80 columns")
  func table() {
    let lines = ReportText(summary([Self.turn(0), Self.turn(20)], by: .session), columns: 80) { _ in "TIME" }.lines()
    for line in lines { #expect(TerminalText.width(line) <= 80, "\(line)") }
    let text = lines.joined(separator: " ")
    for title in ["TURNS", "BETWEEN P50", "TOOLS P50", "VISIBLE P50", "BETWEEN TURNS, ms", "FIRST VISIBLE TOKEN, ms"] {
      #expect(text.contains(title))
    }
  }
}

@Suite("First tokens by input")
struct TTFTByInputTests {
  private static let asked = {
    var options = ReportOptions()
    options.showsTTFTByInput = true
    return options
  }()

  private static func first(_ ttft: Double, input: Int, cached: Int?, model: String = "llama") -> String {
    line([
      "ttft_ms": "\(ttft)", "input_tokens": "\(input)", "cached_tokens": cached.map { "\($0)" } ?? "null",
      "model": "\"\(model)\"",
    ])
  }

  @Test(
    "Buckets double from 128",
    arguments: [
      (0, 0...128), (128, 0...128), (129, 129...256), (256, 129...256), (257, 257...512), (100_000, 65537...131_072),
    ])
  func buckets(_ input: Int, _ range: ClosedRange<Int>) {
    let rows = summary([Self.first(10, input: input, cached: 0)], options: Self.asked).inputs.first?.rows
    #expect(rows?.map(\.inputTokens) == [range])
  }

  @Test("Cold, warm and unknown prefixes stand apart")
  func states() throws {
    let lines = [
      Self.first(100, input: 200, cached: 0), Self.first(20, input: 200, cached: 190),
      Self.first(50, input: 200, cached: nil),
    ]
    let row = try #require(summary(lines, options: Self.asked).inputs.first?.rows.first)
    #expect(row[.cold]?.max == 100 && row[.warm]?.max == 20 && row[.unknown]?.max == 50)
  }

  @Test("The line is fitted to uncached tokens, per model, and parts merge into the same")
  func fit() throws {
    let inputs = [(100, 0), (400, 100), (900, 500), (1600, 0), (2500, 2000), (10_000, 9_000)]
    let lines =
      inputs.map { Self.first(30 + 0.25 * Double($0 - $1), input: $0, cached: $1) }
      + inputs.map { Self.first(5 + 0.5 * Double($0.0), input: $0.0, cached: 0, model: "small") }
      + [
        Self.first(9999, input: 10, cached: nil),
        line(["outcome": #""truncated""#, "ttft_ms": "7", "input_tokens": "5"]),
      ]
    for cut in 0...lines.count {
      var merged = tally(Array(lines[..<cut]), options: Self.asked)
      merged.merge(tally(Array(lines[cut...]), options: Self.asked))
      let reports = ReportSummary(merged, top: 9).inputs
      #expect(reports.map(\.model) == ["llama", "small"])
      let (large, small) = (try #require(reports[0].fit), try #require(reports[1].fit))
      #expect(abs(large.fixed - 30) < 1e-6 && abs(large.perToken - 0.25) < 1e-9 && large.count == 6 && large.isUncached)
      #expect(abs(small.fixed - 5) < 1e-6 && abs(small.perToken - 0.5) < 1e-9 && abs(small.rSquared - 1) < 1e-9)
    }
  }

  @Test("Where no exchange says what was cached, the line is over all input tokens, and said to be")
  func uncachedUnknown() throws {
    let lines = [100, 200, 300].map { Self.first(Double($0) / 10, input: $0, cached: nil) }
    let fit = try #require(summary(lines, options: Self.asked).inputs.first?.fit)
    #expect(!fit.isUncached && fit.count == 3 && abs(fit.perToken - 0.1) < 1e-9)
  }

  @Test("No line goes through one length", arguments: [1, 3])
  func noFit(_ count: Int) {
    let lines = (1...count).map { Self.first(Double($0), input: 50, cached: 0) }
    let summary = summary(lines, options: Self.asked)
    #expect(summary.inputs.first?.fit == nil)
    #expect(ReportText(summary, columns: 80) { _ in "" }.lines().contains("llama: no line can be fitted"))
    let isNull = parse(summary.json { "\($0)" }) { root in root["ttft_by_input"]?.firstElement?["fit"]?.isNull }
    #expect(isNull == true)
  }

  @Test("Text fits 80 columns, and JSON has stable names; without being asked there is none")
  func shown() throws {
    let lines = [(100, 0), (400, 300), (3000, 0)].map { Self.first(Double($0.0), input: $0.0, cached: $0.1) }
    let shown = summary(lines + [Self.first(5, input: 60, cached: nil)], options: Self.asked)
    let text = ReportText(shown, columns: 80) { _ in "TIME" }.lines()
    for line in text { #expect(TerminalText.width(line) <= 80, "\(line)") }
    #expect(text.contains { $0.contains("INPUT  COLD N") && $0.contains("WARM N") })
    let checked = parse(shown.json { "\($0)" }) { root in
      let model = root["ttft_by_input"]?.firstElement
      #expect(model?["model"]?.string == "llama" && model?["exchanges"]?.int == 4 && model?["fit"]?["n"]?.int == 3)
      let bucket = model?["buckets"]?.firstElement
      #expect(bucket?["from"]?.int == 0 && bucket?["to"]?.int == 128)
      #expect(bucket?["cold_ttft_ms"]?["count"]?.int == 1 && bucket?["warm_ttft_ms"]?.isNull == true)
      #expect(bucket?["unknown_ttft_ms"]?["max"]?.double == 5)
      return true
    }
    #expect(checked == true)
    let plain = summary(lines)
    #expect(plain.inputs.isEmpty)
    #expect(parse(plain.json { "\($0)" }) { $0["ttft_by_input"]?.isNull } == true)
  }
}
