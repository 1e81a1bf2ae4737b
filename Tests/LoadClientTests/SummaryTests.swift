// What a load adds up, and its join with the simulator's truth.
import Clocks
import Foundation
import TestSupport
import Testing

@testable import LoadClient

@Suite("A load in numbers")
struct SummaryTests {
  private func result(_ number: Int, _ ending: LoadResult.Ending, firstTokenAfter milliseconds: UInt64) -> LoadResult {
    let sentAt = Instant(nanoseconds: 1_000_000_000)
    let at = Instant(nanoseconds: 1_000_000_000 + milliseconds * 1_000_000)
    return LoadResult(
      number: number, ending: ending, tokens: 1, bytes: 1, sentAt: sentAt, firstTokenAt: at, endAt: at, arrivals: [])
  }

  private func json(_ results: [LoadResult]) throws -> [String: Any] {
    var summary = LoadSummary(idPrefix: "t")
    summary.elapsedNanoseconds = 1_000_000_000
    for result in results { summary.add(result) }
    return try #require(JSONSerialization.jsonObject(with: Data(summary.json.utf8)) as? [String: Any])
  }

  @Test("Quantiles are the nearest rank")
  func quantiles() throws {
    let json = try json([(1, 30), (2, 10), (3, 20)].map { result($0.0, .ok, firstTokenAfter: $0.1) })
    let ttft = try #require(json["ttft_ms"] as? [String: Any])
    #expect(ttft["p50"] as? Double == 20 && ttft["p90"] as? Double == 30 && ttft["max"] as? Double == 30)
  }

  @Test("Only requests that ended ok have a total time and count in the rate")
  func totals() throws {
    let json = try json([result(1, .ok, firstTokenAfter: 5), result(2, .status, firstTokenAfter: 7)])
    #expect((json["total_ms"] as? [String: Any])?["n"] as? Int == 1)
    #expect(json["requests_per_second"] as? Double == 1)
    #expect(json["requests"] as? Int == 2)
  }

  @Test(
    "A load has failed by a broken, unfinished or refused request; one that was aborted, or cut at the end, is no failure"
  )
  func failures() {
    for ending in LoadResult.Ending.allCases {
      var summary = LoadSummary(idPrefix: "t")
      summary.add(result(1, .ok, firstTokenAfter: 5))
      summary.add(result(2, ending, firstTokenAfter: 5))
      #expect(summary.hasFailures == [.status, .unterminated, .inBandError, .broken].contains(ending), "\(ending)")
    }
  }

  @Test("A write's time in the truth is the instant before it")
  func truth() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let path = try folder.write(#"{"request_id":"a","writes":[[5,9,1],[17,18,2]]}"# + "\n", to: "truth")
    #expect(TruthJoin.writes(path: path) == ["a": [Instant(nanoseconds: 5), Instant(nanoseconds: 17)]])
  }

  @Test("A line ends a stream only where it says so itself")
  func ends() {
    func sawEnd(_ line: String) -> Bool {
      var lines = TokenLines(path: "/v1/chat/completions")
      Array((line + "\n").utf8).withUnsafeBytes { lines.append($0) }
      return lines.sawEnd
    }
    #expect(sawEnd("data: [DONE]"))
    #expect(!sawEnd(#"data: {"x":"[DONE]"}"#))
  }
}
