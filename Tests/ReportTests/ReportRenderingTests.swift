// Reports as text and as JSON.
import JSON
import Measurement
import RecordLog
import Testing

@testable import Report

@Suite("Showing a report")
struct ReportRenderingTests {
  private static func text(_ summary: ReportSummary, columns: Int? = 200) -> [String] {
    ReportText(summary, columns: columns) { _ in "TIME" }.lines()
  }

  @Test("Tables are aligned by terminal columns, with wide, accented and joined characters in names")
  func alignment() throws {
    let names = ["ascii", "日本語モデル", "naïve", "e\u{301}té", "👩‍💻 coder", "한국어"]
    let lines = Self.text(summary(names.map { line(["model": "\"\($0)\""]) }))
    let title = try #require(lines.firstIndex { $0.hasPrefix("MODEL") })
    // The last column that is filled is aligned to the right: all rows end in the same place.
    let rows = lines[(title + 1)...(title + 1 + names.count)]
    #expect(Set(rows.map { TerminalText.width($0) }).count == 1, "\(rows)")
    #expect(rows.allSatisfy { !$0.hasSuffix(" ") })
  }

  @Test("Control characters and direction marks from a log reach neither text nor JSON as they are")
  func injection() throws {
    let evil = "\u{1B}]0;owned\u{7}\r\n\u{9B}31m\u{202E}abc\u{2028}\u{7F}"
    let escaped = #"\u001b]0;owned\u0007\r\n\u009b31m\u202eabc\u2028\u007f"#
    let summary = summary([line(["model": "\"\(escaped)\""])])
    #expect(summary.keys == [evil])
    let harmful = { (text: String) in
      text.unicodeScalars.contains { scalar in
        let acts = scalar.properties.generalCategory == .control || scalar == "\u{202E}" || scalar == "\u{2028}"
        return acts && scalar != "\n"
      }
    }
    let text = Self.text(summary).joined(separator: "\n")
    #expect(!harmful(text))
    #expect(text.contains(#"\x1b]0;owned\x07\x0d\x0a"#))
    let json = summary.json { _ in "TIME" }
    #expect(!harmful(json))
    let key = JSONParser().parse(Array(json.utf8).span.bytes) { root -> String? in
      var key: String?
      root["groups"]?.forEachElement { key = $0["key"]?.string }
      return key
    }
    #expect(key == evil)
  }

  @Test("The JSON report is one object with every number as it was counted, and null for what is not known")
  func json() throws {
    let lines = [
      line(["ttft_ms": "1234.567", "total_ms": "2000"]),
      line(["outcome": #""client_cancelled""#, "waited_ms": "31.25", "model": "null", "input_tokens": "null"]),
    ]
    let text = summary(lines).json { "\($0)" }
    let checked = JSONParser().parse(Array(text.utf8).span.bytes) { root in
      #expect(root["tachograph_report"]?.int == 1)
      #expect(root["by"]?.string == "model")
      #expect(root["since"]?.isNull == true)
      #expect(root["span_s"]?.double == 2)
      #expect(root["log"]?["records"]?.int == 2)
      let all = root["all"]
      #expect(all?["requests"]?.int == 2)
      #expect(all?["requests_per_s"]?.double == 1)
      #expect(all?["outcomes"]?["client_cancelled"]?.int == 1)
      #expect(all?["outcomes"]?["timeout"]?.int == 0)
      #expect(all?["input_tokens"]?.int == 10)
      #expect(all?["input_tokens_known_for"]?.int == 1)
      #expect(all?["ttft_ms"]?["max"]?.double == 1234.567)
      #expect(all?["waits_cut_short_ms"]?["max"]?.double == 31.25)
      #expect(all?["waits_cut_short_ms"]?["p99"] == nil)
      #expect(all?["gaps_from_timelines_ms"]?.isNull == true)
      #expect(root["groups"]?.count == 2)
      #expect(root["other"]?.isNull == true)
      root["in_flight"]?.forEachElement { row in
        #expect(row["from"]?.int == 1 && row["to"]?.int == 1 && row["ok_exchanges"]?.int == 1)
        #expect(row["estimated_tokens_per_s_together"]?.double == 2.5)
      }
      return true
    }
    #expect(checked == true)
  }

  @Test("Unknown is a dash, waits cut short have no upper percentiles, and each remark is made once it is true")
  func remarks() {
    let plain = Self.text(summary([line()])).joined(separator: "\n")
    #expect(!plain.contains("note:"))
    #expect(!plain.contains("WAITS CUT SHORT"))
    let lines = Self.text(
      ReportSummary(
        tally([
          line(["input_tokens": "null", "tokens_from": #""events""#]), "torn", #"{"v":9}"#, #"{"v":1,"dropped":3}"#,
          line(["outcome": #""timeout""#, "waited_ms": "5", "output_tokens": "null", "input_tokens": "null"]),
        ]), top: 1))
    let text = lines.joined(separator: "\n")
    #expect(lines.contains { $0.hasPrefix("all ") && $0.contains("–") })
    #expect(text.contains("note: exchanges without a count of input tokens, not in the sums: 2"))
    #expect(text.contains("note: exchanges without a count of output tokens, not in the sums: 1"))
    #expect(
      text.contains("note: exchanges whose output tokens were counted by events: the true number may be higher: 1"))
    #expect(text.contains("note: lines skipped: cut off, or not a record: 1"))
    #expect(text.contains("records of another version, which a newer tachograph may read: 1"))
    #expect(text.contains("written fast enough: 3"))
    #expect(text.contains("WAITS CUT SHORT, ms"))
  }

  @Test("Tables stand side by side as far as the terminal reaches")
  func flow() {
    let wide = Self.text(summary([line()]), columns: 300)
    let narrow = Self.text(summary([line()]), columns: 40)
    #expect(wide.contains { $0.contains("TTFT, ms") && $0.contains("TPOT, ms") })
    #expect(!narrow.contains { $0.contains("TTFT, ms") && $0.contains("TPOT, ms") })
    #expect(narrow.contains { $0.hasPrefix("TPOT, ms") })
  }

  /// Of each outcome another number, by two models, one of them with a long name, and all remarks.
  private static let manyOutcomes: ReportSummary = {
    let bad = Outcome.allCases.enumerated().flatMap { count, outcome in
      repeatElement(line(["outcome": "\"\(outcome.rawValue)\"", "waited_ms": "5"]), count: 3 + count)
    }
    let long = line(["model": #""an-organisation/its-model-8b-instruct-fp8""#, "in_flight": "40", "ttlt_ms": "1234567"])
    return summary(bad + [long, line(["input_tokens": "null"]), "torn", #"{"v":9}"#, #"{"v":1,"dropped":3}"#])
  }()

  @Test("No line is wider than the terminal, and nothing is left out for it", arguments: [60, 80, 100, 120, 300])
  func width(columns: Int) {
    let summary = Self.manyOutcomes
    let lines = Self.text(summary, columns: columns)
    for line in lines { #expect(TerminalText.width(line) <= columns, "\(line)") }
    // An outcome and its number are never torn apart.
    for outcome in summary.all.outcomes where outcome.outcome != .ok {
      let shown = "\(outcome.outcome.rawValue) \(outcome.count)"
      #expect(outcome.count > 0 && lines.filter { $0.contains(shown) }.count == 2)
    }
    let words = { (lines: [String]) in Set(lines.joined(separator: " ").split(separator: " ")) }
    let punctuation = { (words: Set<Substring>) in Set(words.map { $0.split(separator: ",") }) }
    #expect(punctuation(words(lines)) == punctuation(words(Self.text(summary, columns: nil))))
  }

  @Test("Where there is no terminal a group's traffic is one line, and so is each remark")
  func unbroken() throws {
    let lines = Self.text(Self.manyOutcomes, columns: nil)
    let all = try #require(lines.first { $0.hasPrefix("all ") })
    #expect(TerminalText.width(all) > 200)
    #expect(all.contains("  upstream_status 4, stream_error 5, truncated 6, client_cancelled 7, "))
    #expect(!lines.contains { $0.hasPrefix("  ") && !$0.contains("█") && !$0.contains("▏") })
  }

  @Test("Outcomes that do not fit stand in a table of their own, below each other, where there were any")
  func outcomesBelow() throws {
    let lines = Self.text(Self.manyOutcomes, columns: 80)
    let start = try #require(lines.firstIndex { $0.hasSuffix("  OTHER OUTCOMES") })
    #expect(
      lines[start...].prefix { !$0.isEmpty }.map { $0 }
        == [
          "MODEL  OTHER OUTCOMES",
          "all    upstream_status 4, stream_error 5, truncated 6, client_cancelled 7,",
          "       upstream_unreachable 8, upstream_reset 9, upstream_invalid 10,",
          "       timeout 11, rejected 12, tunnelled 13, interrupted 14",
          "llama  upstream_status 4, stream_error 5, truncated 6, client_cancelled 7,",
          "       upstream_unreachable 8, upstream_reset 9, upstream_invalid 10,",
          "       timeout 11, rejected 12, tunnelled 13, interrupted 14",
        ])
  }

  @Test(
    "A key that reads like a row of the report's own is in quotes", arguments: ["all", "–", "(other: 3)", "\"x\"", " "])
  func ownWords(key: String) {
    let escaped = key.replacingOccurrences(of: "\"", with: "\\\"")
    let lines = Self.text(summary([line(["user": "\"\(escaped)\""]), line()], by: .user))
    #expect(lines.contains { $0.hasPrefix("\"\(key)\" ") })
    #expect(lines.filter { $0.hasPrefix("all ") }.count == lines.filter { $0.hasPrefix("ann ") }.count)
  }

  @Test("Without other outcomes there is no table of them, however wide the terminal", arguments: [40, 80, 300, nil])
  func noOutcomes(columns: Int?) {
    let lines = Self.text(summary([line()]), columns: columns)
    #expect(!lines.contains { $0.contains("OTHER OUTCOMES") })
  }

  @Test("No exchanges is said, and the notes still stand")
  func empty() {
    let lines = Self.text(summary(["torn"]))
    #expect(lines.first == "no exchanges")
    #expect(lines.contains { $0.hasPrefix("note: lines skipped") })
  }

  @Test(
    "Numbers keep four digits or so",
    arguments: [
      (0, "0.000"), (0.2534, "0.253"), (9.9996, "10.00"), (12.345, "12.35"), (99.996, "100.0"), (999.96, "1,000"),
      (1234567.4, "1,234,567"),
    ])
  func numbers(_ value: Double, _ text: String) { #expect(NumberText.short(value) == text) }

  @Test("Lengths of time", arguments: [(1.5, "1.500 s"), (60, "1 min 0 s"), (3725, "1 h 2 min"), (90000, "1 d 1 h")])
  func durations(_ seconds: Double, _ text: String) { #expect(NumberText.duration(seconds: seconds) == text) }

  @Test("Bars fill by eighths, and nothing above zero is invisible")
  func bars() {
    #expect(Sparkline.bar(1, columns: 3) == "███")
    #expect(Sparkline.bar(0.5, columns: 3) == "█▌ ")
    #expect(Sparkline.bar(0.0001, columns: 2) == "▏ ")
    #expect(Sparkline.bar(0, columns: 2) == "  ")
    #expect([0.5, 1, 4, 14, 10_000, 1e9].map(Sparkline.level) == [0, 0, 1, 2, 7, 7])
  }

  @Test("Progress shows a part where the whole is known")
  func progress() {
    let half = ProgressLine.text(doneBytes: 500_000_000, totalBytes: 1_000_000_000, seconds: 2)
    #expect(half.contains("50 % of 1,000 MB, 250 MB/s"))
    #expect(ProgressLine.text(doneBytes: 3_000_000, totalBytes: nil, seconds: 1) == "reading 3 MB, 3 MB/s")
  }
}

@Suite("Time bounds")
struct TimeWindowTests {
  @Test(
    "So long ago, or an RFC 3339 time",
    arguments: [
      ("90s", 999_910), ("15m", 999_100), ("1h", 996_400), ("2d", 827_200), ("0s", 1_000_000),
      ("1970-01-01T00:01:00Z", 60),
    ])
  func accepted(_ text: String, _ seconds: Int64) {
    #expect(TimeWindow.bound(text, now: 1_000_000_000_000_000) == seconds * 1_000_000_000)
  }

  @Test(
    "Anything else is refused",
    arguments: [
      "", "h", "1", "1w", "-1h", "+1h", "1.5h", "1 h", "yesterday", "99999999999999999d", "2026-10-32", "1h\u{0}",
    ])
  func refused(_ text: String) { #expect(TimeWindow.bound(text, now: 1_000_000_000_000_000) == nil) }

  /// Two hours east of UTC, without a clock that is put forward.
  private static let zone = LocalTime { moment in
    let text = "2026-\(moment.month < 10 ? "0" : "")\(moment.month)-01T00:00:00Z"
    let month = RecordParser.nanoseconds(rfc3339: text).map { $0 / 1_000_000_000 }
    let inDay = moment.hour * 3600 + moment.minute * 60 + moment.second - 7200
    return month.map { $0 + Int64((moment.day - 1) * 86_400 + inDay) }
  } moment: { seconds in
    // 2026-10-01 begins at 1,790,812,800 UTC; the tests stay within that month.
    let local = Int(seconds) + 7200 - 1_790_812_800
    return LocalTime.Moment(
      year: 2026, month: 10, day: local / 86_400 + 1, hour: local / 3600 % 24, minute: local / 60 % 60,
      second: local % 60)
  }

  @Test(
    "A date is its first moment in local time; a time of day is the last one that was so",
    arguments: [
      ("2026-10-01", "2026-09-30T22:00:00Z"), ("2026-10-01T14:00", "2026-10-01T12:00:00Z"),
      ("2026-10-01 14:00:05", "2026-10-01T12:00:05Z"), ("14:00", "2026-10-01T12:00:00Z"),
      ("15:30:00", "2026-10-01T13:30:00Z"), ("15:30:01", "2026-09-30T13:30:01Z"), ("23:59", "2026-09-30T21:59:00Z"),
    ])
  func local(_ text: String, _ expected: String) throws {
    let now = try #require(RecordParser.nanoseconds(rfc3339: "2026-10-01T13:30:00Z"))
    #expect(
      TimeWindow.bound(text, now: now, localTime: Self.zone) == RecordParser.nanoseconds(rfc3339: expected))
  }

  @Test(
    "What is no date and no time is refused",
    arguments: [
      "2026-02-29", "2026-13-01", "2026-1-1", "24:00", "14:60", "1400", "14:0", "14:00:0", "2026-10-01T", "T14:00",
      "2026-10-01T14", "-026-10-01", "2026-10-01 14:00 x",
    ])
  func noLocalTime(_ text: String) {
    #expect(TimeWindow.bound(text, now: 1_790_812_800_000_000_000, localTime: Self.zone) == nil)
  }

  @Test("The zone of this process gives back the moment of a time")
  func ownZone() throws {
    let now = try #require(RecordParser.nanoseconds(rfc3339: "2026-10-01T13:30:00Z"))
    let moment = LocalTime.ofThisProcess.moment(now / 1_000_000_000)
    #expect(LocalTime.ofThisProcess.seconds(moment) == now / 1_000_000_000)
  }
}
