// The names of a record's keys and of the members of its objects. What they mean stands in Documentation.docc/Record.md.

/// The name of a key. `RecordFields` says in which order keys stand, of which type they are, and which field they hold.
public struct RecordKey: Sendable {
  /// The name as it stands in a line, without quotes.
  public let name: StaticString

  @inline(__always)
  init(_ name: StaticString) { self.name = name }
}

// Identity
extension RecordKey {
  public static var version: RecordKey { RecordKey("v") }
  public static var id: RecordKey { RecordKey("id") }
  public static var timestamp: RecordKey { RecordKey("ts") }
  public static var instance: RecordKey { RecordKey("instance") }
  public static var user: RecordKey { RecordKey("user") }
  public static var userFrom: RecordKey { RecordKey("user_from") }
  public static var session: RecordKey { RecordKey("session") }
  public static var client: RecordKey { RecordKey("client") }
  public static var requestID: RecordKey { RecordKey("request_id") }
  public static var traceID: RecordKey { RecordKey("trace_id") }
}

// Request and outcome
extension RecordKey {
  public static var method: RecordKey { RecordKey("method") }
  public static var path: RecordKey { RecordKey("path") }
  public static var dialect: RecordKey { RecordKey("dialect") }
  public static var model: RecordKey { RecordKey("model") }
  public static var responseModel: RecordKey { RecordKey("response_model") }
  public static var stream: RecordKey { RecordKey("stream") }
  public static var status: RecordKey { RecordKey("status") }
  public static var outcome: RecordKey { RecordKey("outcome") }
  public static var stage: RecordKey { RecordKey("stage") }
  public static var error: RecordKey { RecordKey("error") }
  public static var finishReason: RecordKey { RecordKey("finish_reason") }
  public static var upstream: RecordKey { RecordKey("upstream") }
  public static var upstreamReused: RecordKey { RecordKey("upstream_reused") }
  public static var inFlight: RecordKey { RecordKey("in_flight") }
}

// Sizes and counts
extension RecordKey {
  public static var requestBytes: RecordKey { RecordKey("request_bytes") }
  public static var responseBytes: RecordKey { RecordKey("response_bytes") }
  public static var inputTokens: RecordKey { RecordKey("input_tokens") }
  public static var cachedTokens: RecordKey { RecordKey("cached_tokens") }
  public static var outputTokens: RecordKey { RecordKey("output_tokens") }
  public static var reasoningTokens: RecordKey { RecordKey("reasoning_tokens") }
  public static var tokensFrom: RecordKey { RecordKey("tokens_from") }
  public static var outputChars: RecordKey { RecordKey("output_chars") }
  public static var choices: RecordKey { RecordKey("choices") }
  public static var events: RecordKey { RecordKey("events") }
  public static var coalescedEvents: RecordKey { RecordKey("coalesced_events") }
  public static var reads: RecordKey { RecordKey("reads") }
}

// Times
extension RecordKey {
  public static var upload: RecordKey { RecordKey("upload_ms") }
  public static var connect: RecordKey { RecordKey("connect_ms") }
  public static var ttfb: RecordKey { RecordKey("ttfb_ms") }
  public static var ttfe: RecordKey { RecordKey("ttfe_ms") }
  public static var ttft: RecordKey { RecordKey("ttft_ms") }
  public static var ttfa: RecordKey { RecordKey("ttfa_ms") }
  public static var ttlt: RecordKey { RecordKey("ttlt_ms") }
  public static var total: RecordKey { RecordKey("total_ms") }
  public static var waited: RecordKey { RecordKey("waited_ms") }
  public static var tpot: RecordKey { RecordKey("tpot_ms") }
  public static var tokensPerSecond: RecordKey { RecordKey("tps") }
  public static var tokensPerSecondEndToEnd: RecordKey { RecordKey("tps_e2e") }
  public static var charsPerSecond: RecordKey { RecordKey("cps") }
  public static var gaps: RecordKey { RecordKey("gaps_ms") }
  public static var itl: RecordKey { RecordKey("itl_ms") }
}

// Server and proxy
extension RecordKey {
  public static var server: RecordKey { RecordKey("server") }
  public static var delivery: RecordKey { RecordKey("delivery_us") }
  public static var clientStalled: RecordKey { RecordKey("client_stalled_ms") }
  public static var loopLag: RecordKey { RecordKey("loop_lag_us") }
  public static var clock: RecordKey { RecordKey("clock") }
  public static var timeline: RecordKey { RecordKey("timeline") }
}

// The notice of dropped records
extension RecordKey {
  public static var dropped: RecordKey { RecordKey("dropped") }
}

// Members of `gaps_ms`, `itl_ms` and `delivery_us`
extension RecordKey {
  public static var p50: RecordKey { RecordKey("p50") }
  public static var p90: RecordKey { RecordKey("p90") }
  public static var p99: RecordKey { RecordKey("p99") }
  public static var max: RecordKey { RecordKey("max") }
}

// Members of `server`
extension RecordKey {
  public static var serverQueue: RecordKey { RecordKey("queue_ms") }
  public static var serverLoad: RecordKey { RecordKey("load_ms") }
  public static var serverPrefill: RecordKey { RecordKey("prefill_ms") }
  public static var serverDecode: RecordKey { RecordKey("decode_ms") }
  public static var serverTotal: RecordKey { RecordKey("total_ms") }
}
