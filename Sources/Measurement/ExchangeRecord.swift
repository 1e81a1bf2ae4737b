// One exchange as the log keeps it: every key of Documentation.docc/Record.md, version 1, in the log's order.
// It must not hold any text of a prompt or a completion.

/// How an exchange ended (Documentation.docc/Metrics.md, "Outcomes").
public enum Outcome: String, CaseIterable, Sendable {
  case ok
  case upstreamStatus = "upstream_status"
  case streamError = "stream_error"
  case truncated
  case clientCancelled = "client_cancelled"
  case upstreamUnreachable = "upstream_unreachable"
  case upstreamReset = "upstream_reset"
  case upstreamInvalid = "upstream_invalid"
  case timeout
  case rejected
  case tunnelled
  /// The process was killed while it drained: the record is what was known at most a second before.
  case interrupted
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

/// Where `output_tokens` comes from, best first (Documentation.docc/Metrics.md, "Counting tokens").
public enum TokenSource: String, CaseIterable, Sendable {
  case usage
  case server
  case continuous
  case ids
  case events
}

/// How much of a request's body was read for `model`, `user` and `session`.
public enum RequestRead: String, CaseIterable, Sendable {
  /// All of it.
  case whole
  /// Not to its end, or it was damaged.
  case partly
  /// Nothing.
  case no
}

/// Which clock stamped an exchange's reads.
public enum ClockSource: String, CaseIterable, Sendable {
  case kernel
  case loop
  case mixed
}

/// Percentiles of a distribution.
public struct Quantiles: Hashable, Sendable {
  /// The median.
  public var p50: Double
  /// Nine in ten are not above.
  public var p90: Double
  /// Ninety-nine in a hundred are not above.
  public var p99: Double
  /// The largest.
  public var max: Double

  /// Makes a set of percentiles.
  public init(p50: Double, p90: Double, p99: Double, max: Double) {
    self.p50 = p50
    self.p90 = p90
    self.p99 = p99
    self.max = max
  }
}

/// Percentiles of the delay that the proxy itself added, in microseconds.
public struct DeliveryQuantiles: Hashable, Sendable {
  /// The median.
  public var p50: Double
  /// Ninety-nine in a hundred are not above.
  public var p99: Double
  /// The largest.
  public var max: Double

  /// Makes a set of percentiles.
  public init(p50: Double, p99: Double, max: Double) {
    self.p50 = p50
    self.p99 = p99
    self.max = max
  }
}

/// The server's own durations, in milliseconds; one that it does not state is nil and not written.
public struct ServerReport: Hashable, Sendable {
  /// Waiting for a slot.
  public var queueMilliseconds: Double?
  /// Loading the model.
  public var loadMilliseconds: Double?
  /// Reading the prompt.
  public var prefillMilliseconds: Double?
  /// Generating.
  public var decodeMilliseconds: Double?
  /// All of it.
  public var totalMilliseconds: Double?
  /// The time to the first token, by the server's clock.
  public var ttftMilliseconds: Double?
  /// The mean time from one token to the next.
  public var itlMilliseconds: Double?
  /// Tokens that speculative decoding drafted.
  public var draftTokens: Int?
  /// Those of the drafted tokens that were accepted.
  public var acceptedTokens: Int?
  /// The part of the drafted tokens that was accepted, 0 to 1.
  public var acceptanceRate: Double?
  /// The mean number of tokens of one decoding step.
  public var acceptanceLength: Double?

  /// A report that says nothing.
  public init() {}
}

/// The stalls of a stream: gaps over a threshold, by what caused them (Documentation.docc/Metrics.md, "Stalls").
public struct Stalls: Hashable, Sendable {
  /// Stalls of one cause.
  public struct Tally: Hashable, Sendable {
    /// How many.
    public var count: Int
    /// How long they were together.
    public var milliseconds: Double

    /// Makes a tally, of nothing.
    public init(count: Int = 0, milliseconds: Double = 0) {
      self.count = count
      self.milliseconds = milliseconds
    }
  }

  /// Nothing came from upstream.
  public var server = Tally()
  /// The proxy read or sent late what had come.
  public var proxy = Tally()
  /// The client's socket took nothing.
  public var client = Tally()

  /// No stalls.
  public init() {}
}

/// One token-bearing event on the timeline.
public struct TimelineEntry: Hashable, Sendable {
  /// Microseconds from t0.
  public var offsetMicroseconds: Int64
  /// Tokens in the event; nil where unknown.
  public var tokens: Int?

  /// Makes an entry.
  public init(offsetMicroseconds: Int64, tokens: Int?) {
    self.offsetMicroseconds = offsetMicroseconds
    self.tokens = tokens
  }
}

/// One exchange (Documentation.docc/Record.md). A nil is written as null: "not known" or "did not happen", never a zero.
public struct ExchangeRecord: Hashable, Sendable {
  /// The version of the format.
  public static let version = 1

  /// UUIDv7, lower case.
  public var id = ExchangeID()
  /// Wall time of the request's first byte, nanoseconds since 1970 (written with microseconds, UTC).
  public var timestampNanoseconds: Int64 = 0
  /// This proxy's name.
  public var instance = ""
  /// Who.
  public var user: String?
  /// Where the user comes from: `header:NAME`, `body:KEY`, `api_key`, `client_ip`; `unread` where the body may name one that
  /// was not read.
  public var userFrom: String?
  /// Conversation or session, where the client names one.
  public var session: String?
  /// The client's address, after trusted-proxy rules.
  public var client: String?
  /// The client's `x-request-id`.
  public var requestID: String?
  /// The trace id of a valid `traceparent`.
  public var traceID: String?
  /// The answer's own id.
  public var responseID: String?
  /// A front end's word for a call of its own (titles, tags); nil for what a person asked.
  public var task: String?
  /// The request's method.
  public var method: String?
  /// The path without its query.
  public var path: String?
  /// The dialect's name; nil: passed through unmeasured.
  public var dialect: String?
  /// The model as asked.
  public var model: String?
  /// The model as answered.
  public var responseModel: String?
  /// Whether the response was streamed.
  public var stream: Bool?
  /// The HTTP status sent to the client.
  public var status: Int?
  /// How it ended.
  public var outcome: Outcome = .ok
  /// How far it had come, where it ended badly.
  public var stage: Stage?
  /// What failed: an `ExchangeFailure`, as text; never content.
  public var error: String?
  /// As the server said.
  public var finishReason: String?
  /// `host:port`.
  public var upstream: String?
  /// The connection came from the pool.
  public var upstreamReused: Bool?
  /// Exchanges in flight to this upstream when this one was dispatched, itself included.
  public var inFlight: Int?
  /// How much of the request's body was read; nil where there was nothing to be read.
  public var requestRead: RequestRead?
  /// Body bytes of the request.
  public var requestBytes: Int?
  /// Body bytes of the response.
  public var responseBytes: Int?
  /// Prompt tokens, cached ones included.
  public var inputTokens: Int?
  /// Prompt tokens from a cache.
  public var cachedTokens: Int?
  /// Prompt tokens that were written to a cache.
  public var cacheWriteTokens: Int?
  /// Generated tokens, reasoning included.
  public var outputTokens: Int?
  /// Generated tokens that were reasoning.
  public var reasoningTokens: Int?
  /// Tool calls that the answer made.
  public var toolCalls: Int?
  /// Tokens that came later than the service level objective allows.
  public var lateTokens: Int?
  /// Tokens that arrived when the client had gone, or that its socket never took.
  public var undeliveredTokens: Int?
  /// Where `outputTokens` comes from.
  public var tokensFrom: TokenSource?
  /// Unicode scalars of generated text.
  public var outputChars: Int?
  /// Distinct choices seen.
  public var choices: Int?
  /// Token-bearing events.
  public var events: Int?
  /// Token-bearing events that share a read with an earlier one.
  public var coalescedEvents: Int?
  /// Reads that carried a token.
  public var reads: Int?
  /// t0 − first byte of the request.
  public var uploadMilliseconds: Double?
  /// Pool wait and connect.
  public var connectMilliseconds: Double?
  /// First byte of the response head − t0.
  public var ttfbMilliseconds: Double?
  /// First event − t0.
  public var ttfeMilliseconds: Double?
  /// First token − t0.
  public var ttftMilliseconds: Double?
  /// First token of an answer − t0.
  public var ttfaMilliseconds: Double?
  /// Last token − t0.
  public var ttltMilliseconds: Double?
  /// End − t0.
  public var totalMilliseconds: Double?
  /// How long an exchange waited that ended before its first token.
  public var waitedMilliseconds: Double?
  /// (last token − first token) / (N − 1).
  public var tpotMilliseconds: Double?
  /// `tps`: 1000 / TPOT.
  public var tokensPerSecond: Double?
  /// `tps_e2e`: N / (last token − t0).
  public var tokensPerSecondEndToEnd: Double?
  /// `cps`: scalars after the first token event a second.
  public var charsPerSecond: Double?
  /// Gaps between token-bearing events, per choice.
  public var gapsMilliseconds: Quantiles?
  /// The same, token-weighted.
  public var itlMilliseconds: Quantiles?
  /// What the server itself reported.
  public var server: ServerReport?
  /// From a read's arrival to the client's socket.
  public var deliveryMicroseconds: DeliveryQuantiles?
  /// How long upstream was not read because the client was slow.
  public var clientStalledMilliseconds: Double?
  /// The worst lateness of a read.
  public var loopLagMicroseconds: Double?
  /// The clock that stamped the reads.
  public var clock: ClockSource?
  /// The content coding of the response; its event times are those of the encoder's flushes.
  public var encoding: String?
  /// Whether something on the way clumps the stream; nil where that cannot be told.
  public var buffered: Bool?
  /// The gaps that were stalls, by what caused them.
  public var stalls: Stalls?
  /// Nil unless `records.timeline` is on.
  public var timeline: [TimelineEntry]?

  /// A record of which nothing is known. Inlined, so that it is made in place.
  @inlinable
  @inline(__always)
  public init() {}
}
