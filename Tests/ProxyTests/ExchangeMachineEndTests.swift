// Every way in which an exchange can end before its time, at every point, without a socket.
import HTTP
import HTTP1
import Measurement
import Testing

@testable import Proxy

@Suite("How the exchange machine ends an exchange")
struct ExchangeMachineEndTests {
  typealias Failure = ExchangeFailure

  /// What ends an exchange wherever it is, and how it is recorded: before the response, and behind its head.
  enum Ending: CaseIterable, Sendable {
    case upstreamEnds, upstreamFails, responseInvalid, timeout, shutDown

    func apply(_ machine: inout ExchangeMachine, _ progress: ResponseProgress = .nothing) -> ExchangeAction {
      switch self {
      case .upstreamEnds: machine.upstreamEnded(at: .at(9), progress)
      case .upstreamFails: machine.upstreamFailed(.why(.upstreamReset), progress)
      case .responseInvalid: machine.responseInvalid(HTTPParseError(.malformedField, "why"), progress)
      case .timeout: machine.deadlineExpired(.why(.responseTimeout), progress)
      case .shutDown: machine.shutDown(progress)
      }
    }

    var kind: Failure.Kind {
      switch self {
      case .upstreamEnds: .upstreamClosed
      case .upstreamFails: .upstreamReset
      case .responseInvalid: .responseMalformed
      case .timeout: .responseTimeout
      case .shutDown: .shutDown
      }
    }

    var outcome: (before: Outcome, behind: Outcome) {
      switch self {
      case .upstreamEnds, .upstreamFails: (.upstreamReset, .truncated)
      case .responseInvalid: (.upstreamInvalid, .truncated)
      case .timeout, .shutDown: (.timeout, .timeout)
      }
    }
  }

  @Test("Before a response each ending is replied to, with the stage", arguments: [ExchangePoint.uploading, .sent])
  func replied(point: ExchangePoint) throws {
    for ending in Ending.allCases {
      var machine = point.machine(.init(isSafe: true))
      guard case .end(let termination?, .reply(let failure)) = ending.apply(&machine) else {
        Issue.record("\(ending) at \(point) got no reply")
        continue
      }
      #expect(failure.kind == ending.kind && termination.failure == failure)
      #expect(termination.outcome == ending.outcome.before)
      #expect(termination.stage == point.stage)
      #expect(machine.isEnded)
    }
  }

  @Test("Behind a head each ending truncates", arguments: [ExchangePoint.responding, .respondingEarly])
  func truncated(point: ExchangePoint) {
    for ending in Ending.allCases {
      for (progress, stage) in [(ResponseProgress.nothing, point.stage), (.output, .streaming)] {
        var machine = point.machine()
        guard case .end(let termination?, .truncate(reset: false)) = ending.apply(&machine, progress) else {
          Issue.record("\(ending) at \(point) did not truncate")
          continue
        }
        #expect(termination.failure?.kind == ending.kind)
        #expect(termination.outcome == ending.outcome.behind)
        #expect(termination.stage == stage)
        #expect(machine.isEnded)
      }
    }
  }

  @Test("A body that only the close ends is cut by a reset; one that the client can count is closed")
  func resets() {
    for (isVersion11, upstream, reset) in [
      (false, BodyFraming.chunked, true), (false, .untilClose, true), (false, .length(5), false),
      (true, .chunked, false), (true, .untilClose, false), (true, .length(5), false),
    ] {
      let traits = ExchangeMachine.RequestTraits(isVersion11: isVersion11)
      var machine = ExchangePoint.responding.machine(traits, response: .init(framing: upstream))
      guard case .end(_, .truncate(let isReset)) = machine.shutDown(.nothing) else {
        Issue.record("\(upstream) was not truncated")
        continue
      }
      #expect(isReset == reset, "\(upstream) to HTTP/1.\(isVersion11 ? 1 : 0)")
    }
  }

  @Test("A client that leaves ends the exchange wherever it is, and gets nothing")
  func clientLeft() {
    for point in ExchangePoint.allCases where point != .ended && point != .tunnelling {
      for (progress, stage) in [(ResponseProgress.nothing, point.stage), (.output, .streaming)] {
        var machine = point.machine()
        let expected = Termination(outcome: .clientCancelled, stage: stage, failure: nil)
        #expect(machine.clientLeft(progress) == .end(expected, .close(reset: false)), "\(point)")
        #expect(machine.isEnded)
      }
    }
  }

  @Test(
    "A client that leaves behind a delivered terminator lacks nothing; one whose terminator waits, or has not come, does"
  )
  func leftAtTheTerminator() {
    for (progress, isWhole) in [
      (ResponseProgress(hasOutput: true, isTerminatorDelivered: true), true),
      (ResponseProgress(hasOutput: true, isTerminatorDelivered: false), false),
    ] {
      for point in [ExchangePoint.responding, .delivering] {
        var machine = point.machine()
        guard case .end(let termination, .close(reset: false)) = machine.clientLeft(progress) else {
          Issue.record("the client was not let go")
          continue
        }
        #expect((termination == nil) == isWhole)
      }
    }
  }

  @Test("A client that takes nothing is reset", arguments: [ExchangePoint.responding, .respondingEarly, .delivering])
  func clientStalled(point: ExchangePoint) {
    var machine = point.machine()
    let failure = Failure.why(.clientStalledTimeout)
    let expected = Termination(outcome: .timeout, stage: point.stage, failure: failure)
    #expect(machine.deadlineExpired(failure, .nothing) == .end(expected, .close(reset: true)))
  }

  @Test("A body that does not come is the upload's timeout, wherever the response is")
  func uploadTimedOut() {
    for kind in [Failure.Kind.requestBodyTimeout, .requestBodyRate] {
      let expected = Termination(outcome: .timeout, stage: .upload, failure: .why(kind))
      var machine = ExchangePoint.uploading.machine()
      #expect(machine.deadlineExpired(.why(kind), .nothing) == .end(expected, .reply(.why(kind))))
      var early = ExchangePoint.respondingEarly.machine()
      #expect(early.deadlineExpired(.why(kind), .output) == .end(expected, .truncate(reset: false)))
    }
  }

  @Test("A request that breaks its framing is refused, or cuts what was being answered")
  func requestInvalid() {
    let error = HTTPParseError(.malformedField, "why")
    let expected = Termination(outcome: .rejected, stage: .upload, failure: .why(.requestMalformed))
    for point in [ExchangePoint.waitingForPermit, .connecting, .uploading] {
      var machine = point.machine()
      #expect(machine.requestInvalid(error) == .end(expected, .reply(.why(.requestMalformed))), "\(point)")
    }
    var early = ExchangePoint.respondingEarly.machine()
    #expect(early.requestInvalid(error) == .end(expected, .truncate(reset: false)))
  }

  @Test("A wait for a permit that lasts too long ends in a reply, as does a connection that does not come")
  func waits() {
    for (point, kind) in [
      (ExchangePoint.waitingForPermit, Failure.Kind.queueTimeout), (.connectingComplete, .connectTimeout),
    ] {
      var machine = point.machine()
      let expected = Termination(outcome: .timeout, stage: point.stage, failure: .why(kind))
      #expect(machine.deadlineExpired(.why(kind), .nothing) == .end(expected, .reply(.why(kind))))
    }
  }

  @Test("A whole response is not undone by upstream's leaving")
  func upstreamLeavesLate() {
    for ending in [Ending.upstreamEnds, .upstreamFails] {
      var machine = ExchangePoint.delivering.machine()
      #expect(ending.apply(&machine) == .none)
      #expect(machine.clientFlushed(queued: 0) == .end(nil, .keep))
    }
  }

  @Test("A tunnel ends as its own machine says", arguments: [true, false])
  func tunnel(reset: Bool) {
    var machine = ExchangePoint.tunnelling.machine()
    let termination = Termination(outcome: .tunnelled, stage: nil, failure: nil)
    #expect(machine.tunnelEnded(termination, reset: reset) == .end(termination, .close(reset: reset)))
    #expect(machine.isEnded)
  }

  @Test("What sockets, client and clock report after the end changes nothing")
  func late() {
    for point in [ExchangePoint.waitingForPermit, .connectingComplete, .sentReused, .responding, .delivering] {
      var machine = point.machine(.init(isSafe: true))
      _ = machine.clientLeft(.nothing)
      #expect(machine.clientLeft(.output) == .none)
      for ending in Ending.allCases where ending != .responseInvalid { #expect(ending.apply(&machine) == .none) }
      #expect(machine.deadlineExpired(.why(.clientStalledTimeout), .output) == .none)
      #expect(machine.requestInvalid(HTTPParseError(.malformedField, "why")) == .none)
      #expect(machine.clientFlushed(queued: 0) == .none)
      #expect(machine.upstreamFlushed(queued: 0) == .none)
      #expect(machine.isEnded)
    }
  }

  @Test("An event that cannot be stops a debug build")
  func illegal() async {
    await #expect(processExitsWith: .failure) {
      var machine = ExchangePoint.sent.machine()
      _ = machine.connected(isReused: false)
    }
    await #expect(processExitsWith: .success) {
      var machine = ExchangePoint.connecting.machine()
      _ = machine.connected(isReused: false)
    }
  }
}
