// The names of a record's keys and of the members of its objects. What they mean stands in Documentation.docc/Record.md.

/// The name of a key. `RecordFields` says in which order keys stand, of which type they are, and which field they hold.
package struct RecordKey: Sendable {
  /// The name as it stands in a line, without quotes.
  package let name: StaticString

  @inline(__always)
  init(_ name: StaticString) { self.name = name }
}

// Identity
extension RecordKey {
  package static var version: RecordKey { RecordKey("v") }
  package static var id: RecordKey { RecordKey("id") }
  package static var timestamp: RecordKey { RecordKey("ts") }
  package static var instance: RecordKey { RecordKey("instance") }
  package static var user: RecordKey { RecordKey("user") }
  package static var userFrom: RecordKey { RecordKey("user_from") }
  package static var session: RecordKey { RecordKey("session") }
  package static var client: RecordKey { RecordKey("client") }
  package static var requestID: RecordKey { RecordKey("request_id") }
  package static var traceID: RecordKey { RecordKey("trace_id") }
  package static var responseID: RecordKey { RecordKey("response_id") }
  package static var task: RecordKey { RecordKey("task") }
}

// Request and outcome
extension RecordKey {
  package static var method: RecordKey { RecordKey("method") }
  package static var path: RecordKey { RecordKey("path") }
  package static var dialect: RecordKey { RecordKey("dialect") }
  package static var model: RecordKey { RecordKey("model") }
  package static var responseModel: RecordKey { RecordKey("response_model") }
  package static var stream: RecordKey { RecordKey("stream") }
  package static var status: RecordKey { RecordKey("status") }
  package static var outcome: RecordKey { RecordKey("outcome") }
  package static var stage: RecordKey { RecordKey("stage") }
  package static var error: RecordKey { RecordKey("error") }
  package static var finishReason: RecordKey { RecordKey("finish_reason") }
  package static var upstream: RecordKey { RecordKey("upstream") }
  package static var upstreamReused: RecordKey { RecordKey("upstream_reused") }
  package static var inFlight: RecordKey { RecordKey("in_flight") }
  package static var requestRead: RecordKey { RecordKey("request_read") }
}

// Sizes and counts
extension RecordKey {
  package static var requestBytes: RecordKey { RecordKey("request_bytes") }
  package static var responseBytes: RecordKey { RecordKey("response_bytes") }
  package static var inputTokens: RecordKey { RecordKey("input_tokens") }
  package static var cachedTokens: RecordKey { RecordKey("cached_tokens") }
  package static var cacheWriteTokens: RecordKey { RecordKey("cache_write_tokens") }
  package static var outputTokens: RecordKey { RecordKey("output_tokens") }
  package static var reasoningTokens: RecordKey { RecordKey("reasoning_tokens") }
  package static var toolCalls: RecordKey { RecordKey("tool_calls") }
  package static var lateTokens: RecordKey { RecordKey("late_tokens") }
  package static var undeliveredTokens: RecordKey { RecordKey("undelivered_tokens") }
  package static var tokensFrom: RecordKey { RecordKey("tokens_from") }
  package static var outputChars: RecordKey { RecordKey("output_chars") }
  package static var choices: RecordKey { RecordKey("choices") }
  package static var events: RecordKey { RecordKey("events") }
  package static var coalescedEvents: RecordKey { RecordKey("coalesced_events") }
  package static var reads: RecordKey { RecordKey("reads") }
}

// Times
extension RecordKey {
  package static var upload: RecordKey { RecordKey("upload_ms") }
  package static var connect: RecordKey { RecordKey("connect_ms") }
  package static var ttfb: RecordKey { RecordKey("ttfb_ms") }
  package static var ttfe: RecordKey { RecordKey("ttfe_ms") }
  package static var ttft: RecordKey { RecordKey("ttft_ms") }
  package static var ttfa: RecordKey { RecordKey("ttfa_ms") }
  package static var ttlt: RecordKey { RecordKey("ttlt_ms") }
  package static var total: RecordKey { RecordKey("total_ms") }
  package static var waited: RecordKey { RecordKey("waited_ms") }
  package static var tpot: RecordKey { RecordKey("tpot_ms") }
  package static var tokensPerSecond: RecordKey { RecordKey("tps") }
  package static var tokensPerSecondEndToEnd: RecordKey { RecordKey("tps_e2e") }
  package static var charsPerSecond: RecordKey { RecordKey("cps") }
  package static var gaps: RecordKey { RecordKey("gaps_ms") }
  package static var itl: RecordKey { RecordKey("itl_ms") }
}

// Server and proxy
extension RecordKey {
  package static var server: RecordKey { RecordKey("server") }
  package static var delivery: RecordKey { RecordKey("delivery_us") }
  package static var clientStalled: RecordKey { RecordKey("client_stalled_ms") }
  package static var loopLag: RecordKey { RecordKey("loop_lag_us") }
  package static var clock: RecordKey { RecordKey("clock") }
  package static var encoding: RecordKey { RecordKey("encoding") }
  package static var buffered: RecordKey { RecordKey("buffered") }
  package static var stalls: RecordKey { RecordKey("stalls") }
  package static var timeline: RecordKey { RecordKey("timeline") }
}

// The notice of dropped records
extension RecordKey {
  package static var dropped: RecordKey { RecordKey("dropped") }
}

// Members of `gaps_ms`, `itl_ms` and `delivery_us`
extension RecordKey {
  package static var p50: RecordKey { RecordKey("p50") }
  package static var p90: RecordKey { RecordKey("p90") }
  package static var p99: RecordKey { RecordKey("p99") }
  package static var max: RecordKey { RecordKey("max") }
}

// Members of `server`
extension RecordKey {
  package static var serverQueue: RecordKey { RecordKey("queue_ms") }
  package static var serverLoad: RecordKey { RecordKey("load_ms") }
  package static var serverPrefill: RecordKey { RecordKey("prefill_ms") }
  package static var serverDecode: RecordKey { RecordKey("decode_ms") }
  package static var serverTotal: RecordKey { RecordKey("total_ms") }
  package static var serverTTFT: RecordKey { RecordKey("ttft_ms") }
  package static var serverITL: RecordKey { RecordKey("itl_ms") }
  package static var draftTokens: RecordKey { RecordKey("draft_tokens") }
  package static var acceptedTokens: RecordKey { RecordKey("accepted_tokens") }
  package static var acceptanceRate: RecordKey { RecordKey("acceptance_rate") }
  package static var acceptanceLength: RecordKey { RecordKey("acceptance_length") }
}

// Members of `stalls`
extension RecordKey {
  package static var stallsOfServer: RecordKey { RecordKey("server") }
  package static var stallsOfProxy: RecordKey { RecordKey("proxy") }
  package static var stallsOfClient: RecordKey { RecordKey("client") }
}
