// One exchange as the log keeps it: every key of record.md, version 1, in the log's order.
// It must not know how it is written or read, nor hold any text of a prompt or a completion.

/// How an exchange ended (metrics.md, "Outcomes").
public enum Outcome: String, CaseIterable, Sendable {
  case ok
  case upstreamStatus = "upstream_status"
  case streamError = "stream_error"
  case truncated
  case clientCancelled = "client_cancelled"
  case upstreamUnreachable = "upstream_unreachable"
  case upstreamReset = "upstream_reset"
  case timeout
  case rejected
  case tunnelled
}

/// How far an exchange had come when it ended badly.
public enum Stage: String, CaseIterable, Sendable {
  /// The request was still arriving.
  case upload
  /// Waiting for a connection to upstream.
  case connecting
  /// Sent, and no token yet.
  case waiting
  /// Tokens (or an unmeasured body) were flowing.
  case streaming
}

/// Where `output_tokens` comes from, best first (metrics.md, "Counting tokens").
public enum TokenSource: String, CaseIterable, Sendable {
  case usage
  case server
  case continuous
  case ids
  case events
}

/// Which clock stamped an exchange's reads.
public enum ClockSource: String, CaseIterable, Sendable {
  case kernel
  case loop
  case mixed
}

/// Percentiles of a distribution.
public struct Quantiles: Hashable, Sendable {
  public var p50: Double
  public var p90: Double
  public var p99: Double
  public var max: Double

  public init(p50: Double, p90: Double, p99: Double, max: Double) {
    self.p50 = p50
    self.p90 = p90
    self.p99 = p99
    self.max = max
  }
}

/// Percentiles of the delay that the proxy itself added, in microseconds.
public struct DeliveryQuantiles: Hashable, Sendable {
  public var p50: Double
  public var p99: Double
  public var max: Double

  public init(p50: Double, p99: Double, max: Double) {
    self.p50 = p50
    self.p99 = p99
    self.max = max
  }
}

/// What the server said of its own time, in milliseconds; a key it did not give is nil and not written.
public struct ServerReport: Hashable, Sendable {
  public var queueMilliseconds: Double?
  public var loadMilliseconds: Double?
  public var prefillMilliseconds: Double?
  public var decodeMilliseconds: Double?
  public var totalMilliseconds: Double?

  public init() {}
}

/// One token-bearing event on the timeline.
public struct TimelineEntry: Hashable, Sendable {
  /// Microseconds from t0.
  public var offsetMicroseconds: Int64
  /// Tokens in the event; nil where unknown.
  public var tokens: Int?

  public init(offsetMicroseconds: Int64, tokens: Int?) {
    self.offsetMicroseconds = offsetMicroseconds
    self.tokens = tokens
  }
}

/// One exchange (record.md). A nil is written as null: "not known" or "did not happen", never a zero.
public struct ExchangeRecord: Hashable, Sendable {
  public static let version = 1

  /// UUIDv7, lower case.
  public var id = ""
  /// Wall time of the request's first byte, nanoseconds since 1970 (written with microseconds, UTC).
  public var timestampNanoseconds: Int64 = 0
  public var instance = ""
  public var user: String?
  public var userFrom: String?
  public var session: String?
  public var client: String?
  public var requestID: String?
  public var traceID: String?
  public var method: String?
  /// The path without its query.
  public var path: String?
  public var dialect: String?
  public var model: String?
  public var responseModel: String?
  public var stream: Bool?
  public var status: Int?
  public var outcome: Outcome = .ok
  public var stage: Stage?
  public var error: String?
  public var finishReason: String?
  public var upstream: String?
  public var upstreamReused: Bool?
  public var inFlight: Int?
  public var requestBytes: Int?
  public var responseBytes: Int?
  public var inputTokens: Int?
  public var cachedTokens: Int?
  public var outputTokens: Int?
  public var reasoningTokens: Int?
  public var tokensFrom: TokenSource?
  public var outputChars: Int?
  public var choices: Int?
  public var events: Int?
  public var coalescedEvents: Int?
  public var reads: Int?
  public var uploadMilliseconds: Double?
  public var connectMilliseconds: Double?
  public var ttfbMilliseconds: Double?
  public var ttfeMilliseconds: Double?
  public var ttftMilliseconds: Double?
  public var ttfaMilliseconds: Double?
  public var ttltMilliseconds: Double?
  public var totalMilliseconds: Double?
  public var waitedMilliseconds: Double?
  public var tpotMilliseconds: Double?
  public var tokensPerSecond: Double?
  public var tokensPerSecondEndToEnd: Double?
  public var charsPerSecond: Double?
  public var gapsMilliseconds: Quantiles?
  public var itlMilliseconds: Quantiles?
  public var server: ServerReport?
  public var deliveryMicroseconds: DeliveryQuantiles?
  public var clientStalledMilliseconds: Double?
  public var loopLagMicroseconds: Double?
  public var clock: ClockSource?
  /// Nil unless `records.timeline` is on.
  public var timeline: [TimelineEntry]?

  public init() {}
}
