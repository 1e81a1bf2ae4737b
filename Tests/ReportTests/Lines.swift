// Log lines for the tests, written by hand after Documentation.docc/Record.md, and tallies made of them.
// It must not use the encoder, nor any number that the code under test has computed.
import RecordLog

@testable import Report

/// A log line: the keys a report looks at, with `changes` (JSON texts) in place of these values.
func line(_ changes: [String: String] = [:]) -> String {
  let defaults: [(String, String)] = [
    ("v", "1"), ("id", #""01928f3e-7c1a-7abc-8def-0123456789ab""#), ("ts", #""2026-10-01T12:00:00Z""#),
    ("instance", #""gpu-1""#), ("user", #""ann""#), ("dialect", #""openai.chat""#), ("model", #""llama""#),
    ("status", "200"), ("outcome", #""ok""#), ("stage", "null"), ("upstream", #""127.0.0.1:8000""#),
    ("in_flight", "1"), ("input_tokens", "10"), ("output_tokens", "5"), ("tokens_from", #""usage""#),
    ("choices", "1"), ("upload_ms", "0"), ("ttft_ms", "100"), ("ttlt_ms", "140"), ("total_ms", "150"),
    ("waited_ms", "null"), ("tpot_ms", "10"), ("tps", "100"), ("gaps_ms", "null"), ("client_stalled_ms", "0"),
    ("timeline", "null"),
  ]
  let members = defaults.map { key, value in "\"\(key)\":\(changes[key] ?? value)" }
  let more = changes.filter { change in !defaults.contains { $0.0 == change.key } }.map { "\"\($0)\":\($1)" }
  return "{\((members + more).joined(separator: ","))}"
}

/// The tally of `lines`, counted by one thread.
func tally(
  _ lines: [String], by grouping: ReportGrouping = .model, within window: TimeWindow = TimeWindow(),
  options: ReportOptions = ReportOptions(), limits: ReportLimits = ReportLimits()
) -> ReportTally {
  var counter = ReportCounter(ReportTally(by: grouping, within: window, options: options, limits: limits))
  for line in lines { counter.count(Array(line.utf8).span.bytes) }
  return counter.tally
}

/// The report on `lines`, with every group shown.
func summary(
  _ lines: [String], by grouping: ReportGrouping = .model, options: ReportOptions = ReportOptions()
) -> ReportSummary {
  ReportSummary(tally(lines, by: grouping, options: options), top: .max)
}

extension ReportSummary {
  /// The keys of the groups in their order.
  var keys: [String?] {
    groups.map { group in
      if case .key(let key) = group.name { key } else { "not a key" }
    }
  }
}

/// Nanoseconds since 1970 of a time of 2026-10-01.
func time(_ clock: String) -> Int64 { RecordParser.nanoseconds(rfc3339: "2026-10-01T\(clock)Z") ?? 0 }
