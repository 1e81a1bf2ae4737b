// The exchange as a state machine: every event in every state that matters, without a socket.
import HTTP
import HTTP1
import Measurement
import Testing

@testable import Proxy

@Suite("The state of an exchange")
struct ExchangeStateTests {
  typealias Event = ExchangeState.Event

  /// How far an exchange has come, as the events that led there.
  enum Point: String, CaseIterable, Sendable {
    case begun, queued, uploading, connecting, sent, sentReused, responding, respondingEarly, streaming, complete, ended

    var events: [Event] {
      switch self {
      case .begun: []
      case .queued: [.queued, .requestCompleted]
      case .uploading: [.connecting, .connected(reused: false)]
      case .connecting: [.connecting, .requestCompleted]
      case .sent: Self.connecting.events + [.connected(reused: false)]
      case .sentReused: Self.connecting.events + [.connected(reused: true)]
      case .responding: Self.sent.events + [.responseBegan]
      case .respondingEarly: Self.uploading.events + [.responseBegan]
      case .streaming: Self.responding.events + [.outputBegan]
      case .complete: Self.streaming.events + [.responseCompleted]
      case .ended: Self.complete.events + [.delivered]
      }
    }

    func state(repeatable: Bool = false) -> ExchangeState {
      var state = ExchangeState(isRepeatable: repeatable)
      for event in events { _ = state.handle(event) }
      return state
    }

    var stage: Stage {
      switch self {
      case .begun, .uploading, .respondingEarly: .upload
      case .queued, .connecting: .connecting
      case .sent, .sentReused, .responding: .waiting
      case .streaming, .complete, .ended: .streaming
      }
    }
  }

  /// Every event that can end an exchange, with the status that a client who has seen nothing yet is answered with.
  static let endings: [(event: Event, status: Int, outcome: Outcome, late: Outcome)] = [
    (.upstreamEnded, 502, .upstreamReset, .truncated),
    (.upstreamFailed("why"), 502, .upstreamReset, .truncated),
    (.responseInvalid(HTTPParseError(502, "why")), 502, .upstreamReset, .truncated),
    (.timedOut("why"), 504, .timeout, .timeout),
    (.shutDown, 503, .timeout, .timeout),
  ]

  @Test("Before a response each ending is answered, with the stage", arguments: [Point.uploading, .connecting, .sent])
  func answered(point: Point) {
    for ending in Self.endings {
      var state = point.state(repeatable: true)
      guard case .answer(let status, let termination) = state.handle(ending.event) else {
        Issue.record("\(ending.event) at \(point) was not answered")
        continue
      }
      #expect(status == ending.status)
      #expect(termination.outcome == ending.outcome)
      #expect(termination.stage == point.stage)
      #expect(termination.error?.isEmpty == false)
      #expect(state.isEnded)
    }
  }

  @Test("Once a response has begun each ending cuts it", arguments: [Point.responding, .respondingEarly, .streaming])
  func cut(point: Point) {
    for ending in Self.endings {
      var state = point.state(repeatable: true)
      guard case .truncate(let termination) = state.handle(ending.event) else {
        Issue.record("\(ending.event) at \(point) did not cut")
        continue
      }
      #expect(termination.outcome == ending.late)
      #expect(termination.stage == point.stage)
      #expect(state.isEnded)
    }
  }

  @Test("A client that leaves ends the exchange wherever it is", arguments: Point.allCases.filter { $0 != .ended })
  func clientLeft(point: Point) {
    var state = point.state(repeatable: true)
    let expected = Termination(outcome: .clientCancelled, stage: point.stage, error: nil)
    #expect(state.handle(.clientLeft) == .leave(expected))
    #expect(state.isEnded)
  }

  @Test("A response that is whole is not undone by upstream's leaving")
  func upstreamLeavesLate() {
    for event in [Event.upstreamEnded, .upstreamFailed("why")] {
      var state = Point.complete.state()
      #expect(state.handle(event) == .none)
      #expect(state.handle(.delivered) == .finish)
    }
  }

  @Test("Nothing is finished before the response is whole and delivered")
  func finish() {
    for point in Point.allCases where point != .complete {
      var state = point.state()
      #expect(state.handle(.delivered) == .none, "\(point)")
    }
    var state = Point.complete.state()
    #expect(state.isResponseComplete && !state.isEnded)
    #expect(state.handle(.delivered) == .finish)
    #expect(state.isEnded)
  }

  @Test("A pooled connection that dies unanswered is replaced once, and only where the request may be repeated")
  func retry() {
    for event in [Event.upstreamEnded, .upstreamFailed("why")] {
      var state = Point.sentReused.state(repeatable: true)
      #expect(state.handle(event) == .retry)
      #expect(!state.isEnded)
      #expect(state.handle(.connecting) == .none)
      #expect(state.isConnecting)
      #expect(state.handle(.connected(reused: true)) == .none)
      let termination = Termination(outcome: .upstreamReset, stage: .waiting, error: "why")
      #expect(state.handle(.upstreamFailed("why")) == .answer(status: 502, termination))

      var once = Point.sentReused.state(repeatable: false)
      guard case .answer(502, _) = once.handle(event) else {
        Issue.record("a request that must not be repeated was not answered")
        continue
      }
    }
  }

  @Test("A pooled connection on which upstream has begun to speak was not stale: nothing is sent twice")
  func spoken() {
    var state = Point.sentReused.state(repeatable: true)
    #expect(state.handle(.upstreamSpoke) == .none)
    let termination = Termination(outcome: .upstreamReset, stage: .waiting, error: "upstream closed the connection")
    #expect(state.handle(.upstreamEnded) == .answer(status: 502, termination))
  }

  @Test("A retry that finds nobody is unreachable")
  func retryUnreachable() {
    var state = Point.sentReused.state(repeatable: true)
    #expect(state.handle(.upstreamEnded) == .retry)
    _ = state.handle(.connecting)
    let termination = Termination(outcome: .upstreamUnreachable, stage: .connecting, error: "why")
    #expect(state.handle(.connectFailed("why")) == .answer(status: 502, termination))
  }

  @Test("A garbled answer on a pooled connection is not asked for again")
  func garbled() {
    var state = Point.sentReused.state(repeatable: true)
    let termination = Termination(outcome: .upstreamReset, stage: .waiting, error: "why")
    #expect(state.handle(.responseInvalid(HTTPParseError(502, "why"))) == .answer(status: 502, termination))
  }

  @Test("A request that breaks its framing is refused with its own status, or cuts what was being answered")
  func requestInvalid() {
    let termination = Termination(outcome: .rejected, stage: .upload, error: "why")
    var state = Point.uploading.state()
    #expect(state.handle(.requestInvalid(HTTPParseError(413, "why"))) == .answer(status: 413, termination))
    var late = Point.respondingEarly.state()
    #expect(late.handle(.requestInvalid(HTTPParseError(400, "why"))) == .truncate(termination))
  }

  @Test("Whoever waits for a place and gets none in time may try again; what upstream did not do in time is its own")
  func noPlace() {
    var late = Point.queued.state()
    let termination = Termination(outcome: .timeout, stage: .connecting, error: "why")
    #expect(late.isQueued && !late.isConnecting)
    #expect(late.handle(.timedOut("why")) == .answer(status: 503, termination))
    var full = Point.begun.state()
    let refusal = Termination(outcome: .rejected, stage: .connecting, error: "why")
    #expect(full.handle(.queueFull("why")) == .answer(status: 503, refusal))
    var admitted = Point.queued.state()
    _ = admitted.handle(.connecting)
    #expect(admitted.isConnecting && !admitted.isQueued)
    guard case .answer(504, _) = admitted.handle(.timedOut("why")) else {
      Issue.record("a place once given is not taken back")
      return
    }
  }

  @Test("A body that does not come is the client's timeout, wherever the exchange is")
  func uploadTimedOut() {
    let termination = Termination(outcome: .timeout, stage: .upload, error: "why")
    var state = Point.uploading.state()
    #expect(state.handle(.uploadTimedOut("why")) == .answer(status: 408, termination))
    var early = Point.respondingEarly.state()
    #expect(early.handle(.uploadTimedOut("why")) == .truncate(termination))
  }

  @Test("A client that takes nothing is abandoned", arguments: [Point.responding, .streaming, .complete])
  func clientStalled(point: Point) {
    var state = point.state()
    let termination = Termination(outcome: .timeout, stage: point.stage, error: "why")
    #expect(state.handle(.clientStalled("why")) == .abandon(termination))
    #expect(state.isEnded)
  }

  @Test("After the end every event is answered with nothing", arguments: [Point.connecting, .sentReused, .streaming])
  func ended(point: Point) {
    let all: [Event] =
      [
        .requestCompleted, .connecting, .connected(reused: true), .connectFailed("why"), .responseBegan, .outputBegan,
        .responseCompleted, .delivered, .requestInvalid(HTTPParseError(400, "why")), .clientLeft, .queued,
        .queueFull("why"), .uploadTimedOut("why"), .clientStalled("why"),
      ] + Self.endings.map(\.event)
    for ending in [Event.clientLeft, .timedOut("why"), .shutDown] {
      var state = point.state(repeatable: true)
      _ = state.handle(ending)
      for event in all {
        #expect(state.handle(event) == .none, "\(event) after \(ending)")
        #expect(state.isEnded)
      }
    }
  }

  @Test("What the state says of itself", arguments: Point.allCases)
  func properties(point: Point) {
    let state = point.state()
    #expect(state.isRequestComplete == ![.begun, .uploading, .respondingEarly].contains(point))
    #expect(state.isConnecting == (point == .connecting))
    #expect(state.isQueued == (point == .queued))
    #expect(
      state.hasResponded == [.responding, .respondingEarly, .streaming, .complete, .ended].contains(point))
    #expect(state.isEnded == (point == .ended))
    #expect(state.stage == point.stage)
  }
}
