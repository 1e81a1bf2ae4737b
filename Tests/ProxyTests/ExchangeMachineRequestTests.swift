// What the exchange machine decides about a request and its way to upstream, rule by rule, without a socket.
import HTTP
import HTTP1
import Measurement
import Testing

@testable import Proxy

@Suite("What the exchange machine does with a request")
struct ExchangeMachineRequestTests {
  private let marks = ExchangeMachine.Limits(highWatermark: 100, lowWatermark: 10)

  @Test("An exchange connects at once where no permit is needed, and asks for one where it is")
  func begin() {
    var free = ExchangePoint.begun.machine()
    #expect(free.begin() == .connect(fresh: false))
    #expect(free.wait == .connection)
    var bounded = ExchangePoint.begun.machine(.init(), .init(needsPermit: true))
    #expect(bounded.begin() == .acquirePermit)
    #expect(bounded.permitGranted() == .connect(fresh: false))
    #expect(bounded.wait == .connection)
  }

  @Test("A request with a body asks for its permit when it is complete, or is too large to wait for that")
  func permitForCompleteRequests() {
    let bounded = ExchangeMachine.Limits(highWatermark: 100, lowWatermark: 10, needsPermit: true)
    var complete = ExchangePoint.begun.machine(.init(framing: .length(50)), bounded)
    #expect(complete.begin() == .none && complete.wait == .requestBody && complete.awaitsConnection)
    #expect(complete.requestForwarded(queued: 100) == .none)
    #expect(complete.requestCompleted() == .acquirePermit)
    #expect(complete.permitGranted() == .connect(fresh: false))
    var large = ExchangePoint.begun.machine(.init(framing: .chunked), bounded)
    _ = large.begin()
    #expect(large.requestForwarded(queued: 101) == .acquirePermit)
    large.permitQueued()
    #expect(large.requestForwarded(queued: 102) == .pauseUpload)
    #expect(large.requestCompleted() == .none)
    // The server has to say first that it wants the body.
    var asking = ExchangePoint.begun.machine(.init(framing: .length(50), expectsContinue: true), bounded)
    #expect(asking.begin() == .acquirePermit)
    var unbounded = ExchangePoint.begun.machine(.init(framing: .length(50)), marks)
    #expect(unbounded.begin() == .connect(fresh: false))
  }

  @Test("A connection that may become a tunnel is a new one")
  func fresh() {
    var machine = ExchangePoint.begun.machine(.init(offersUpgrade: true))
    #expect(machine.begin() == .connect(fresh: true))
    var queued = ExchangePoint.waitingForPermit.machine(.init(offersUpgrade: true))
    #expect(queued.permitAdmitted(.init()) == .connect(fresh: true))
  }

  @Test("An exchange that waits for a permit connects when admitted, under the limits that are in force then")
  func admitted() {
    var machine = ExchangePoint.waitingForPermit.machine()
    #expect(machine.wait == .permit && machine.awaitsConnection)
    #expect(machine.requestForwarded(queued: 1_000) == .none)
    #expect(machine.permitAdmitted(marks) == .connect(fresh: false))
    #expect(machine.wait == .connection)
    #expect(machine.requestForwarded(queued: 101) == .pauseUpload)
  }

  @Test("Where as many wait as may, the request is refused")
  func full() {
    var machine = ExchangePoint.begun.machine(.init(), .init(needsPermit: true))
    _ = machine.begin()
    guard case .end(let termination?, .reply(let failure)) = machine.permitRefused() else {
      Issue.record("no reply")
      return
    }
    #expect(failure.kind == .queueFull)
    #expect(termination.outcome == .rejected && termination.stage == .connecting)
  }

  @Test("A request that has to make room is refused, whole or not")
  func memory() {
    for (point, stage) in [(ExchangePoint.connecting, Stage.upload), (.connectingComplete, .connecting)] {
      var machine = point.machine(.init(), .init())
      guard case .end(let termination?, .reply(let failure)) = machine.memoryRefused() else {
        Issue.record("no reply")
        return
      }
      #expect(failure.kind == .waitingRequestsFull)
      #expect(termination.outcome == .rejected && termination.stage == stage)
    }
  }

  @Test("A connection that is not made is unreachable, whatever has come of the request")
  func unreachable() {
    for point in [ExchangePoint.connecting, .connectingComplete] {
      var machine = point.machine(.init(isSafe: true))
      let failure = ExchangeFailure.why(.connectFailed)
      let expected = Termination(outcome: .upstreamUnreachable, stage: .connecting, failure: failure)
      #expect(machine.upstreamFailed(failure, .nothing) == .end(expected, .reply(failure)))
    }
  }

  @Test("The request goes out once a connection is open, and waits before")
  func connected() {
    var machine = ExchangePoint.connecting.machine()
    #expect(machine.awaitsConnection && !machine.isConnected)
    #expect(machine.connected(isReused: false) == .sendBufferedRequest)
    #expect(!machine.awaitsConnection && machine.isConnected)
  }

  // MARK: Size

  @Test("A body with a length is judged by its head, a chunked one by what has come; the limit itself is allowed")
  func bodySize() {
    let limits = ExchangeMachine.Limits(requestBodyBytes: 100)
    let error = HTTPParseError(.bodyTooLarge, "request body larger than 100 bytes")
    var exact = ExchangePoint.begun.machine(.init(framing: .length(100)), limits)
    #expect(exact.begin() == .connect(fresh: false))
    #expect(exact.requestBytes(total: 1_000) == .none)
    var long = ExchangePoint.begun.machine(.init(framing: .length(101)), limits)
    #expect(long.begin() == .refuseRequest(error))
    var chunked = ExchangePoint.uploading.machine(.init(framing: .chunked), limits)
    #expect(chunked.requestBytes(total: 100) == .none)
    #expect(chunked.requestBytes(total: 101) == .refuseRequest(error))
    var unbounded = ExchangePoint.begun.machine(.init(framing: .length(.max)))
    #expect(unbounded.begin() == .connect(fresh: false))
  }

  // MARK: Pauses

  @Test("The client is paused above the high watermark and read again from the low one, more than once")
  func uploadPauses() {
    var machine = ExchangePoint.uploading.machine(.init(framing: .chunked), marks)
    for _ in 0..<2 {
      #expect(machine.requestForwarded(queued: 100) == .none)
      #expect(machine.requestForwarded(queued: 101) == .pauseUpload)
      #expect(machine.requestForwarded(queued: 102) == .none)
      #expect(machine.upstreamFlushed(queued: 11) == .none)
      #expect(machine.upstreamFlushed(queued: 10) == .resumeUpload)
      #expect(machine.upstreamFlushed(queued: 0) == .none)
    }
  }

  @Test("A client whose request waits for a connection stays paused until that takes it")
  func pausedBeforeTheConnection() {
    var machine = ExchangePoint.connecting.machine(.init(framing: .chunked), marks)
    #expect(machine.requestForwarded(queued: 101) == .pauseUpload)
    #expect(machine.upstreamFlushed(queued: 0) == .none)
    _ = machine.connected(isReused: false)
    #expect(machine.upstreamFlushed(queued: 0) == .resumeUpload)
  }

  @Test("Once a request is complete, the client's next bytes are not asked for")
  func pausedAtTheEnd() {
    var machine = ExchangePoint.uploading.machine(.init(framing: .chunked), marks)
    #expect(machine.requestForwarded(queued: 101) == .pauseUpload)
    machine.requestCompleted()
    #expect(machine.upstreamFlushed(queued: 0) == .none)
  }

  // MARK: A second time

  @Test("A pooled connection that dies unanswered is replaced once, and only for a safe request without a body")
  func retry() {
    for (isSafe, framing, isRepeated) in [
      (true, BodyFraming.none, true), (true, .length(0), true), (true, .length(1), false), (true, .chunked, false),
      (false, .none, false),
    ] {
      for ending in [ExchangeMachineEndTests.Ending.upstreamEnds, .upstreamFails] {
        var machine = ExchangePoint.sentReused.machine(.init(isSafe: isSafe, framing: framing))
        #expect(machine.mayRetry == isRepeated)
        guard isRepeated else {
          guard case .end(let termination?, .reply) = ending.apply(&machine) else {
            Issue.record("\(framing) was sent twice")
            continue
          }
          #expect(termination.outcome == .upstreamReset)
          continue
        }
        #expect(ending.apply(&machine) == .retry)
        #expect(machine.wait == .connection && !machine.mayRetry)
        #expect(machine.connected(isReused: true) == .sendBufferedRequest)
        guard case .end(let termination?, .reply) = ending.apply(&machine) else {
          Issue.record("it was sent a third time")
          continue
        }
        #expect(termination.outcome == .upstreamReset && termination.stage == .waiting)
      }
    }
  }

  @Test("A new connection that dies was not stale: nothing is sent twice")
  func notReused() {
    var machine = ExchangePoint.sent.machine(.init(isSafe: true))
    guard case .end(_, .reply) = machine.upstreamEnded(at: .at(9), .nothing) else {
      Issue.record("it was sent twice")
      return
    }
  }

  @Test("A pooled connection on which one byte has come was not stale: nothing is sent twice")
  func spoken() {
    var machine = ExchangePoint.sentReused.machine(.init(isSafe: true))
    machine.responseBytesArrived(at: .at(1))
    #expect(!machine.mayRetry)
    guard case .end(let termination?, .reply) = machine.upstreamEnded(at: .at(9), .nothing) else {
      Issue.record("it was sent twice")
      return
    }
    #expect(termination.failure?.kind == .upstreamClosed)
  }

  @Test("A 103 and then the end of a pooled connection: not sent again, though the next head has not begun")
  func interimThenEnd() {
    var machine = ExchangePoint.sentReused.machine(.init(isSafe: true))
    machine.responseBytesArrived(at: .at(1))
    #expect(machine.headReceived(.init(status: 103), isDraining: false) == .forwardInterim)
    machine.interimCompleted(nextAt: nil)
    guard case .end(_, .reply) = machine.upstreamEnded(at: .at(9), .nothing) else {
      Issue.record("it was sent twice")
      return
    }
  }

  @Test("A retry that finds nobody is unreachable")
  func retryUnreachable() {
    var machine = ExchangePoint.sentReused.machine(.init(isSafe: true))
    #expect(machine.upstreamEnded(at: .at(9), .nothing) == .retry)
    let failure = ExchangeFailure.why(.connectFailed)
    let expected = Termination(outcome: .upstreamUnreachable, stage: .connecting, failure: failure)
    #expect(machine.upstreamFailed(failure, .nothing) == .end(expected, .reply(failure)))
  }

  @Test("A malformed answer on a pooled connection is not asked for again")
  func malformed() {
    var machine = ExchangePoint.sentReused.machine(.init(isSafe: true))
    guard case .end(_, .reply) = machine.responseInvalid(HTTPParseError(.malformedField, "why"), .nothing) else {
      Issue.record("it was sent twice")
      return
    }
  }
}
