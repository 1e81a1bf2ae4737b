// How one simulated reply behaves: the server's defaults, changed by a request's x-sim-* fields.
import HTTP
import HTTP1

/// How a server fails, in place of the event that would follow a number of tokens.
enum FaultKind: Hashable, Sendable {
  /// An error event inside the stream.
  case error
  /// The connection ends (FIN) in mid-message.
  case cut
  /// The connection ends (FIN) in the middle of an event, and of its chunk.
  case tear
  /// The connection is reset (RST).
  case reset
  /// Bytes that are not a chunk (or, without chunks, not an event), and then nothing more.
  case garbage
  /// Nothing more is ever sent; the connection stays open.
  case hang
}

/// A fault, and after how many tokens of each choice it happens.
struct Fault: Hashable, Sendable {
  var kind: FaultKind
  var afterTokens: Int
}

/// How a stream's events say how many tokens they bring (OpenAI's endpoints).
public enum EventCounts: String, CaseIterable, Sendable {
  /// They do not.
  case none
  /// A cumulative usage in each, as vLLM's `continuous_usage_stats`.
  case continuous
  /// The tokens' ids, as vLLM's `return_token_ids`.
  case ids
}

/// How a streamed body is delimited.
public enum StreamFraming: String, CaseIterable, Sendable {
  case chunked
  case close
}

/// How one request is replied to.
public struct Behaviour: Sendable {
  /// From the complete request to the first token, in nanoseconds.
  public var ttft: Distribution
  /// From one token-bearing event to the next, in nanoseconds; 0 writes as fast as the socket accepts.
  public var interval: Distribution
  /// Tokens of each choice.
  public var tokens: Distribution
  /// Tokens in one event, at least 1: a stream interval, or what speculative decoding accepts at a time.
  public var tokensPerEvent: Distribution
  /// Every so many-th token has no event of its own, and its text comes with the next one's: a character of several tokens.
  public var mergeEvery = 0
  /// Tokens behind the first so many whose text a parser keeps for itself.
  public var swallow: (afterTokens: Int, tokens: Int)?
  /// How events say how many tokens they bring.
  public var eventCounts = EventCounts.none
  /// Events that are written together: a buffer on the way.
  public var eventsPerWrite = 1
  /// Whether the last event states the server's own times, as vLLM's `metrics`.
  public var statesMetrics = false
  /// Whether each request's first token is delayed by a random part of an interval, so that streams that start together do
  /// not write at the same times.
  public var spreadsPhase = false
  /// How streams are delimited.
  public var framing = StreamFraming.chunked

  var fault: Fault?
  var stall: (afterTokens: Int, nanoseconds: Int64)?
  var status: Int?
  var neverAnswers = false
  var omitsTerminator = false
  var sendsRoleEarly = false
  var reasoningTokens = 0
  var firstEventBytes = 0
  var isInTruth = true

  /// The defaults of `tachograph simulate`.
  public init() throws(SimulatorError) {
    ttft = try Distribution(duration: "lognormal:120ms,0.4")
    interval = try Distribution(duration: "normal:20ms,3ms")
    tokens = try Distribution(count: "uniform:40,200")
    tokensPerEvent = try Distribution(count: "1")
  }

  /// Applies a request's `x-sim-*` fields.
  /// - Throws: `SimulatorError` for an unknown field or a value that cannot be used.
  mutating func apply(_ fields: Fields) throws(SimulatorError) {
    for field in fields.list where field.name.count > 6 {
      guard fields.matches(field.name.lowerBound..<field.name.lowerBound + 6, "x-sim-") else { continue }
      let name = fields.text(field.name).lowercased()
      do throws(SimulatorError) {
        try apply(name, fields.text(field.value))
      } catch {
        throw SimulatorError("\(name): \(error)")
      }
    }
  }

  private mutating func apply(_ name: String, _ value: String) throws(SimulatorError) {
    switch name {
    case "x-sim-ttft": ttft = try Distribution(duration: value)
    case "x-sim-interval": interval = try Distribution(duration: value)
    case "x-sim-tokens": tokens = try Distribution(count: value)
    case "x-sim-tokens-per-event": tokensPerEvent = try Distribution(count: value)
    case "x-sim-merge-every": mergeEvery = try Self.whole(value)
    case "x-sim-swallow": swallow = try Self.pair(value)
    case "x-sim-counts":
      guard let counts = EventCounts(rawValue: value) else { throw SimulatorError("not none, continuous or ids") }
      eventCounts = counts
    case "x-sim-clump": eventsPerWrite = max(1, try Self.whole(value))
    case "x-sim-metrics": statesMetrics = try Self.flag(value)
    case "x-sim-stall": stall = try Self.stall(value)
    case "x-sim-status": status = try Self.status(value)
    case "x-sim-error-after": fault = Fault(kind: .error, afterTokens: try Self.whole(value))
    case "x-sim-cut-after": fault = Fault(kind: .cut, afterTokens: try Self.whole(value))
    case "x-sim-tear-after": fault = Fault(kind: .tear, afterTokens: try Self.whole(value))
    case "x-sim-garbage-after": fault = Fault(kind: .garbage, afterTokens: try Self.whole(value))
    case "x-sim-reset-after": fault = Fault(kind: .reset, afterTokens: try Self.whole(value))
    case "x-sim-hang":
      if value.isEmpty || value == "head" {
        neverAnswers = true
      } else {
        fault = Fault(kind: .hang, afterTokens: try Self.whole(value))
      }
    case "x-sim-event-bytes": firstEventBytes = min(try Self.whole(value), 64 << 20)
    case "x-sim-no-done": omitsTerminator = try Self.flag(value)
    case "x-sim-early-role": sendsRoleEarly = try Self.flag(value)
    case "x-sim-reasoning": reasoningTokens = try Self.whole(value)
    case "x-sim-framing":
      guard let framing = StreamFraming(rawValue: value) else { throw SimulatorError("neither chunked nor close") }
      self.framing = framing
    case "x-sim-truth": isInTruth = try Self.flag(value)
    default: throw SimulatorError("no such field")
    }
  }

  private static func whole(_ text: String) throws(SimulatorError) -> Int {
    guard let number = Int(text), number >= 0 else {
      throw SimulatorError("'\(text)' is not a whole number of 0 or more")
    }
    return number
  }

  /// Reads `AFTER,COUNT`.
  public static func pair(_ text: String) throws(SimulatorError) -> (afterTokens: Int, tokens: Int) {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    guard parts.count == 2 else { throw SimulatorError("write it as AFTER_TOKENS,TOKENS") }
    return (try whole(String(parts[0])), try whole(String(parts[1])))
  }

  private static func flag(_ text: String) throws(SimulatorError) -> Bool {
    switch text {
    case "", "1", "yes", "true": return true
    case "0", "no", "false": return false
    default: throw SimulatorError("'\(text)' is neither yes nor no")
    }
  }

  private static func status(_ text: String) throws(SimulatorError) -> Int {
    guard let number = Int(text), (400...599).contains(number) else {
      throw SimulatorError("'\(text)' is not a status from 400 to 599")
    }
    return number
  }

  private static func stall(_ text: String) throws(SimulatorError) -> (afterTokens: Int, nanoseconds: Int64) {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    guard parts.count == 2 else { throw SimulatorError("write it as AFTER_TOKENS,DURATION") }
    let duration = try Distribution.nanoseconds(parts[1])
    return (try whole(String(parts[0])), Int64(min(duration, 1e18)))
  }
}
