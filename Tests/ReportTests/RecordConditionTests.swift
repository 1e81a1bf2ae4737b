// `--where`: which records meet a condition, and which texts are none.
import Testing

@testable import Report

@Suite("RecordCondition")
struct RecordConditionTests {
  private func count(_ conditions: [String], _ lines: [String]) throws -> Int {
    let conditions = try conditions.map { try RecordCondition($0) }
    var counter = ReportCounter(ReportTally(by: .model, where: conditions))
    for line in lines { counter.count(Array(line.utf8).span.bytes) }
    #expect(counter.tally.reading.records == lines.count)
    return ReportSummary(counter.tally, top: .max).all.requests
  }

  private let chat = line(["path": #""/v1/chat/completions""#, "stream": "true", "error": "null"])
  private let failed = line([
    "path": #""/v1/models""#, "status": "404", "outcome": #""upstream_status""#, "stream": "false", "error": #""null""#,
  ])

  @Test(
    "A condition is on a string, a number, a Boolean or null, or on how a string begins",
    arguments: [
      ("outcome=ok", true, false), ("outcome!=ok", false, true), ("path=/v1/models", false, true),
      ("path=/v1/*", true, true), ("path=/v1/m*", false, true), ("path=/v1", false, false), ("status=200", true, false),
      ("status=200.0", true, false), ("status!=404", true, false), ("stream=true", true, false),
      ("stream=false", false, true), ("error=null", true, false), (#"error="null""#, false, true),
      ("session=null", true, true), ("session!=null", false, false), ("user=ann", true, true), ("user=*", true, true),
      ("ttft_ms=100", true, true), ("model=", false, false), ("id=x=y", false, false),
    ])
  func conditions(_ text: String, _ isChat: Bool, _ isFailed: Bool) throws {
    #expect(try count([text], [chat]) == (isChat ? 1 : 0))
    #expect(try count([text], [failed]) == (isFailed ? 1 : 0))
  }

  @Test("Several conditions have to be met together, and they leave the groups and numbers alone")
  func several() throws {
    #expect(try count(["outcome=ok", "path=/v1/chat*"], [chat, failed, chat]) == 2)
    #expect(try count(["outcome=ok", "path=/v1/models"], [chat, failed]) == 0)
    let conditions = [try RecordCondition("total_ms=150"), try RecordCondition("user=ann")]
    var counter = ReportCounter(ReportTally(by: .user, where: conditions))
    counter.count(Array(line().utf8).span.bytes)
    let summary = ReportSummary(counter.tally, top: .max)
    #expect(summary.keys == ["ann"])
    #expect(summary.all.inputTokens == 10 && summary.all[.ttft]?.max == 100)
    let json = summary.json { "\($0)" }.filter { !$0.isWhitespace }
    #expect(json.contains(#""where":["total_ms=150","user=ann"]"#))
  }

  @Test(
    "What is no condition is refused, with the keys that there are",
    arguments: ["outcome", "=ok", "colour=red", "gaps_ms=1", "timeline=null", "!=1", ""])
  func refused(text: String) {
    let error = #expect(throws: RecordCondition.Invalid.self) { _ = try RecordCondition(text) }
    #expect(error?.description.contains("\"") == true)
  }
}
