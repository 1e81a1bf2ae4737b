// What the exchange machine decides when something ends an exchange before its time: what the client gets, what is
// recorded.
import HTTP
import Measurement

/// How far the response has come, as the recorder knows it once it has decoded all reads so far.
struct ResponseProgress: Equatable, Sendable {
  /// Whether the first token has passed, or the first byte of a body whose tokens are not timed.
  var hasOutput = false
  /// Whether the stream has said that it is whole (`[DONE]`, `done:true`) or has failed, and the client's socket has taken that.
  var isTerminatorDelivered = false
}

extension ExchangeMachine {
  /// How far the exchange has come (Metrics.md, "Outcomes").
  func stage(_ progress: ResponseProgress) -> Stage {
    if progress.hasOutput { return .streaming }
    if !isRequestComplete { return .upload }
    switch link {
    case .open, .released: return .waiting
    case .none, .waitingForPermit, .connecting: return .connecting
    }
  }

  // MARK: What the client does

  /// The request's body is not what its framing promised, or larger than it may be. Legal always.
  mutating func requestInvalid(_ error: HTTPParseError) -> ExchangeAction {
    replyOrTruncate(.rejected, .upload, ExchangeFailure(request: error))
  }

  /// The client closed or reset its connection, or ended its side where that counts as leaving. Legal always but in a
  /// tunnel, which has a machine of its own.
  /// - Parameter failure: where it has not closed anything, but vanished.
  mutating func clientLeft(
    _ progress: @autoclosure () -> ResponseProgress, _ failure: ExchangeFailure? = nil
  ) -> ExchangeAction {
    if isEnded { return .none }
    if isTunnelling { return illegal("a client that left") }
    let progress = progress()
    // Many clients leave a stream at its terminator, before HTTP's own end has come: they have everything.
    let termination =
      progress.isTerminatorDelivered
      ? nil : Termination(outcome: .clientCancelled, stage: stage(progress), failure: failure)
    return end(termination, .close(reset: false))
  }

  // MARK: What the clock and the operator do

  /// A deadline has passed. Legal always but in a tunnel.
  mutating func deadlineExpired(_ failure: ExchangeFailure, _ progress: @autoclosure () -> ResponseProgress)
    -> ExchangeAction
  {
    switch failure.kind {
    case .clientStalledTimeout:
      guard !isEnded else { return .none }
      // It takes no reply either.
      return end(
        Termination(outcome: .timeout, stage: stage(progress()), failure: failure), .close(reset: true))
    case .requestBodyTimeout, .requestBodyRate:
      return replyOrTruncate(.timeout, .upload, failure)
    default:
      return replyOrTruncate(.timeout, stage(progress()), failure)
    }
  }

  /// The drain's deadline, or a second signal. Legal always but in a tunnel.
  mutating func shutDown(_ progress: @autoclosure () -> ResponseProgress) -> ExchangeAction {
    replyOrTruncate(
      .timeout, stage(progress()), ExchangeFailure(.shutDown, "shut down before the response ended"))
  }

  /// The tunnel is over. Legal in a tunnel.
  mutating func tunnelEnded(_ termination: Termination, reset: Bool) -> ExchangeAction {
    guard isTunnelling else { return illegal("a tunnel's end") }
    return end(termination, .close(reset: reset))
  }

  // MARK: The end

  /// Before a final head was sent, the client gets a reply. Behind one nothing of the proxy's own may follow, and the response
  /// must not look whole.
  mutating func replyOrTruncate(_ outcome: Outcome, _ stage: Stage, _ failure: ExchangeFailure) -> ExchangeAction {
    let termination = Termination(outcome: outcome, stage: stage, failure: failure)
    switch response {
    case .awaitingHead: return end(termination, .reply(failure))
    case .receiving(let body), .delivering(let body):
      // Only a reset tells a client whose body the close delimits that this was not its end.
      return end(termination, .truncate(reset: body.framing == .untilClose))
    case .tunnelling: return illegal("an exchange's end")
    case .ended: return .none
    }
  }

  mutating func end(_ termination: Termination?, _ ending: ClientEnding) -> ExchangeAction {
    move(to: Response.ended)
    return .end(termination, ending)
  }
}
