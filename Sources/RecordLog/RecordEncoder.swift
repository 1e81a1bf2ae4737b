// One exchange to one line of JSON: record.md's keys, in record.md's order, nulls written.
// It must not know where the line goes.
import JSON
import Measure

/// Encodes records into a buffer of lines that it owns and re-uses.
public struct RecordEncoder: ~Copyable {
  private var json: JSONWriter

  /// Makes an encoder with room for `capacity` bytes of lines; it grows as needed.
  public init(capacity: Int = 64 * 1_024) { json = JSONWriter(capacity: capacity) }

  /// Bytes of the lines encoded since `removeAll`.
  public var count: Int { json.count }

  /// The lines encoded since `removeAll`, each with its newline.
  public borrowing func withLines<Result>(_ body: (RawSpan) -> Result) -> Result { json.withBytes(body) }

  /// Forgets the lines; gives back memory beyond `bytes`.
  public mutating func removeAll(keeping bytes: Int = .max) { json.removeAll(keeping: bytes) }

  /// Appends the line of `record`.
  public mutating func append(_ record: borrowing ExchangeRecord) {
    json.raw("{\"v\":1,\"id\":")
    json.string(record.id)
    json.raw(",\"ts\":")
    json.timestamp(realtimeNanoseconds: record.timestampNanoseconds)
    json.raw(",\"instance\":")
    json.string(record.instance)
    appendIdentity(record)
    appendRequest(record)
    appendCounts(record)
    appendTimes(record)
    appendSpeeds(record)
    appendServer(record.server)
    appendDelivery(record)
    appendTimeline(record.timeline)
    json.raw("}\n")
  }

  /// Appends the line that says how many records are missing before it.
  public mutating func append(dropped: Int, realtimeNanoseconds: Int64, instance: String) {
    json.raw("{\"v\":1,\"dropped\":")
    json.int(dropped)
    json.raw(",\"ts\":")
    json.timestamp(realtimeNanoseconds: realtimeNanoseconds)
    json.raw(",\"instance\":")
    json.string(instance)
    json.raw("}\n")
  }

  private mutating func appendIdentity(_ record: borrowing ExchangeRecord) {
    string(",\"user\":", record.user)
    string(",\"user_from\":", record.userFrom)
    string(",\"session\":", record.session)
    string(",\"client\":", record.client)
    string(",\"request_id\":", record.requestID)
    string(",\"trace_id\":", record.traceID)
  }

  private mutating func appendRequest(_ record: borrowing ExchangeRecord) {
    string(",\"method\":", record.method)
    string(",\"path\":", record.path)
    string(",\"dialect\":", record.dialect)
    string(",\"model\":", record.model)
    string(",\"response_model\":", record.responseModel)
    bool(",\"stream\":", record.stream)
    int(",\"status\":", record.status)
    string(",\"outcome\":", record.outcome.rawValue)
    string(",\"stage\":", record.stage?.rawValue)
    string(",\"error\":", record.error)
    string(",\"finish_reason\":", record.finishReason)
    string(",\"upstream\":", record.upstream)
    bool(",\"upstream_reused\":", record.upstreamReused)
    int(",\"in_flight\":", record.inFlight)
  }

  private mutating func appendCounts(_ record: borrowing ExchangeRecord) {
    int(",\"request_bytes\":", record.requestBytes)
    int(",\"response_bytes\":", record.responseBytes)
    int(",\"input_tokens\":", record.inputTokens)
    int(",\"cached_tokens\":", record.cachedTokens)
    int(",\"output_tokens\":", record.outputTokens)
    int(",\"reasoning_tokens\":", record.reasoningTokens)
    string(",\"tokens_from\":", record.tokensFrom?.rawValue)
    int(",\"output_chars\":", record.outputChars)
    int(",\"choices\":", record.choices)
    int(",\"events\":", record.events)
    int(",\"coalesced_events\":", record.coalescedEvents)
    int(",\"reads\":", record.reads)
  }

  private mutating func appendTimes(_ record: borrowing ExchangeRecord) {
    decimal(",\"upload_ms\":", record.uploadMilliseconds)
    decimal(",\"connect_ms\":", record.connectMilliseconds)
    decimal(",\"ttfb_ms\":", record.ttfbMilliseconds)
    decimal(",\"ttfe_ms\":", record.ttfeMilliseconds)
    decimal(",\"ttft_ms\":", record.ttftMilliseconds)
    decimal(",\"ttfa_ms\":", record.ttfaMilliseconds)
    decimal(",\"ttlt_ms\":", record.ttltMilliseconds)
    decimal(",\"total_ms\":", record.totalMilliseconds)
    decimal(",\"waited_ms\":", record.waitedMilliseconds)
  }

  private mutating func appendSpeeds(_ record: borrowing ExchangeRecord) {
    decimal(",\"tpot_ms\":", record.tpotMilliseconds)
    decimal(",\"tps\":", record.tokensPerSecond)
    decimal(",\"tps_e2e\":", record.tokensPerSecondEndToEnd)
    decimal(",\"cps\":", record.charsPerSecond)
    quantiles(",\"gaps_ms\":", record.gapsMilliseconds)
    quantiles(",\"itl_ms\":", record.itlMilliseconds)
  }

  private mutating func appendServer(_ server: ServerReport?) {
    json.raw(",\"server\":")
    guard let server else { return json.raw("null") }
    json.raw("{")
    let start = json.count
    member("\"queue_ms\":", server.queueMilliseconds, after: start)
    member("\"load_ms\":", server.loadMilliseconds, after: start)
    member("\"prefill_ms\":", server.prefillMilliseconds, after: start)
    member("\"decode_ms\":", server.decodeMilliseconds, after: start)
    member("\"total_ms\":", server.totalMilliseconds, after: start)
    json.raw("}")
  }

  private mutating func appendDelivery(_ record: borrowing ExchangeRecord) {
    json.raw(",\"delivery_us\":")
    if let delivery = record.deliveryMicroseconds {
      decimal("{\"p50\":", delivery.p50)
      decimal(",\"p99\":", delivery.p99)
      decimal(",\"max\":", delivery.max)
      json.raw("}")
    } else {
      json.raw("null")
    }
    decimal(",\"client_stalled_ms\":", record.clientStalledMilliseconds)
    decimal(",\"loop_lag_us\":", record.loopLagMicroseconds)
    string(",\"clock\":", record.clock?.rawValue)
  }

  private mutating func appendTimeline(_ timeline: [TimelineEntry]?) {
    json.raw(",\"timeline\":")
    guard let timeline else { return json.raw("null") }
    json.raw("[")
    for (place, entry) in timeline.enumerated() {
      json.raw(place == 0 ? "[" : ",[")
      json.int(Int(entry.offsetMicroseconds))
      int(",", entry.tokens)
      json.raw("]")
    }
    json.raw("]")
  }

  /// A member of an object whose first member begins at `start`; nothing where there is no value.
  private mutating func member(_ key: StaticString, _ value: Double?, after start: Int) {
    guard let value else { return }
    if json.count > start { json.raw(",") }
    decimal(key, value)
  }

  private mutating func quantiles(_ key: StaticString, _ value: Quantiles?) {
    json.raw(key)
    guard let value else { return json.raw("null") }
    decimal("{\"p50\":", value.p50)
    decimal(",\"p90\":", value.p90)
    decimal(",\"p99\":", value.p99)
    decimal(",\"max\":", value.max)
    json.raw("}")
  }

  @inline(__always)
  private mutating func string(_ key: StaticString, _ value: String?) {
    json.raw(key)
    if let value { json.string(value) } else { json.raw("null") }
  }

  @inline(__always)
  private mutating func int(_ key: StaticString, _ value: Int?) {
    json.raw(key)
    if let value { json.int(value) } else { json.raw("null") }
  }

  @inline(__always)
  private mutating func bool(_ key: StaticString, _ value: Bool?) {
    json.raw(key)
    if let value { json.bool(value) } else { json.raw("null") }
  }

  @inline(__always)
  private mutating func decimal(_ key: StaticString, _ value: Double?) {
    json.raw(key)
    if let value { json.decimal(value) } else { json.raw("null") }
  }
}
