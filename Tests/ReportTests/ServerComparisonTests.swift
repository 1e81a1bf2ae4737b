// The comparison of servers' own times with the wire.
import Foundation
import Measurement
import RecordLog
import TestSupport
import Testing

@testable import Report

@Suite("Wire and server")
struct ServerComparisonTests {
  private func comparison(_ lines: [String], where conditions: [String] = []) throws -> ServerComparison {
    let folder = try TemporaryFolder()
    try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: folder.file("log")))
    var comparison = ServerComparison(where: try conditions.map { try RecordCondition($0) })
    try comparison.read(paths: [folder.file("log")])
    return comparison
  }

  private func line(
    _ server: String, model: String = "m", ttft: Double = 120, ttlt: Double = 520, total: Double = 530,
    outcome: String = "ok", more: String = ""
  ) -> String {
    #"{"v":1,"id":"x","ts":"2026-01-01T00:00:00.000000Z","model":"\#(model)","outcome":"\#(outcome)","upstream":"u:1","ttft_ms":\#(ttft),"ttlt_ms":\#(ttlt),"total_ms":\#(total),"server":\#(server)\#(more)}"#
  }

  private func object(_ comparison: ServerComparison) throws -> [[String: Any]] {
    let json = try JSONSerialization.jsonObject(with: Data(comparison.json.utf8)) as? [String: Any]
    return try #require(json?["servers"] as? [[String: Any]])
  }

  private func between(_ group: [String: Any], _ key: String) -> Double? {
    ((group[key] as? [String: Any])?["between"] as? [String: Any])?["max"] as? Double
  }

  @Test("What lies between wire and server is taken of each exchange")
  func differences() throws {
    let groups = try object(
      try comparison([
        line(#"{"queue_ms":20,"prefill_ms":60,"decode_ms":380}"#),
        line(#"{"queue_ms":5,"load_ms":5,"prefill_ms":10,"decode_ms":390,"total_ms":500}"#),
      ]))
    #expect(groups.count == 1 && groups[0]["exchanges"] as? Int == 2)
    #expect(between(groups[0], "to_first_token_ms") == 100)
    #expect(between(groups[0], "first_to_last_token_ms") == 20)
    #expect(between(groups[0], "whole_exchange_ms") == 70)
  }

  @Test("A server's own TTFT goes before the sum of its parts; what it does not say is not compared")
  func parts() throws {
    let groups = try object(
      try comparison([
        line(#"{"ttft_ms":90,"queue_ms":20}"#), line(#"{"decode_ms":500}"#, model: "n"),
        line(#"{"total_ms":30}"#, model: "o"),
      ]))
    #expect(between(groups[0], "to_first_token_ms") == 30 && groups[0]["first_to_last_token_ms"] is NSNull)
    // Never below nothing.
    #expect(between(groups[1], "first_to_last_token_ms") == 0 && groups[1]["whole_exchange_ms"] is NSNull)
    #expect(between(groups[2], "whole_exchange_ms") == 500)
  }

  @Test("Only ok exchanges count, and those that meet the conditions; old records have no server's times")
  func chosen() throws {
    let old = #"{"v":1,"id":"x","ts":"2026-01-01T00:00:00.000000Z","model":"m","outcome":"ok","upstream":"u:1"}"#
    let comparison = try comparison(
      [line(#"{"total_ms":30}"#, outcome: "timeout"), line(#"{"total_ms":30}"#, model: "other"), old, "torn"],
      where: ["model=m"])
    #expect(comparison.ordered.isEmpty && comparison.silent == 1)
    #expect(comparison.lines(columns: nil).count == 1)
  }

  @Test("The text has a table for each time, and notes on speculation and buffering")
  func text() throws {
    let more = #","buffered":true"#
    let lines = try comparison([
      line(#"{"queue_ms":20,"prefill_ms":60,"decode_ms":380,"draft_tokens":8,"accepted_tokens":6}"#, more: more)
    ]).lines(columns: nil)
    let text = lines.joined(separator: "\n")
    for part in ["TO THE FIRST TOKEN", "FIRST TO LAST TOKEN", "WHOLE EXCHANGE", "75.0 %", "1 of 1 streams"] {
      #expect(text.contains(part))
    }
    #expect(lines.contains { $0.hasPrefix("m ") && $0.contains("40.00") })
  }
  @Test("Percentiles of few exchanges are marked as thin, in text and in JSON")
  func thin() throws {
    let few = try comparison([line(#"{"total_ms":30}"#)])
    #expect(few.lines(columns: nil).contains { $0.hasPrefix("m ") && $0.contains("*") })
    #expect(few.lines(columns: nil).contains { $0.hasPrefix("*: a thin percentile") })
    let named = parse(few.json) { root in
      root["servers"]?.firstElement?["whole_exchange_ms"]?["between"]?["thin"]?.count
    }
    #expect(named == 3)
    let many = try comparison((0..<500).map { _ in line(#"{"total_ms":30}"#) })
    #expect(!many.lines(columns: nil).contains { $0.contains("*") })
  }
}
