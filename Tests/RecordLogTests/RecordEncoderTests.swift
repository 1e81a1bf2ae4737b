// The encoder's lines, byte by byte, and read back by a parser that is not ours.
// It must not write to a file.
import JSON
import Measurement
import Testing

@testable import RecordLog

/// A record with every key set.
func fullRecord() -> ExchangeRecord {
  var record = ExchangeRecord()
  record.id = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
  record.timestampNanoseconds = 1_763_688_551_123_456_789
  record.instance = "gpu-1"
  record.user = "alice \"the\" \\ \u{1F600}\u{7F}\n\u{1}"
  record.userFrom = "header:x-user-id"
  record.session = "s-1"
  record.client = "10.0.0.7"
  record.requestID = "req-1"
  record.traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
  record.task = "title_generation"
  record.method = "POST"
  record.path = "/v1/chat/completions"
  record.dialect = "openai.chat"
  record.model = "tiny"
  record.responseModel = "tiny-q8"
  record.stream = true
  record.status = 200
  record.outcome = .clientCancelled
  record.stage = .streaming
  record.error = "client reset"
  record.finishReason = "stop"
  record.upstream = "127.0.0.1:8000"
  record.upstreamReused = false
  record.inFlight = 4
  record.requestRead = .partly
  record.requestBytes = 512
  record.responseBytes = 40_960
  record.inputTokens = 30
  record.cachedTokens = 20
  record.outputTokens = 6
  record.reasoningTokens = 8
  record.lateTokens = 9
  record.undeliveredTokens = 11
  record.tokensFrom = .usage
  record.outputChars = 21
  record.choices = 12
  record.events = 5
  record.coalescedEvents = 2
  record.reads = 3
  record.uploadMilliseconds = 0.0004
  record.connectMilliseconds = 0.0006
  record.ttfbMilliseconds = 39
  record.ttfeMilliseconds = 41.5
  record.ttftMilliseconds = 100.25
  record.ttfaMilliseconds = 120.125
  record.ttltMilliseconds = 150.0625
  record.totalMilliseconds = 123_456_789.001
  record.waitedMilliseconds = 7
  record.tpotMilliseconds = 10.01
  record.tokensPerSecond = 99.9
  record.tokensPerSecondEndToEnd = 40
  record.charsPerSecond = 320
  record.gapsMilliseconds = Quantiles(p50: 20, p90: 30, p99: 31, max: 32)
  record.itlMilliseconds = Quantiles(p50: 10, p90: 15, p99: 15.5, max: 16)
  var server = ServerReport()
  server.loadMilliseconds = 1
  server.decodeMilliseconds = 50.5
  server.draftTokens = 14
  server.acceptanceRate = 0.75
  record.server = server
  record.deliveryMicroseconds = DeliveryQuantiles(p50: 12.345, p99: 20, max: 21)
  record.clientStalledMilliseconds = 2.5
  record.loopLagMicroseconds = 4.5
  record.clock = .mixed
  record.encoding = "gzip"
  record.buffered = true
  var stalls = Stalls()
  stalls.server = Stalls.Tally(count: 2, milliseconds: 1_500.5)
  stalls.client = Stalls.Tally(count: 1, milliseconds: 600)
  record.stalls = stalls
  record.timeline = [
    TimelineEntry(offsetMicroseconds: 100_250, tokens: 1), TimelineEntry(offsetMicroseconds: 120_125, tokens: nil),
  ]
  return record
}

func line(_ record: ExchangeRecord) -> String {
  var encoder = RecordEncoder(capacity: 64)
  var record = record
  encoder.append(&record)
  return encoder.withLines { lines in lines.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
}

@Suite("RecordEncoder")
struct RecordEncoderTests {
  @Test("A full record is this line")
  func fullLine() {
    let expected = #"""
      {"v":1,"id":"017f22e2-79b0-7cc3-98c4-dc0c0c07398f","ts":"2025-11-21T01:29:11.123456Z","instance":"gpu-1",\#
      "user":"alice \"the\" \\ 😀\#u{7F}\n\u0001","user_from":"header:x-user-id","session":"s-1","client":"10.0.0.7",\#
      "request_id":"req-1","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","response_id":null,"task":"title_generation","method":"POST",\#
      "path":"/v1/chat/completions","dialect":"openai.chat","model":"tiny","response_model":"tiny-q8","stream":true,\#
      "status":200,"outcome":"client_cancelled","stage":"streaming","error":"client reset","finish_reason":"stop",\#
      "upstream":"127.0.0.1:8000","upstream_reused":false,"in_flight":4,"request_read":"partly","request_bytes":512,"response_bytes":40960,\#
      "input_tokens":30,"cached_tokens":20,"cache_write_tokens":null,"output_tokens":6,"reasoning_tokens":8,"tool_calls":null,"late_tokens":9,"undelivered_tokens":11,"tokens_from":"usage",\#
      "output_chars":21,"choices":12,"events":5,"coalesced_events":2,"reads":3,"upload_ms":0.0,"connect_ms":0.001,\#
      "ttfb_ms":39.0,"ttfe_ms":41.5,"ttft_ms":100.25,"ttfa_ms":120.125,"ttlt_ms":150.063,\#
      "total_ms":123456789.001,"waited_ms":7.0,"tpot_ms":10.01,"tps":99.9,"tps_e2e":40.0,"cps":320.0,\#
      "gaps_ms":{"p50":20.0,"p90":30.0,"p99":31.0,"max":32.0},\#
      "itl_ms":{"p50":10.0,"p90":15.0,"p99":15.5,"max":16.0},"server":{"load_ms":1.0,"decode_ms":50.5,"draft_tokens":14,"acceptance_rate":0.75},\#
      "delivery_us":{"p50":12.345,"p99":20.0,"max":21.0},"client_stalled_ms":2.5,"loop_lag_us":4.5,\#
      "clock":"mixed","encoding":"gzip","buffered":true,"stalls":{"server":[2,1500.5],"proxy":[0,0.0],"client":[1,600.0]},\#
      "timeline":[[100250,1],[120125,null]]}

      """#
    #expect(line(fullRecord()) == expected)
  }

  @Test("An empty record has every key, and null for all that is not known")
  func emptyLine() {
    let expected = #"""
      {"v":1,"id":"","ts":"1970-01-01T00:00:00.000000Z","instance":"","user":null,"user_from":null,"session":null,\#
      "client":null,"request_id":null,"trace_id":null,"response_id":null,"task":null,"method":null,"path":null,"dialect":null,"model":null,\#
      "response_model":null,"stream":null,"status":null,"outcome":"ok","stage":null,"error":null,\#
      "finish_reason":null,"upstream":null,"upstream_reused":null,"in_flight":null,"request_read":null,"request_bytes":null,\#
      "response_bytes":null,"input_tokens":null,"cached_tokens":null,"cache_write_tokens":null,"output_tokens":null,"reasoning_tokens":null,"tool_calls":null,"late_tokens":null,"undelivered_tokens":null,\#
      "tokens_from":null,"output_chars":null,"choices":null,"events":null,"coalesced_events":null,"reads":null,\#
      "upload_ms":null,"connect_ms":null,"ttfb_ms":null,"ttfe_ms":null,"ttft_ms":null,"ttfa_ms":null,\#
      "ttlt_ms":null,"total_ms":null,"waited_ms":null,"tpot_ms":null,"tps":null,"tps_e2e":null,"cps":null,\#
      "gaps_ms":null,"itl_ms":null,"server":null,"delivery_us":null,"client_stalled_ms":null,"loop_lag_us":null,\#
      "clock":null,"encoding":null,"buffered":null,"stalls":null,"timeline":null}

      """#
    #expect(line(ExchangeRecord()) == expected)
  }

  @Test("Lines of different seconds, users and outcomes each have their own, in one buffer")
  func severalLines() {
    var encoder = RecordEncoder(capacity: 64)
    var expected = ""
    for number in 0..<20 {
      var record = number % 3 == 0 ? fullRecord() : ExchangeRecord()
      // Two in a row are of one second, the third is not.
      record.timestampNanoseconds = Int64(number / 2) * 1_700_000_000_123 + Int64(number) * 1_000_000
      record.user = number % 4 == 0 ? nil : "user \(number)"
      record.outcome = Outcome.allCases[number % Outcome.allCases.count]
      record.totalMilliseconds = Double(number / 4) + 0.125
      encoder.append(&record)
      expected += line(record)
    }
    let text = encoder.withLines { lines in lines.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
    #expect(text == expected)
    #expect(Set(text.split(separator: "\n").map { $0.firstRange(of: /"ts":"[^"]*"/).map { text[$0] } }).count == 20)
  }

  @Test("A line is one JSON object whose strings come back as they were")
  func parses() {
    let record = fullRecord()
    let parser = JSONParser()
    let text = Array(line(record).utf8.dropLast())
    let user = parser.parse(text.span.bytes) { root -> String? in
      #expect(root.isObject && root.count == 67)
      return root["user"]?.string
    }
    #expect(user == record.user)
  }

  @Test("Every control character is escaped and comes back")
  func controls() {
    var record = ExchangeRecord()
    record.error = String(String.UnicodeScalarView((0...0x9F).compactMap(Unicode.Scalar.init)))
    let text = Array(line(record).utf8.dropLast())
    #expect(text.allSatisfy { $0 >= 0x20 })
    #expect(JSONParser().parse(text.span.bytes) { $0["error"]?.string } == record.error)
  }

  @Test("What is to be escaped is found at every place of a text of any length", arguments: 0...26)
  func escapedAnywhere(length: Int) {
    let letters = (0..<length).map { UInt8(ascii: "a") + UInt8($0 % 26) }
    var json = JSONWriter(capacity: 64)
    json.string(String(decoding: letters, as: UTF8.self))
    #expect(json.text == "\"" + String(decoding: letters, as: UTF8.self) + "\"")
    for place in letters.indices {
      for (scalar, escape) in [
        ("\"", #"\""#), ("\\", #"\\"#), ("\u{1F}", #"\u001f"#), ("é", "é"), ("\u{7F}", "\u{7F}"),
      ] {
        let before = String(decoding: letters[..<place], as: UTF8.self)
        let after = String(decoding: letters[(place + 1)...], as: UTF8.self)
        json.removeAll()
        json.string(before + scalar + after)
        #expect(json.text == "\"" + before + escape + after + "\"")
      }
    }
  }

  @Test(
    "Numbers that JSON has no word for are null",
    arguments: [Double.nan, .infinity, -.infinity, .greatestFiniteMagnitude, 1e300, -1e300])
  func notNumbers(value: Double) {
    var record = ExchangeRecord()
    record.tokensPerSecond = value
    #expect(line(record) == line(ExchangeRecord()))
  }

  @Test(
    "Decimals have at most three places, and whole numbers one",
    arguments: [
      (0, "0.0"), (-0.0, "0.0"), (-0.0001, "0.0"), (0.0005, "0.001"), (1.999, "1.999"), (1.9996, "2.0"), (-2.5, "-2.5"),
      (0.01, "0.01"), (0.1, "0.1"), (1e12, "1000000000000.0"),
    ])
  func decimals(value: Double, text: String) {
    var json = JSONWriter()
    json.decimal(value)
    #expect(json.text == text)
  }

  @Test("Every decimal of a run of thousandths is what it says", arguments: [0, 9_990, 99_000, 123_456_000])
  func decimalRuns(start: Int) {
    var json = JSONWriter(capacity: 64)
    for thousandths in start..<(start + 1_100) {
      var places = String(String(thousandths % 1_000 + 1_000).dropFirst())
      while places.count > 1, places.hasSuffix("0") { places.removeLast() }
      json.removeAll()
      json.decimal(Double(thousandths) / 1_000)
      #expect(json.text == "\(thousandths / 1_000).\(places)")
    }
  }

  @Test("Whole numbers of any length")
  func intLengths() {
    var json = JSONWriter(capacity: 64)
    for value in Array(0...1_100) + sequence(first: 7, next: { $0 > Int.max / 7 ? nil : $0 * 7 }) {
      json.removeAll()
      json.int(value)
      #expect(json.text == String(value))
    }
  }

  @Test("Whole numbers of any size", arguments: [0, 9, 10, -1, 99, 100, 1_000_000_007, Int.max, Int.min])
  func ints(value: Int) {
    var json = JSONWriter()
    json.int(value)
    #expect(json.text == String(value))
  }

  @Test(
    "Times are RFC 3339 in UTC, cut to the microsecond",
    arguments: [
      (0, "1970-01-01T00:00:00.000000Z"), (-1, "1969-12-31T23:59:59.999999Z"),
      (951_827_696_000_001_999, "2000-02-29T12:34:56.000001Z"),
      (4_107_542_399_999_999_999, "2100-02-28T23:59:59.999999Z"),
      (1_709_251_199_000_000_000, "2024-02-29T23:59:59.000000Z"), (Int64.max, "2262-04-11T23:47:16.854775Z"),
      (Int64.min, "1677-09-21T00:12:43.145224Z"),
    ])
  func timestamps(nanoseconds: Int64, text: String) {
    var json = JSONWriter()
    json.timestamp(realtimeNanoseconds: nanoseconds)
    #expect(json.text == "\"\(text)\"")
  }

  @Test("What is written again from where it was written before is the same: decimals, times of one second, other ones")
  func repeated() {
    var json = JSONWriter(capacity: 64)
    for _ in 0..<2 {
      for value in [12.5, 12.5, .nan, 12.5, 0, 0, -0.0, 12.25, -12.25, -12.25, 7_000_000.125, 7_000_000.125, 1] {
        let start = json.count
        json.decimal(value)
        var alone = JSONWriter()
        alone.decimal(value)
        #expect(String(json.text.dropFirst(start)) == alone.text)
      }
      for nanoseconds in [-1, -999_999_999, 0, 999_999_999, 1_000_000_000, 1_000_000_001, 86_400_000_000_000, 1] {
        let start = json.count
        json.timestamp(realtimeNanoseconds: Int64(nanoseconds))
        var alone = JSONWriter()
        alone.timestamp(realtimeNanoseconds: Int64(nanoseconds))
        #expect(String(json.text.dropFirst(start)) == alone.text)
      }
      json.removeAll(keeping: 64)
    }
  }

  @Test("The line about missing records is told from a record by its `dropped`")
  func dropped() {
    var encoder = RecordEncoder()
    encoder.append(dropped: 12, realtimeNanoseconds: 0, instance: "a")
    let text = encoder.withLines { lines in lines.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
    #expect(text == #"{"v":1,"dropped":12,"ts":"1970-01-01T00:00:00.000000Z","instance":"a"}"# + "\n")
  }

  @Test("Memory beyond what is kept is given back, and the next line is whole")
  func memory() {
    var encoder = RecordEncoder(capacity: 64)
    var (full, empty) = (fullRecord(), ExchangeRecord())
    for _ in 0..<100 { encoder.append(&full) }
    encoder.removeAll(keeping: 128)
    #expect(encoder.count == 0)
    encoder.append(&empty)
    let text = encoder.withLines { lines in lines.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
    #expect(text == line(ExchangeRecord()))
  }
}

extension JSONWriter {
  fileprivate var text: String { withBytes { bytes in bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } } }
}
