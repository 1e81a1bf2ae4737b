// What is counted for whom: outcomes, sums, the rules of censoring, time windows, in-flight buckets, folding.
import Measurement
import Testing

@testable import Report

@Suite("Counting")
struct ReportTallyTests {
  @Test("Groups are ordered by their requests and add up to all; a missing key is a group of its own")
  func grouping() {
    let lines =
      [String](repeating: line(["model": #""small""#]), count: 2)
      + [String](repeating: line(["model": #""big""#]), count: 3) + [line(["model": "null"])]
    let summary = summary(lines)
    #expect(summary.keys == ["big", "small", nil])
    #expect(summary.groups.map(\.requests) == [3, 2, 1])
    #expect(summary.all.requests == 6)
    #expect(summary.groups.compactMap(\.outputTokens).reduce(0, +) == summary.all.outputTokens)
  }

  @Test(
    "Each grouping takes its own key",
    arguments: [
      (ReportGrouping.user, "ann"), (.session, "s-1"), (.model, "llama"), (.dialect, "openai.chat"),
      (.upstream, "127.0.0.1:8000"),
      (.outcome, "ok"),
    ])
  func eachKey(_ grouping: ReportGrouping, _ key: String) {
    let summary = summary([line(["session": #""s-1""#])], by: grouping)
    #expect(summary.keys == [key])
    #expect(summary.groups.first?[.ttft]?.p50 == 100)
  }

  @Test("Percentiles of the numbers recorded, exact below 2 ms and within 0.1 % above")
  func percentiles() throws {
    let lines = (1...1000).map { line(["ttft_ms": "\(Double($0) / 500)", "tpot_ms": "\($0)", "tps": "\($0)"]) }
    let all = summary(lines).all
    let ttft = try #require(all[.ttft])
    #expect([ttft.p50, ttft.p90, ttft.p99, ttft.max] == [1, 1.8, 1.98, 2])
    let tpot = try #require(all[.tpot])
    #expect(abs(tpot.p50 - 500) <= 0.5 && abs(tpot.p90 - 900) <= 0.9 && abs(tpot.p99 - 990) <= 0.99)
    #expect(tpot.max == 1000)
    #expect(tpot.count == 1000)
    #expect(abs(try #require(all[.tokensPerSecond]).p50 - 500) <= 0.5)
  }

  @Test("Only ok feeds the distributions", arguments: Outcome.allCases.filter { $0 != .ok })
  func onlyOk(_ outcome: Outcome) {
    let gaps = #"{"p50":1,"p90":2,"p99":3,"max":4}"#
    let all = summary([line(["outcome": "\"\(outcome.rawValue)\"", "gaps_ms": gaps, "timeline": "[[1,1],[2,1]]"])]).all
    for metric in ReportMetric.allCases where metric != .timeToGiveUp { #expect(all[metric] == nil) }
    #expect((all[.timeToGiveUp] != nil) == (outcome == .clientCancelled))
    #expect(all.outcomes.map(\.outcome) == [outcome])
    #expect(all.outputTokens == 5)
  }

  @Test("Waits that the client or a timeout cut short stand beside TTFT; other failures are no waits")
  func censoring() throws {
    func ended(_ outcome: String, waited: String) -> String {
      line(["outcome": "\"\(outcome)\"", "waited_ms": waited, "ttft_ms": "null", "tpot_ms": "null", "tps": "null"])
    }
    let all = summary([
      line(), ended("client_cancelled", waited: "4000"), ended("timeout", waited: "60000"),
      ended("client_cancelled", waited: "null"), ended("upstream_status", waited: "3"),
    ]).all
    #expect(all[.ttft]?.count == 1)
    let waits = try #require(all[.censoredWait])
    #expect(waits.count == 2)
    #expect(waits.max == 60_000)
    #expect(abs(waits.p50 - 4000) <= 4)
  }

  @Test("What is not known is not a zero: sums leave it out and say so, and no sum at all is nil")
  func unknown() {
    let none = ["input_tokens": "null", "output_tokens": "null", "ttft_ms": "null"]
    let some = summary([line(), line(none)]).all
    #expect(some.inputTokens == 10 && some.withInputTokens == 1)
    #expect(some.outputTokens == 5 && some.withOutputTokens == 1)
    #expect(some[.ttft]?.count == 1)
    let nothing = summary([line(none)]).all
    #expect(nothing.inputTokens == nil && nothing.outputTokens == nil && nothing.outputTokensPerSecond == nil)
    #expect(nothing[.ttft] == nil)
  }

  @Test("Numbers no clock can give are not known: negative, or of another type")
  func nonsense() {
    let all = summary([line(["ttft_ms": "-1", "tpot_ms": #""7""#, "output_tokens": "-3", "ttlt_ms": "1e300"])]).all
    #expect(all[.ttft] == nil && all[.tpot] == nil && all.outputTokens == nil)
    #expect(all[.ttlt]?.count == 1)
  }

  @Test("Counts by events are lower bounds, and slow clients are counted")
  func remarks() {
    let all = summary([line(["tokens_from": #""events""#]), line(["client_stalled_ms": "2.5"]), line()]).all
    #expect(all.lowerBounds == 1)
    #expect(all.stalled == 1)
  }

  @Test("Rates are over the span from the first start to the last end, the same for every group")
  func rates() throws {
    let summary = summary([
      line(["ts": #""2026-10-01T12:00:00Z""#, "total_ms": "1000"]),
      line(["ts": #""2026-10-01T12:00:08.5Z""#, "total_ms": "1000", "upload_ms": "500", "model": #""b""#]),
    ])
    #expect(summary.span == time("12:00:00")...time("12:00:10"))
    #expect(summary.all.requestsPerSecond == 0.2)
    #expect(summary.all.outputTokensPerSecond == 1)
    #expect(summary.groups.map(\.requestsPerSecond) == [0.1, 0.1])
  }

  @Test("Two tallies that are merged are the tally of all lines, in every number")
  func merging() {
    let lines = [
      line(["tokens_from": #""events""#]), line(["client_stalled_ms": "2.5", "user": #""bob""#]), "torn {",
      line(["timeline": "[[1000,1],[1500,2]]", "in_flight": "4"]), #"{"v":2,"id":"x"}"#,
      line(["outcome": #""timeout""#, "waited_ms": "9"]), line(["input_tokens": "null", "output_tokens": "null"]),
      #"{"v":1,"dropped":4,"ts":"2026-10-01T12:00:00Z"}"#, line(["ts": #""2026-10-01T11:00:00Z""#, "user": "null"]),
    ]
    let whole = tally(lines, by: .user)
    for cut in 0...lines.count {
      var merged = tally(Array(lines[..<cut]), by: .user)
      merged.merge(tally(Array(lines[cut...]), by: .user))
      #expect(merged.reading == whole.reading)
      #expect(ReportSummary(merged, top: .max).json { "\($0)" } == ReportSummary(whole, top: .max).json { "\($0)" })
      #expect(merged.all.lowerBounds == 1 && merged.all.stalled == 1 && merged.all.withTimeline == 1)
    }
  }

  @Test("The span is the first start and the last end, in whatever order exchanges ended and parts are merged")
  func span() {
    let starts = ["12:00:05", "12:00:01", "12:00:09", "12:00:03"]
    // The one that began first ended last.
    let lengths = ["1000", "60000", "500", "2000"]
    let lines = zip(starts, lengths).map { line(["ts": "\"2026-10-01T\($0)Z\"", "total_ms": $1]) }
    let expected = time("12:00:01")...time("12:01:01")
    #expect(summary(lines).span == expected)
    for cut in 1..<lines.count {
      for parts in [[lines[..<cut], lines[cut...]], [lines[cut...], lines[..<cut]]] {
        var merged = tally(Array(parts[0]))
        merged.merge(tally(Array(parts[1])))
        #expect(ReportSummary(merged, top: 9).span == expected, "cut at \(cut)")
      }
    }
  }

  @Test("Nothing of one line is counted for the next")
  func rowReuse() {
    let nothing = [
      "input_tokens", "output_tokens", "tokens_from", "in_flight", "ttft_ms", "ttlt_ms", "total_ms", "tpot_ms", "tps",
      "gaps_ms", "client_stalled_ms", "timeline", "choices", "upload_ms", "task", "late_tokens", "undelivered_tokens",
      "cached_tokens", "tool_calls", "finish_reason", "ttfa_ms", "events",
    ]
    let full = line([
      "tokens_from": #""events""#, "client_stalled_ms": "2.5", "gaps_ms": #"{"p50":1,"p90":2,"p99":3,"max":4}"#,
      "timeline": "[[1,1],[2,1]]", "late_tokens": "2", "undelivered_tokens": "3", "events": "5",
    ])
    let empty = line(Dictionary(uniqueKeysWithValues: nothing.map { ($0, "null") }))
    let all = summary([full, empty, empty]).all
    #expect(all.requests == 3)
    // Its tokens are known, and how they were counted is not.
    #expect(summary([full, line(["tokens_from": "null"])]).all.lowerBounds == 1)
    #expect(all.withInputTokens == 1 && all.withOutputTokens == 1 && all.lowerBounds == 1 && all.stalled == 1)
    for metric in ReportMetric.allCases
    where metric.rawValue <= ReportMetric.everyGap.rawValue && metric != .censoredWait {
      #expect(all[metric]?.count == 1, "\(metric)")
    }
    #expect(all.withUndeliveredTokens == 1 && all.onTime?.judged == 1 && all.thinGapP50 == 1)
    #expect(summary([line(["task": #""title""#]), line()]).all.tasks == 1)
    #expect(summary([full, empty, empty]).inFlight.map(\.exchanges) == [1])
  }

  @Test("A window takes what begins in it, its first moment included and its last one not")
  func window() {
    let lines = ["11:59:59.999999", "12:00:00", "12:30:00", "13:00:00"].map { line(["ts": "\"2026-10-01T\($0)Z\""]) }
    let window = TimeWindow(since: time("12:00:00"), until: time("13:00:00"))
    let tally = tally(lines + [#"{"v":1,"dropped":3,"ts":"2026-10-01T11:00:00Z"}"#], within: window)
    #expect(tally.reading.records == 4)
    #expect(tally.reading.droppedRecords == 0)
    #expect(ReportSummary(tally, top: 9).all.requests == 2)
  }

  @Test("Torn lines, other versions and drop notices are counted apart from records")
  func reading() {
    let reading = tally([
      line(), String(line().dropLast(9)), #"{"v":2,"id":"x"}"#, #"{"v":1,"dropped":4,"ts":"2026-10-01T12:00:00Z"}"#,
      #"{"v":1,"dropped":2}"#, line(["outcome": #""unheard of""#]),
    ]).reading
    #expect(reading.records == 1)
    #expect(reading.unreadableLines == 2)
    #expect(reading.otherVersionLines == 1)
    #expect(reading.droppedRecords == 6)
  }

  @Test("The gaps of an exchange are its own percentiles; all gaps come from whole timelines of one choice")
  func gaps() throws {
    let gaps = #"{"p50":9,"p90":10,"p99":30,"max":40}"#
    let all = summary([
      line(["gaps_ms": gaps, "timeline": "[[1000,1],[1500,2],[1500,1],[3500,null]]"]),
      line(["gaps_ms": gaps, "timeline": "[[0,1],[9000,1]]", "choices": "2"]),
      line(["gaps_ms": gaps, "timeline": "[[5000,1],[4000,1],[4100,1]]"]),
      line(["gaps_ms": gaps, "timeline": "[[1000,1],[1100,1],[1050,1]]"]),
    ]).all
    #expect(all[.gapP50]?.count == 4 && all[.gapP50]?.max == 9)
    #expect(all[.gapP99]?.max == 30 && all[.gapMax]?.max == 40)
    let every = try #require(all[.everyGap])
    #expect(every.count == 3)
    #expect([every.p50, every.max] == [0.5, 2])
    #expect(all.withTimeline == 1)
  }
}

@Suite("Exchanges in flight")
struct InFlightTests {
  @Test(
    "Buckets are 1, 2, 3-4, 5-8, …",
    arguments: [(1, 1...1), (2, 2...2), (3, 3...4), (4, 3...4), (5, 5...8), (8, 5...8), (9, 9...16), (33, 33...64)])
  func buckets(_ inFlight: Int, _ range: ClosedRange<Int>) {
    #expect(summary([line(["in_flight": "\(inFlight)"])]).inFlight.map(\.inFlight) == [range])
  }

  @Test("Only ok exchanges that say how many were in flight count")
  func selection() {
    let rows = summary([line(["in_flight": "null"]), line(["outcome": #""truncated""#]), line(["in_flight": "0"])])
    #expect(rows.inFlight.isEmpty)
  }

  @Test("Throughput together is in flight times tokens over time")
  func throughput() throws {
    // 4 in flight, 300 tokens in 3 s: 400 tokens a second.
    let lines = [("200", "1000"), ("100", "2000")].map {
      line(["in_flight": "4", "output_tokens": $0, "total_ms": $1])
    }
    let row = try #require(summary(lines + [line(["in_flight": "3", "output_tokens": "null"])]).inFlight.first)
    #expect(row.exchanges == 3)
    #expect(row.estimatedTokensPerSecond == 400)
    #expect(row.ttft?.count == 3)
  }
}
