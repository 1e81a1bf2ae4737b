// What the exchange machine decides about a response: its heads, its body, its end, and who waits for whom.
import Clocks
import HTTP
import Measurement

/// What is known of one of upstream's heads.
struct ResponseTraits: Sendable {
  var status = 200
  /// Bytes of its fields.
  var headBytes = 0
  /// How upstream delimits the body.
  var framing = BodyFraming.none
  /// A 101: whether it takes up what the request offered, and nothing else.
  var takesUpOffer = false
}

extension ExchangeMachine {
  // MARK: Heads

  /// Bytes have come from upstream, the first of them at `at`: its connection was not stale. Legal while it is open.
  mutating func responseBytesArrived(at: Instant) {
    guard case .awaitingHead(var head) = response, head.startedAt == nil else { return }
    guard isConnected else { return _ = illegal("response bytes") }
    head.startedAt = at
    head.mayRetry = false
    move(to: .awaitingHead(head))
  }

  /// A whole head has come. Legal while one is awaited.
  /// - Parameter isDraining: whether clients are to go elsewhere with their next request.
  mutating func headReceived(_ traits: ResponseTraits, isDraining: Bool) -> HeadAction {
    guard case .awaitingHead(let awaited) = response, isConnected else {
      _ = illegal("a head")
      return .drop
    }
    if traits.status == 101 { return switchProtocols(traits) }
    return traits.status < 200 ? interim(traits, awaited) : final(traits, awaited, isDraining: isDraining)
  }

  /// Only a 101 that accepts what a complete request offered switches protocols.
  private mutating func switchProtocols(_ traits: ResponseTraits) -> HeadAction {
    guard self.traits.offersUpgrade, traits.takesUpOffer, isRequestComplete else {
      return .refuse(HTTPParseError(.unexpectedUpgrade, "upstream switched protocols unasked"))
    }
    move(to: .tunnelling)
    return .switchProtocols
  }

  private mutating func interim(_ traits: ResponseTraits, _ awaited: AwaitedHead) -> HeadAction {
    var awaited = awaited
    // There is no other bound to their number.
    awaited.interimBytes += traits.headBytes
    guard awaited.interimBytes <= limits.interimBytes else {
      return .refuse(HTTPParseError(.tooManyInterimResponses, "too many interim responses"))
    }
    if traits.status == 100 { awaited.awaitsContinue = false }
    move(to: .awaitingHead(awaited))
    // HTTP/1.0 has none (RFC 9110 §15.2).
    return self.traits.isVersion11 ? .forwardInterim : .drop
  }

  private mutating func final(_ traits: ResponseTraits, _ awaited: AwaitedHead, isDraining: Bool) -> HeadAction {
    let framing = traits.framing.forwarded(toVersion11: self.traits.isVersion11)
    let body = Body(
      framing: framing, isCloseDelimited: traits.framing == .untilClose,
      // A server that need not have read the body, that answered before it was sent, or that could have switched protocols,
      // may take what comes next for that.
      reusesUpstream: !awaited.awaitsContinue && isRequestComplete && !self.traits.offersUpgrade,
      // A client that has not sent all of its request will not be believed about where the next one begins.
      closesClient: !self.traits.keepsAlive || !isRequestComplete || framing == .untilClose || isDraining)
    move(to: .receiving(body))
    return .forwardFinal(closing: body.closesClient)
  }

  /// The message that a 1xx is has ended; `nextAt` is when the next head's first byte came, where it has. Legal while a
  /// head is awaited.
  mutating func interimCompleted(nextAt: Instant?) {
    guard case .awaitingHead(var head) = response else { return _ = illegal("an interim response's end") }
    head.startedAt = nextAt
    move(to: .awaitingHead(head))
  }

  // MARK: The body

  /// Bytes were sent to the client, and `queued` of all that it was sent wait for its socket. Legal while upstream's
  /// connection is open.
  mutating func responseForwarded(queued: Int) -> ExchangeAction {
    guard case .open(let isReused, let isPaused) = link, !isEnded else { return illegal("forwarded bytes") }
    guard !isPaused, queued > limits.highWatermark else { return .none }
    move(to: .open(isReused: isReused, isPaused: true))
    return .pauseUpstream
  }

  /// The whole response has come in, and was sent on. Legal while its body is received.
  /// - Parameters:
  ///   - mayReuse: whether upstream's connection may carry another exchange, as far as itself and the response go.
  ///   - at: when the last byte came.
  mutating func responseCompleted(mayReuse: Bool, at: Instant) -> ExchangeAction {
    guard case .receiving(let body) = response else { return illegal("the response's end") }
    return complete(body, ResponseCompletion(reusesUpstream: body.reusesUpstream && mayReuse, endsBody: nil, at: at))
  }

  private mutating func complete(_ body: Body, _ completion: ResponseCompletion) -> ExchangeAction {
    if case .open(_, let isPaused) = link { move(to: .released(isPaused: isPaused)) }
    move(to: .delivering(body))
    return .completeResponse(completion)
  }

  /// The client's socket took bytes; `queued` wait. Legal always.
  mutating func clientFlushed(queued: Int) -> ExchangeAction {
    if queued == 0, case .delivering(let body) = response {
      return end(nil, body.closesClient ? .closeLingering : .keep)
    }
    guard queued <= limits.lowWatermark, !isEnded else { return .none }
    switch link {
    case .open(let isReused, isPaused: true): move(to: .open(isReused: isReused, isPaused: false))
    case .released(isPaused: true): move(to: .released(isPaused: false))
    case .none, .waitingForPermit, .connecting, .open, .released: return .none
    }
    return .resumeUpstream
  }

  // MARK: Upstream's end

  /// Upstream ended its side. Legal always; behind a whole response it changes nothing.
  mutating func upstreamEnded(at: Instant, _ progress: @autoclosure () -> ResponseProgress) -> ExchangeAction {
    if case .receiving(let body) = response, body.isCloseDelimited {
      return complete(body, ResponseCompletion(reusesUpstream: false, endsBody: body.framing, at: at))
    }
    return upstreamLost(ExchangeFailure(.upstreamClosed, "upstream closed the connection"), progress())
  }

  /// No connection could be made, or the one there was is lost. Legal always.
  mutating func upstreamFailed(_ failure: ExchangeFailure, _ progress: @autoclosure () -> ResponseProgress)
    -> ExchangeAction
  {
    guard link != .connecting, link != .waitingForPermit else {
      return replyOrTruncate(.upstreamUnreachable, .connecting, failure)
    }
    return upstreamLost(failure, progress())
  }

  private mutating func upstreamLost(_ failure: ExchangeFailure, _ progress: ResponseProgress) -> ExchangeAction {
    switch response {
    case .delivering, .tunnelling, .ended:
      return .none
    case .receiving:
      return replyOrTruncate(.truncated, stage(progress), failure)
    case .awaitingHead(var head):
      // A pooled connection that upstream had closed already says nothing of the request: once more, where that is
      // safe.
      if case .open(isReused: true, _) = link, head.mayRetry {
        head.mayRetry = false
        move(to: .awaitingHead(head))
        move(to: Link.connecting)
        return .retry
      }
      return replyOrTruncate(.upstreamReset, stage(progress), failure)
    }
  }

  /// What upstream sent is not one strict HTTP/1.1 message. Legal until the response is whole.
  mutating func responseInvalid(_ error: HTTPParseError, _ progress: @autoclosure () -> ResponseProgress)
    -> ExchangeAction
  {
    let outcome: Outcome
    switch response {
    case .awaitingHead: outcome = .upstreamInvalid
    case .receiving: outcome = .truncated
    case .delivering, .tunnelling, .ended: return illegal("an invalid response")
    }
    return replyOrTruncate(outcome, stage(progress()), ExchangeFailure(response: error))
  }
}
