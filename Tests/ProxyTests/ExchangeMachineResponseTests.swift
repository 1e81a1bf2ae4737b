// What the exchange machine decides about a response, rule by rule, without a socket.
import Clocks
import HTTP
import HTTP1
import Measurement
import Testing

@testable import Proxy

@Suite("What the exchange machine does with a response")
struct ExchangeMachineResponseTests {
  private let marks = ExchangeMachine.Limits(highWatermark: 100, lowWatermark: 10)

  /// Whether upstream's connection is kept, and how the client's is left, by an exchange that ends well.
  private func end(
    _ traits: ExchangeMachine.RequestTraits = .init(), _ response: ResponseTraits = .init(framing: .length(1)),
    isDraining: Bool = false, completesRequest: Bool? = true, mayReuse: Bool = true,
    interim: Int? = nil
  ) -> (reusesUpstream: Bool, closing: Bool, client: ClientEnding?) {
    var machine = ExchangePoint.uploading.machine(traits)
    if completesRequest == true { machine.requestCompleted() }
    machine.responseBytesArrived(at: .at(1))
    if let interim {
      _ = machine.headReceived(.init(status: interim), isDraining: false)
      machine.interimCompleted(nextAt: .at(1))
    }
    guard case .forwardFinal(let closing) = machine.headReceived(response, isDraining: isDraining) else {
      return (false, false, nil)
    }
    if completesRequest == nil { machine.requestCompleted() }
    guard
      case .completeResponse(let completion) = machine.responseCompleted(mayReuse: mayReuse, at: .at(2)),
      case .end(nil, let ending) = machine.clientFlushed(queued: 0)
    else { return (false, closing, nil) }
    return (completion.reusesUpstream, closing, ending)
  }

  // MARK: Keep-alive

  @Test("Both connections are kept where nothing is against it")
  func kept() {
    let found = end()
    #expect(found.reusesUpstream && !found.closing && found.client == .keep)
  }

  @Test("Each reason to close the client's connection holds by itself, and is told in the head")
  func clientCloses() {
    let cases: [(String, (reusesUpstream: Bool, closing: Bool, client: ClientEnding?))] = [
      ("the client's wish", end(.init(keepsAlive: false))),
      ("HTTP/1.0 without keep-alive", end(.init(isVersion11: false, keepsAlive: false))),
      ("an HTTP/1.0 client gets a chunked body", end(.init(isVersion11: false), .init(framing: .chunked))),
      ("draining", end(isDraining: true)),
    ]
    for (reason, found) in cases {
      #expect(found.closing && found.client == .closeLingering, "\(reason)")
      #expect(found.reusesUpstream, "\(reason) is none of upstream's")
    }
  }

  @Test("HTTP/1.0 with keep-alive is kept where the body has a length")
  func http10() {
    let found = end(.init(isVersion11: false, keepsAlive: true))
    #expect(!found.closing && found.client == .keep)
  }

  @Test("Each reason not to use upstream's connection again holds by itself, and is none of the client's")
  func upstreamCloses() {
    let cases: [(String, (reusesUpstream: Bool, closing: Bool, client: ClientEnding?))] = [
      ("what the connection has seen", end(mayReuse: false)),
      ("a 100 that was asked for and never came", end(.init(expectsContinue: true))),
      ("an offer to switch that was not taken up", end(.init(offersUpgrade: true))),
    ]
    for (reason, found) in cases {
      #expect(!found.reusesUpstream, "\(reason)")
      #expect(!found.closing && found.client == .keep, "\(reason) is none of the client's")
    }
  }

  @Test("A 100 that was asked for and came leaves upstream's connection usable; a 103 does not stand for it")
  func continued() {
    #expect(end(.init(expectsContinue: true), interim: 100).reusesUpstream)
    #expect(!end(.init(expectsContinue: true), interim: 103).reusesUpstream)
  }

  @Test("An answer to a request that is not complete ends both connections")
  func early() {
    let found = end(completesRequest: false)
    #expect(!found.reusesUpstream && found.closing && found.client == .closeLingering)
  }

  @Test("A request that is completed while it is answered ends both: nobody knows whether the server reads its rest")
  func completedLate() {
    let found = end(completesRequest: nil)
    #expect(!found.reusesUpstream && found.closing && found.client == .closeLingering)
  }

  // MARK: Framing

  @Test("Each framing goes on as the client's version can read it")
  func framing() {
    let expected: [(upstream: BodyFraming, http11: BodyFraming, http10: BodyFraming)] = [
      (.none, .none, .none), (.length(7), .length(7), .length(7)), (.chunked, .chunked, .untilClose),
      (.untilClose, .chunked, .untilClose),
    ]
    for (upstream, http11, http10) in expected {
      for (isVersion11, framing) in [(true, http11), (false, http10)] {
        let machine = ExchangePoint.responding.machine(
          .init(isVersion11: isVersion11), response: .init(framing: upstream))
        #expect(machine.bodyFraming == framing)
      }
    }
  }

  @Test("Upstream's end completes a body that only the close ends, and tells the client so in its framing")
  func closeDelimited() {
    for (isVersion11, framing, ending) in [
      (true, BodyFraming.chunked, ClientEnding.keep), (false, .untilClose, .closeLingering),
    ] {
      var machine = ExchangePoint.responding.machine(
        .init(isVersion11: isVersion11), response: .init(framing: .untilClose))
      let completion = ResponseCompletion(reusesUpstream: false, endsBody: framing, at: .at(9))
      #expect(machine.upstreamEnded(at: .at(9), .nothing) == .completeResponse(completion))
      #expect(machine.clientFlushed(queued: 0) == .end(nil, ending))
    }
  }

  @Test("A body that only the close ends is not ended by a reset")
  func closeDelimitedReset() {
    var machine = ExchangePoint.responding.machine(response: .init(framing: .untilClose))
    let failure = ExchangeFailure.why(.upstreamReset)
    let expected = Termination(outcome: .truncated, stage: .streaming, failure: failure)
    #expect(machine.upstreamFailed(failure, .output) == .end(expected, .truncate(reset: false)))
  }

  // MARK: 1xx

  @Test("Interim responses reach HTTP/1.1 clients, and no others")
  func interim() {
    for status in [100, 102, 103, 199] {
      var new = ExchangePoint.answered.machine()
      #expect(new.headReceived(.init(status: status), isDraining: false) == .forwardInterim)
      var old = ExchangePoint.answered.machine(.init(isVersion11: false))
      #expect(old.headReceived(.init(status: status), isDraining: false) == .drop)
      #expect(new.awaitsHead && old.awaitsHead)
    }
  }

  @Test("All interim heads together have the room of one, dropped ones too", arguments: [true, false])
  func interimBytes(isVersion11: Bool) {
    var machine = ExchangePoint.answered.machine(.init(isVersion11: isVersion11), .init(interimBytes: 100))
    for _ in 0..<2 {
      #expect(
        machine.headReceived(.init(status: 103, headBytes: 50), isDraining: false)
          == (isVersion11 ? .forwardInterim : .drop))
      machine.interimCompleted(nextAt: .at(1))
    }
    let refused = HeadAction.refuse(HTTPParseError(.tooManyInterimResponses, "too many interim responses"))
    #expect(machine.headReceived(.init(status: 103, headBytes: 1), isDraining: false) == refused)
  }

  @Test("The wait for a head is timed from the head's own first byte, not from an interim response's")
  func headStart() {
    var machine = ExchangePoint.sent.machine()
    #expect(machine.wait == .responseHead(startedAt: nil))
    machine.responseBytesArrived(at: .at(1))
    machine.responseBytesArrived(at: .at(2))
    #expect(machine.wait == .responseHead(startedAt: .at(1)))
    _ = machine.headReceived(.init(status: 100), isDraining: false)
    machine.interimCompleted(nextAt: nil)
    #expect(machine.wait == .responseHead(startedAt: nil))
    machine.responseBytesArrived(at: .at(5))
    #expect(machine.headStartedAt == .at(5))
  }

  // MARK: Upgrades

  @Test("A 101 opens a tunnel only where it takes up what a complete request offered")
  func upgrade() {
    let refused = HeadAction.refuse(HTTPParseError(.unexpectedUpgrade, "upstream switched protocols unasked"))
    for (offers, takesUp, isComplete) in [
      (true, true, true), (false, true, true), (true, false, true), (true, true, false),
    ] {
      var machine = ExchangePoint.uploading.machine(.init(offersUpgrade: offers))
      if isComplete { machine.requestCompleted() }
      machine.responseBytesArrived(at: .at(1))
      let action = machine.headReceived(.init(status: 101, takesUpOffer: takesUp), isDraining: false)
      let isAccepted = offers && takesUp && isComplete
      #expect(action == (isAccepted ? .switchProtocols : refused))
      #expect(machine.isTunnelling == isAccepted)
    }
  }

  // MARK: Pauses

  @Test("Upstream is paused above the high watermark and read again from the low one, more than once")
  func pauses() {
    var machine = ExchangePoint.responding.machine(.init(), marks)
    for _ in 0..<2 {
      #expect(machine.responseForwarded(queued: 100) == .none)
      #expect(machine.wait == .responseBody)
      #expect(machine.responseForwarded(queued: 101) == .pauseUpstream)
      #expect(machine.responseForwarded(queued: 102) == .none)
      #expect(machine.wait == .nothing)
      #expect(machine.clientFlushed(queued: 11) == .none)
      #expect(machine.clientFlushed(queued: 10) == .resumeUpstream)
      #expect(machine.clientFlushed(queued: 0) == .none)
    }
  }

  @Test("A pause outlasts the response's end, until the client has caught up")
  func pausedAtTheEnd() {
    var machine = ExchangePoint.responding.machine(.init(), marks)
    _ = machine.responseForwarded(queued: 101)
    _ = machine.responseCompleted(mayReuse: true, at: .at(2))
    #expect(machine.clientFlushed(queued: 11) == .none)
    #expect(machine.clientFlushed(queued: 10) == .resumeUpstream)
    #expect(machine.clientFlushed(queued: 9) == .none)
    #expect(machine.clientFlushed(queued: 0) == .end(nil, .keep))
  }

  @Test("Nothing is finished before the response is whole and delivered")
  func finish() {
    for point in ExchangePoint.allCases where point != .delivering {
      var machine = point.machine()
      #expect(machine.clientFlushed(queued: 0) == .none, "\(point)")
    }
    var machine = ExchangePoint.delivering.machine()
    #expect(machine.clientFlushed(queued: 1) == .none)
    #expect(machine.clientFlushed(queued: 0) == .end(nil, .keep))
    #expect(machine.isEnded)
  }

  // MARK: What is told of a point

  @Test("Each point waits for one thing", arguments: ExchangePoint.allCases)
  func wait(point: ExchangePoint) {
    let expected: ExchangeMachine.Wait =
      switch point {
      case .begun, .uploading, .respondingEarly: .requestBody
      case .waitingForPermit: .permit
      case .connecting, .connectingComplete: .connection
      case .sent, .sentReused: .responseHead(startedAt: nil)
      case .answered: .responseHead(startedAt: .at(1))
      case .responding: .responseBody
      case .delivering, .tunnelling, .ended: .nothing
      }
    let machine = point.machine()
    #expect(machine.wait == expected)
    #expect(machine.isEnded == (point == .ended))
    #expect(machine.stage(.nothing) == point.stage)
    #expect(machine.stage(.output) == .streaming)
  }
}
