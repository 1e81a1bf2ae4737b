// A line's members into a whole ExchangeRecord, in the order of Documentation.docc/Record.md
// so that one pass finds them all.
// It must not guess: what is missing, null or of another type is nil.
import JSON
import Measurement

extension ExchangeRecord {
  /// - Returns: nil where `ts` or `outcome` are missing or unknown: a reader must not take such a line for a success.
  init?(id: JSONValue, members: inout JSONMembers) {
    guard let id = id.string, let timestamp = RecordParser.timestampNanoseconds(members.present("ts")) else {
      return nil
    }
    self.init()
    self.id = ExchangeID(id)
    timestampNanoseconds = timestamp
    instance = members.string("instance") ?? ""
    readRequest(&members)
    guard readAnswer(&members) else { return nil }
    readCounts(&members)
    readTimes(&members)
    readMeasurement(&members)
  }

  private mutating func readRequest(_ members: inout JSONMembers) {
    user = members.string("user")
    userFrom = members.string("user_from")
    session = members.string("session")
    client = members.string("client")
    requestID = members.string("request_id")
    traceID = members.string("trace_id")
    method = members.string("method")
    path = members.string("path")
    dialect = members.string("dialect")
    model = members.string("model")
    responseModel = members.string("response_model")
  }

  private mutating func readAnswer(_ members: inout JSONMembers) -> Bool {
    stream = members.present("stream")?.bool
    status = members.int("status")
    guard let outcome = members.present("outcome").flatMap(Outcome.init(_:)) else { return false }
    self.outcome = outcome
    stage = members.string("stage").flatMap(Stage.init(rawValue:))
    error = members.string("error")
    finishReason = members.string("finish_reason")
    upstream = members.string("upstream")
    upstreamReused = members.present("upstream_reused")?.bool
    inFlight = members.int("in_flight")
    return true
  }

  private mutating func readCounts(_ members: inout JSONMembers) {
    requestBytes = members.int("request_bytes")
    responseBytes = members.int("response_bytes")
    inputTokens = members.int("input_tokens")
    cachedTokens = members.int("cached_tokens")
    outputTokens = members.int("output_tokens")
    reasoningTokens = members.int("reasoning_tokens")
    tokensFrom = members.string("tokens_from").flatMap(TokenSource.init(rawValue:))
    outputChars = members.int("output_chars")
    choices = members.int("choices")
    events = members.int("events")
    coalescedEvents = members.int("coalesced_events")
    reads = members.int("reads")
  }

  private mutating func readTimes(_ members: inout JSONMembers) {
    uploadMilliseconds = members.double("upload_ms")
    connectMilliseconds = members.double("connect_ms")
    ttfbMilliseconds = members.double("ttfb_ms")
    ttfeMilliseconds = members.double("ttfe_ms")
    ttftMilliseconds = members.double("ttft_ms")
    ttfaMilliseconds = members.double("ttfa_ms")
    ttltMilliseconds = members.double("ttlt_ms")
    totalMilliseconds = members.double("total_ms")
    waitedMilliseconds = members.double("waited_ms")
    tpotMilliseconds = members.double("tpot_ms")
    tokensPerSecond = members.double("tps")
    tokensPerSecondEndToEnd = members.double("tps_e2e")
    charsPerSecond = members.double("cps")
  }

  private mutating func readMeasurement(_ members: inout JSONMembers) {
    gapsMilliseconds = members.present("gaps_ms").flatMap(Quantiles.init(_:))
    itlMilliseconds = members.present("itl_ms").flatMap(Quantiles.init(_:))
    server = members.present("server").flatMap(ServerReport.init(_:))
    deliveryMicroseconds = members.present("delivery_us").flatMap(DeliveryQuantiles.init(_:))
    clientStalledMilliseconds = members.double("client_stalled_ms")
    loopLagMicroseconds = members.double("loop_lag_us")
    clock = members.string("clock").flatMap(ClockSource.init(rawValue:))
    timeline = members.present("timeline").flatMap(TimelineEntry.entries(_:))
  }
}

extension Outcome {
  /// The outcome that `value` names, found without a copy of its text; nil where it names none of version 1's.
  public init?(_ value: JSONValue) {
    // Nearly every line says so.
    if value.equals("ok") {
      self = .ok
      return
    }
    guard let name = value.string, let outcome = Outcome(rawValue: name) else { return nil }
    self = outcome
  }
}

extension JSONMembers {
  fileprivate mutating func string(_ key: StaticString) -> String? { present(key)?.string }
  fileprivate mutating func int(_ key: StaticString) -> Int? { present(key)?.int }
  fileprivate mutating func double(_ key: StaticString) -> Double? { present(key)?.double }
}

extension Quantiles {
  fileprivate init?(_ value: JSONValue) {
    guard var members = value.members, let p50 = members.double("p50"), let p90 = members.double("p90"),
      let p99 = members.double("p99"), let max = members.double("max")
    else { return nil }
    self.init(p50: p50, p90: p90, p99: p99, max: max)
  }
}

extension DeliveryQuantiles {
  fileprivate init?(_ value: JSONValue) {
    guard var members = value.members, let p50 = members.double("p50"), let p99 = members.double("p99"),
      let max = members.double("max")
    else { return nil }
    self.init(p50: p50, p99: p99, max: max)
  }
}

extension ServerReport {
  fileprivate init?(_ value: JSONValue) {
    guard var members = value.members else { return nil }
    self.init()
    queueMilliseconds = members.double("queue_ms")
    loadMilliseconds = members.double("load_ms")
    prefillMilliseconds = members.double("prefill_ms")
    decodeMilliseconds = members.double("decode_ms")
    totalMilliseconds = members.double("total_ms")
  }
}

extension TimelineEntry {
  /// A whole timeline; nil where `value` is none, or holds anything but pairs that start with a whole number.
  static func entries(_ value: JSONValue) -> [TimelineEntry]? {
    guard value.isArray else { return nil }
    var entries: [TimelineEntry] = []
    entries.reserveCapacity(value.count ?? 0)
    var isWhole = true
    value.forEachElement { pair in
      guard let entry = TimelineEntry(pair) else {
        isWhole = false
        return
      }
      entries.append(entry)
    }
    return isWhole ? entries : nil
  }

  /// One pair `[offset_us, tokens]`; nil where it is none.
  public init?(_ pair: JSONValue) {
    guard pair.count == 2 else { return nil }
    var offset: Int?
    var tokens: Int?
    var place = 0
    pair.forEachElement { element in
      if place == 0 { offset = element.int } else { tokens = element.int }
      place += 1
    }
    guard let offset else { return nil }
    self.init(offsetMicroseconds: Int64(offset), tokens: tokens)
  }
}
