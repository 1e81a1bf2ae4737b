// One exchange to one line of JSON: the keys of Documentation.docc/Record.md, in its order, nulls written.
// It must not know where the line goes.
import JSON
import Measurement

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
    append(record.id)
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

  private mutating func append(_ id: ExchangeID) {
    if let text = id.other { return json.string(text) }
    unsafe json.plainString(ExchangeID.uuidLength) { unsafe id.writeUUID(to: $0) }
  }

  private mutating func appendIdentity(_ record: borrowing ExchangeRecord) {
    json.member(",\"user\":", record.user)
    json.member(",\"user_from\":", record.userFrom)
    json.member(",\"session\":", record.session)
    json.member(",\"client\":", record.client)
    json.member(",\"request_id\":", record.requestID)
    json.member(",\"trace_id\":", record.traceID)
  }

  private mutating func appendRequest(_ record: borrowing ExchangeRecord) {
    json.member(",\"method\":", record.method)
    json.member(",\"path\":", record.path)
    json.member(",\"dialect\":", record.dialect)
    json.member(",\"model\":", record.model)
    json.member(",\"response_model\":", record.responseModel)
    json.member(",\"stream\":", record.stream)
    json.member(",\"status\":", record.status)
    json.member(",\"outcome\":", record.outcome.rawValue)
    json.member(",\"stage\":", record.stage?.rawValue)
    json.member(",\"error\":", record.error)
    json.member(",\"finish_reason\":", record.finishReason)
    json.member(",\"upstream\":", record.upstream)
    json.member(",\"upstream_reused\":", record.upstreamReused)
    json.member(",\"in_flight\":", record.inFlight)
  }

  private mutating func appendCounts(_ record: borrowing ExchangeRecord) {
    json.member(",\"request_bytes\":", record.requestBytes)
    json.member(",\"response_bytes\":", record.responseBytes)
    json.member(",\"input_tokens\":", record.inputTokens)
    json.member(",\"cached_tokens\":", record.cachedTokens)
    json.member(",\"output_tokens\":", record.outputTokens)
    json.member(",\"reasoning_tokens\":", record.reasoningTokens)
    json.member(",\"tokens_from\":", record.tokensFrom?.rawValue)
    json.member(",\"output_chars\":", record.outputChars)
    json.member(",\"choices\":", record.choices)
    json.member(",\"events\":", record.events)
    json.member(",\"coalesced_events\":", record.coalescedEvents)
    json.member(",\"reads\":", record.reads)
  }

  private mutating func appendTimes(_ record: borrowing ExchangeRecord) {
    json.member(",\"upload_ms\":", record.uploadMilliseconds)
    json.member(",\"connect_ms\":", record.connectMilliseconds)
    json.member(",\"ttfb_ms\":", record.ttfbMilliseconds)
    json.member(",\"ttfe_ms\":", record.ttfeMilliseconds)
    json.member(",\"ttft_ms\":", record.ttftMilliseconds)
    json.member(",\"ttfa_ms\":", record.ttfaMilliseconds)
    json.member(",\"ttlt_ms\":", record.ttltMilliseconds)
    json.member(",\"total_ms\":", record.totalMilliseconds)
    json.member(",\"waited_ms\":", record.waitedMilliseconds)
  }

  private mutating func appendSpeeds(_ record: borrowing ExchangeRecord) {
    json.member(",\"tpot_ms\":", record.tpotMilliseconds)
    json.member(",\"tps\":", record.tokensPerSecond)
    json.member(",\"tps_e2e\":", record.tokensPerSecondEndToEnd)
    json.member(",\"cps\":", record.charsPerSecond)
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
      json.member("{\"p50\":", delivery.p50)
      json.member(",\"p99\":", delivery.p99)
      json.member(",\"max\":", delivery.max)
      json.raw("}")
    } else {
      json.raw("null")
    }
    json.member(",\"client_stalled_ms\":", record.clientStalledMilliseconds)
    json.member(",\"loop_lag_us\":", record.loopLagMicroseconds)
    json.member(",\"clock\":", record.clock?.rawValue)
  }

  private mutating func appendTimeline(_ timeline: [TimelineEntry]?) {
    json.raw(",\"timeline\":")
    guard let timeline else { return json.raw("null") }
    json.raw("[")
    for (place, entry) in timeline.enumerated() {
      json.raw(place == 0 ? "[" : ",[")
      json.int(Int(entry.offsetMicroseconds))
      json.member(",", entry.tokens)
      json.raw("]")
    }
    json.raw("]")
  }

  /// A member of an object whose first member begins at `start`; nothing where there is no value.
  private mutating func member(_ key: StaticString, _ value: Double?, after start: Int) {
    guard let value else { return }
    if json.count > start { json.raw(",") }
    json.member(key, value)
  }

  private mutating func quantiles(_ key: StaticString, _ value: Quantiles?) {
    json.raw(key)
    guard let value else { return json.raw("null") }
    json.member("{\"p50\":", value.p50)
    json.member(",\"p90\":", value.p90)
    json.member(",\"p99\":", value.p99)
    json.member(",\"max\":", value.max)
    json.raw("}")
  }
}
