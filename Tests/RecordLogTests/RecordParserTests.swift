// What a log's lines are told apart into, on lines written by hand after Documentation.docc/Record.md.
// It must not use the encoder: reader and writer would agree on the same mistake.
import Measurement
import Testing

@testable import RecordLog

/// A record with every key of version 1, in the order of Documentation.docc/Record.md.
private let goldenLine =
  #"{"v":1,"id":"01928f3e-7c1a-7abc-8def-0123456789ab","ts":"2026-10-01T12:34:56.123456Z","instance":"gpu-1","#
  + #""user":"ann","user_from":"header:x-user-id","session":"conv_1","client":"10.0.0.7","request_id":"req_9","#
  + #""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","method":"POST","path":"/v1/chat/completions","#
  + #""dialect":"openai.chat","model":"llama","response_model":"llama-3","stream":true,"status":200,"#
  + #""outcome":"ok","stage":null,"error":null,"finish_reason":"stop","upstream":"127.0.0.1:8000","#
  + #""upstream_reused":true,"in_flight":3,"request_read":"whole","request_bytes":210,"response_bytes":9001,"input_tokens":12,"#
  + #""cached_tokens":4,"output_tokens":41,"reasoning_tokens":0,"tokens_from":"usage","output_chars":160,"#
  + #""choices":1,"events":41,"coalesced_events":2,"reads":39,"upload_ms":0.25,"connect_ms":0.05,"#
  + #""ttfb_ms":20.5,"ttfe_ms":21,"ttft_ms":22.125,"ttfa_ms":22.125,"ttlt_ms":422.125,"total_ms":423,"#
  + #""waited_ms":null,"tpot_ms":10,"tps":100,"tps_e2e":97.128,"cps":390.5,"#
  + #""gaps_ms":{"p50":9.9,"p90":11,"p99":14.5,"max":15},"itl_ms":{"p50":9.9,"p90":11,"p99":14.5,"max":15},"#
  + #""server":{"queue_ms":1.5,"prefill_ms":18},"delivery_us":{"p50":31,"p99":88,"max":240},"#
  + #""client_stalled_ms":0,"loop_lag_us":45.2,"clock":"kernel","timeline":[[22125,1],[32125,null]]}"#

private func parse(_ line: String) -> RecordLine<ExchangeRecord> {
  RecordParser().parse(Array(line.utf8).span.bytes)
}

private func record(_ line: String) throws -> ExchangeRecord {
  guard case .record(let record) = parse(line) else { throw NotARecord() }
  return record
}

private struct NotARecord: Error {}

@Suite("Lines of the log")
struct RecordParserTests {
  @Test("Every key of a whole record is read")
  func golden() throws {
    var expected = ExchangeRecord()
    expected.id = "01928f3e-7c1a-7abc-8def-0123456789ab"
    expected.timestampNanoseconds = 1_790_858_096_123_456_000
    expected.instance = "gpu-1"
    expected.user = "ann"
    expected.userFrom = "header:x-user-id"
    expected.session = "conv_1"
    expected.client = "10.0.0.7"
    expected.requestID = "req_9"
    expected.traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
    expected.method = "POST"
    expected.path = "/v1/chat/completions"
    expected.dialect = "openai.chat"
    expected.model = "llama"
    expected.responseModel = "llama-3"
    expected.stream = true
    expected.status = 200
    expected.finishReason = "stop"
    expected.upstream = "127.0.0.1:8000"
    expected.upstreamReused = true
    expected.inFlight = 3
    expected.requestRead = .whole
    expected.requestBytes = 210
    expected.responseBytes = 9001
    expected.inputTokens = 12
    expected.cachedTokens = 4
    expected.outputTokens = 41
    expected.reasoningTokens = 0
    expected.tokensFrom = .usage
    expected.outputChars = 160
    expected.choices = 1
    expected.events = 41
    expected.coalescedEvents = 2
    expected.reads = 39
    expected.uploadMilliseconds = 0.25
    expected.connectMilliseconds = 0.05
    expected.ttfbMilliseconds = 20.5
    expected.ttfeMilliseconds = 21
    expected.ttftMilliseconds = 22.125
    expected.ttfaMilliseconds = 22.125
    expected.ttltMilliseconds = 422.125
    expected.totalMilliseconds = 423
    expected.tpotMilliseconds = 10
    expected.tokensPerSecond = 100
    expected.tokensPerSecondEndToEnd = 97.128
    expected.charsPerSecond = 390.5
    expected.gapsMilliseconds = Quantiles(p50: 9.9, p90: 11, p99: 14.5, max: 15)
    expected.itlMilliseconds = Quantiles(p50: 9.9, p90: 11, p99: 14.5, max: 15)
    expected.server = ServerReport()
    expected.server?.queueMilliseconds = 1.5
    expected.server?.prefillMilliseconds = 18
    expected.deliveryMicroseconds = DeliveryQuantiles(p50: 31, p99: 88, max: 240)
    expected.clientStalledMilliseconds = 0
    expected.loopLagMicroseconds = 45.2
    expected.clock = .kernel
    expected.timeline = [
      TimelineEntry(offsetMicroseconds: 22125, tokens: 1), TimelineEntry(offsetMicroseconds: 32125, tokens: nil),
    ]
    #expect(try record(goldenLine) == expected)
  }

  @Test("Missing keys and nulls are nil, unknown keys are passed over, and any order of keys will do")
  func sparse() throws {
    let read = try record(
      #"{"new_key":[{"x":1}],"outcome":"client_cancelled","stage":"waiting","waited_ms":812.5,"ttft_ms":null,"#
        + #""ts":"2026-10-01T12:00:00Z","id":"a","v":1}"#)
    #expect(read.outcome == .clientCancelled)
    #expect(read.stage == .waiting)
    #expect(read.waitedMilliseconds == 812.5)
    #expect(read.ttftMilliseconds == nil)
    #expect(read.user == nil && read.gapsMilliseconds == nil && read.timeline == nil)
  }

  @Test(
    "What is no whole record is unreadable",
    arguments: [
      String(goldenLine.dropLast(40)), "", "   ", "null", "[1]", "not json", #"{"id":"a"}"#, #"{"v":"1","id":"a"}"#,
      #"{"v":1,"id":7,"ts":"2026-10-01T12:00:00Z","outcome":"ok"}"#, #"{"v":1,"id":"a","outcome":"ok"}"#,
      #"{"v":1,"id":"a","ts":"yesterday","outcome":"ok"}"#, #"{"v":1,"id":"a","ts":"2026-10-01T12:00:00Z"}"#,
      #"{"v":1,"id":"a","ts":"2026-10-01T12:00:00Z","outcome":"splendid"}"#, #"{"v":1,"dropped":-1}"#,
      goldenLine + goldenLine,
    ])
  func unreadable(_ line: String) { #expect(parse(line) == .unreadable) }

  @Test("Another version is told from a torn line")
  func otherVersion() {
    #expect(parse(#"{"v":2,"id":"a","all":"else is new"}"#) == .otherVersion)
  }

  @Test("The writer's notice of dropped records is understood, with its time where it has one")
  func dropped() {
    #expect(
      parse(#"{"v":1,"dropped":17,"ts":"1970-01-01T00:00:01.5Z","instance":"gpu-1"}"#)
        == .dropped(count: 17, timestampNanoseconds: 1_500_000_000))
    #expect(parse(#"{"v":1,"dropped":17}"#) == .dropped(count: 17, timestampNanoseconds: nil))
  }

  @Test("A timeline with a pair that is none is not taken for a shorter one")
  func brokenTimeline() throws {
    let line = goldenLine.replacing("[32125,null]", with: #"["32125",1]"#)
    #expect(try record(line).timeline == nil)
  }

  @Test(
    "RFC 3339 times",
    arguments: [
      ("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00:00.000000001Z", 1), ("1969-12-31T23:59:59.5Z", -500_000_000),
      ("2000-02-29T00:00:00Z", 951_782_400_000_000_000), ("2026-10-01T14:34:56+02:00", 1_790_858_096_000_000_000),
      ("2026-10-01t12:34:56.1234567891z", 1_790_858_096_123_456_789),
      ("1990-12-31T23:59:60Z", 662_688_000_000_000_000),
    ])
  func times(_ text: String, _ nanoseconds: Int64) {
    #expect(RecordParser.nanoseconds(rfc3339: text) == nanoseconds)
  }

  @Test(
    "What is no RFC 3339 time is none",
    arguments: [
      "", "2026-10-01", "2026-10-01 12:00:00Z", "2026-10-01T12:00:00", "2026-13-01T12:00:00Z", "2026-02-29T12:00:00Z",
      "2026-10-01T24:00:00Z", "2026-10-01T12:00:00.Z", "2026-10-01T12:00:00Zz", "9999-01-01T00:00:00Z",
      "2026-10-01T12:00:00+2:00", "+026-10-01T12:00:00Z",
    ])
  func noTimes(_ text: String) { #expect(RecordParser.nanoseconds(rfc3339: text) == nil) }
}
