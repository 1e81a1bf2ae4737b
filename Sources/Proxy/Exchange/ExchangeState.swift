// One exchange as a pure state machine: an event goes in, the one thing to do comes out.
// It must not do I/O, read clocks or know of tokens.
import HTTP
import HTTP1
import Measurement

/// How an exchange ended, as the record will say it.
struct Termination: Hashable, Sendable {
  var outcome: Outcome
  var stage: Stage?
  /// One short line; never content.
  var error: String?
}

/// The life of one exchange between its request's head and its record.
///
/// ```
/// request:  receiving ──► complete
/// link:     none (──► queued) ──► connecting ──► open
/// response: waiting ──► streaming ──► complete ──► (delivered) ended
/// ```
/// Any of them may be cut short; `ended` is final, and every event after it is answered with `none`.
struct ExchangeState: Sendable {
  /// What happened.
  enum Event {
    case requestCompleted
    /// All places at upstream are taken: it waits for one.
    case queued
    /// There is no place, and no room to wait for one.
    case queueFull(String)
    case connecting
    /// An upstream connection stands; `reused` where it came from the pool.
    case connected(reused: Bool)
    case connectFailed(String)
    /// First bytes came from upstream: its connection was not stale.
    case upstreamSpoke
    /// The final response head was passed on.
    case responseBegan
    /// The first token went by (or, where tokens are not measured, the first byte of a body).
    case outputBegan
    case responseCompleted
    /// The 101 was passed on: what follows is a tunnel's, and ends by its configuration.
    case switchedProtocols
    /// The client's socket has taken all that was written to it.
    case delivered
    case upstreamEnded
    case upstreamFailed(String)
    case responseInvalid(HTTPParseError)
    case requestInvalid(HTTPParseError)
    case clientLeft
    /// The client takes nothing of what it asked for.
    case clientStalled(String)
    /// The request's body does not come as it should.
    case uploadTimedOut(String)
    case timedOut(String)
    /// The drain's deadline, or a second signal.
    case shutDown
  }

  /// What to do about it.
  enum Action: Equatable {
    case none
    /// Send the request once more on a new connection.
    case retry
    /// Nothing was sent to the client yet: answer it ourselves, end upstream, close the client's connection.
    case answer(status: Int, Termination)
    /// A response had begun: end it so that it cannot look whole, end upstream.
    case truncate(Termination)
    /// The client is there and takes nothing: end upstream, and the client's connection by a reset, at once.
    case abandon(Termination)
    /// The client is gone: end upstream at once, answer nobody.
    case leave(Termination)
    /// All went through. The termination is the measuring's to find.
    case finish
  }

  private enum Request { case receiving, complete }
  private enum Link { case none, queued, connecting, open(reused: Bool) }
  private enum Response { case waiting, streaming, complete, ended }

  private var request = Request.receiving
  private var link = Link.none
  private var response = Response.waiting
  private var hasOutput = false
  /// Whether the request may be sent twice: safe, bodiless and kept, neither retried nor heard by upstream.
  private(set) var isRepeatable: Bool

  init(isRepeatable: Bool) { self.isRepeatable = isRepeatable }

  /// Whether the exchange is over.
  var isEnded: Bool { response == .ended }
  /// Whether the whole request has come in.
  var isRequestComplete: Bool { request == .complete }
  /// Whether a response head has been sent to the client.
  var hasResponded: Bool { response != .waiting }
  /// Whether the whole response has come in.
  var isResponseComplete: Bool { response == .complete }
  /// Whether it waits for a place at upstream.
  var isQueued: Bool { if case .queued = link { true } else { false } }
  /// Whether an upstream connection is being made.
  var isConnecting: Bool { if case .connecting = link { true } else { false } }

  /// How far the exchange has come (Documentation.docc/Metrics.md, "Outcomes").
  var stage: Stage {
    if hasOutput { return .streaming }
    if request == .receiving { return .upload }
    if case .open = link { return .waiting }
    return .connecting
  }

  /// Takes one event.
  mutating func handle(_ event: Event) -> Action {
    guard response != .ended else { return .none }
    switch event {
    case .requestCompleted:
      request = .complete
      return .none
    case .queued:
      link = .queued
      return .none
    case .queueFull(let reason):
      return replyOrTruncate(503, .rejected, stage: .connecting, reason)
    case .connecting:
      link = .connecting
      return .none
    case .connected(let reused):
      link = .open(reused: reused)
      return .none
    case .connectFailed(let reason):
      return replyOrTruncate(502, .upstreamUnreachable, stage: .connecting, reason)
    case .upstreamSpoke:
      isRepeatable = false
      return .none
    case .responseBegan:
      response = .streaming
      return .none
    case .outputBegan:
      hasOutput = true
      return .none
    case .responseCompleted:
      response = .complete
      return .none
    case .switchedProtocols:
      response = .ended
      return .none
    case .delivered:
      guard response == .complete else { return .none }
      response = .ended
      return .finish
    case .upstreamEnded:
      return upstreamGone("upstream closed the connection")
    case .upstreamFailed(let reason):
      return upstreamGone(reason)
    case .responseInvalid(let error):
      return replyOrTruncate(502, hasResponded ? .truncated : .upstreamReset, stage: stage, error.reason)
    case .requestInvalid(let error):
      return replyOrTruncate(error.status, .rejected, stage: .upload, error.reason)
    case .clientLeft:
      let termination = Termination(outcome: .clientCancelled, stage: stage, error: nil)
      response = .ended
      return .leave(termination)
    case .clientStalled(let reason):
      let termination = Termination(outcome: .timeout, stage: stage, error: reason)
      response = .ended
      return .abandon(termination)
    case .uploadTimedOut(let reason):
      return replyOrTruncate(408, .timeout, stage: .upload, reason)
    case .timedOut(let reason):
      // Who has not got through to upstream may try again; what upstream did not do in time it may do twice.
      return replyOrTruncate(isQueued ? 503 : 504, .timeout, stage: stage, reason)
    case .shutDown:
      return replyOrTruncate(503, .timeout, stage: stage, "shut down before the response ended")
    }
  }

  private mutating func upstreamGone(_ reason: String) -> Action {
    switch response {
    case .complete, .ended:
      return .none
    case .streaming:
      return replyOrTruncate(502, .truncated, stage: stage, reason)
    case .waiting:
      // A pooled connection that upstream had already closed says nothing of the request: once more, if that is safe.
      if case .open(reused: true) = link, isRepeatable {
        isRepeatable = false
        link = .none
        return .retry
      }
      return replyOrTruncate(502, .upstreamReset, stage: stage, reason)
    }
  }

  private mutating func replyOrTruncate(_ status: Int, _ outcome: Outcome, stage: Stage, _ error: String) -> Action {
    let termination = Termination(outcome: outcome, stage: stage, error: error)
    let answers = response == .waiting
    response = .ended
    return answers ? .answer(status: status, termination) : .truncate(termination)
  }
}
