// Each phase of a server's connection, and where each event leads: without a socket.
import Clocks
import HTTP1
import Testing

private typealias State = ServerConnectionState

private func at(_ seconds: UInt64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

/// A connection in each phase.
private func state(_ phase: State.Phase, answersHalfClosed: Bool = false) -> State {
  var state = State(at: at(1), answersHalfClosed: answersHalfClosed, hasPrelude: phase == .prelude)
  switch phase {
  case .prelude, .idle: return state
  case .closed:
    state.closed()
    return state
  case .closing(let closing):
    _ = state.replyEnded(.close(closing), queued: 1, hasPipelined: false, at: at(1))
    return state
  case .lingering(let until):
    _ = state.replyEnded(.close(.lingering), queued: 0, hasPipelined: false, at: at(1))
    state.lingerBegan(until: until, at: at(1))
    return state
  case .head, .body, .reply, .flushing: break
  }
  state.headBegan(at: at(2))
  if case .head = phase { return state }
  state.headCompleted()
  if phase == .body { return state }
  state.requestCompleted()
  if phase == .reply { return state }
  _ = state.replyEnded(.keepAlive, queued: 1, hasPipelined: false, at: at(1))
  return state
}

private let phases: [State.Phase] = [
  .prelude, .idle, .head(since: at(2)), .body, .reply, .flushing, .closing(.lingering), .closing(.plain),
  .closing(.reset), .lingering(until: at(9)), .closed,
]

@Suite("The state of a server's connection")
struct ServerConnectionStateTests {
  @Test("Each phase is reached")
  func reached() {
    for phase in phases { #expect(state(phase).phase == phase) }
  }

  @Test(
    "What is read is parsed, pipelined or discarded by the phase, and what is not discarded keeps a connection active, or ends a lingering client's silence"
  )
  func reads() {
    let expected: [State.ReadAction] = [
      .passToOwner, .parse, .parse, .parse, .pipeline, .pipeline, .discard, .discard, .discard, .discard, .discard,
    ]
    for (phase, action) in zip(phases, expected) {
      var state = state(phase)
      #expect(state.bytesRead(at: at(5)) == action, "\(phase)")
      let isActive = action == .parse || action == .pipeline || phase == .lingering(until: at(9))
      #expect(state.activeAt == at(isActive ? 5 : 1), "\(phase)")
      #expect(state.phase == phase)
    }
  }

  @Test("Empty lines before a request are none of it")
  func emptyLines() {
    var state = state(.head(since: at(2)))
    state.headNotBegun()
    #expect(state.phase == .idle)
    state.headBegan(at: at(3))
    state.headBegan(at: at(4))
    #expect(state.phase == .head(since: at(3)), "the time counts from the first byte")
  }

  @Test("An idle connection's time counts from its last reply, and a prelude may come before the next request")
  func idle() {
    var state = state(.reply)
    _ = state.replyEnded(.keepAlive, queued: 0, hasPipelined: false, at: at(7))
    #expect(state.wait == .idle(since: at(7)))
    state.preludeBegan()
    #expect(state.wait == .prelude(since: at(7)))
  }

  @Test("A reply that is sent lets the next request be read; one that is not is waited for")
  func keepAlive() {
    var sent = state(.reply)
    #expect(sent.replyEnded(.keepAlive, queued: 0, hasPipelined: false, at: at(1)) == .readNext)
    #expect(sent.phase == .idle)
    var queued = state(.reply)
    #expect(queued.replyEnded(.keepAlive, queued: 2, hasPipelined: false, at: at(1)) == .none)
    #expect(queued.flushed(queued: 1, at: at(3)) == .none)
    #expect(queued.phase == .flushing && queued.activeAt == at(3))
    #expect(queued.flushed(queued: 0, at: at(4)) == .readNext)
    #expect(queued.phase == .idle)
  }

  static let closings: [(ServerConnectionState.Closing, ServerConnectionState.Action)] = [
    (.lingering, .linger), (.plain, .close(reset: false)), (.reset, .close(reset: true)),
  ]

  @Test("A connection is closed in its manner once everything is sent, whatever its phase", arguments: closings)
  func closing(closing: ServerConnectionState.Closing, action: ServerConnectionState.Action) {
    for phase in [.prelude, .idle, .head(since: at(2)), .body, .reply] as [State.Phase] {
      var sent = state(phase)
      #expect(sent.replyEnded(.close(closing), queued: 0, hasPipelined: false, at: at(1)) == action)
      var queued = state(phase)
      #expect(queued.replyEnded(.close(closing), queued: 2, hasPipelined: false, at: at(1)) == .none)
      #expect(queued.flushed(queued: 1, at: at(3)) == .none)
      #expect(queued.phase == .closing(closing))
      #expect(queued.flushed(queued: 0, at: at(4)) == action)
    }
    var over = state(.closed)
    #expect(over.replyEnded(.close(closing), queued: 0, hasPipelined: false, at: at(1)) == .none)
  }

  @Test("A client is silent that has sent one whole request and nothing behind it")
  func silence() {
    for (phase, hasPipelined, isSilent) in [
      (.reply, false, true), (.reply, true, false), (.body, false, false), (.head(since: at(2)), false, false),
    ] as [(State.Phase, Bool, Bool)] {
      var state = state(phase)
      _ = state.replyEnded(.close(.lingering), queued: 0, hasPipelined: hasPipelined, at: at(1))
      #expect(state.isClientSilent == isSilent, "\(phase) \(hasPipelined)")
    }
  }

  @Test("A client that ends its side has left, but for what is still to be sent to it")
  func clientEnds() {
    let expected: [(State.Phase, queued: Int, State.Action)] = [
      (.prelude, 0, .reportLostClientAndClose), (.idle, 0, .reportLostClientAndClose),
      (.head(since: at(2)), 0, .reportLostClientAndClose), (.body, 0, .reportLostClient), (.body, 1, .reportLostClient),
      (.reply, 0, .reportLostClient), (.reply, 1, .reportLostClient), (.flushing, 1, .none),
      (.closing(.lingering), 1, .none), (.closing(.plain), 1, .none), (.closing(.lingering), 0, .close(reset: false)),
      (.lingering(until: at(9)), 0, .close(reset: false)), (.closed, 0, .none),
    ]
    for (phase, queued, action) in expected {
      var state = state(phase)
      #expect(state.clientEnded(queued: queued) == action, "\(phase) \(queued)")
      #expect(!state.hasClientEnded)
    }
    var flushing = state(.flushing)
    _ = flushing.clientEnded(queued: 1)
    #expect(flushing.flushed(queued: 0, at: at(3)) == .close(reset: false), "no further request can come")
  }

  @Test("A client that ends its side behind a whole request is answered where that is allowed, and then closed")
  func halfClosed() {
    for (phase, isAnswered) in [(.reply, true), (.flushing, true), (.body, false), (.idle, false)]
      as [(State.Phase, Bool)]
    {
      var state = state(phase, answersHalfClosed: true)
      #expect((state.clientEnded(queued: 0) == .none) == isAnswered, "\(phase)")
      #expect(state.hasClientEnded == isAnswered)
    }
    var lingering = state(.reply, answersHalfClosed: true)
    _ = lingering.clientEnded(queued: 0)
    #expect(lingering.replyEnded(.close(.lingering), queued: 0, hasPipelined: false, at: at(1)) == .close(reset: false))
    var kept = state(.reply, answersHalfClosed: true)
    _ = kept.clientEnded(queued: 0)
    #expect(kept.inputExhausted() == .none, "its reply is still to come")
    #expect(kept.replyEnded(.keepAlive, queued: 0, hasPipelined: false, at: at(1)) == .readNext)
    #expect(kept.inputExhausted() == .reportLostClientAndClose)
  }

  @Test("Nothing is sent to a client whose connection has failed")
  func clientFails() {
    let expected: [State.Action] = [
      .reportLostClientAndClose, .reportLostClientAndClose, .reportLostClientAndClose, .reportLostClient,
      .reportLostClient, .close(reset: false), .close(reset: false), .close(reset: false), .close(reset: false),
      .close(reset: false), .none,
    ]
    for (phase, action) in zip(phases, expected) {
      var state = state(phase, answersHalfClosed: true)
      #expect(state.clientFailed() == action, "\(phase)")
    }
  }

  @Test("What a lingering client sends is discarded, which ends its silence, until it has lingered for long enough")
  func lingers() {
    var state = state(.lingering(until: at(9)))
    #expect(state.bytesRead(at: at(8)) == .discard && state.wait == .lingering(silentSince: at(8), until: at(9)))
    #expect(state.bytesRead(at: at(9)) == .close && state.bytesRead(at: at(10)) == .close)
  }

  @Test("What is waited for counts from when it began")
  func waits() {
    let expected: [State.Wait] = [
      .prelude(since: at(1)), .idle(since: at(1)), .head(since: at(2)), .owner, .owner, .sending(since: at(1)),
      .sending(since: at(1)), .sending(since: at(1)), .sending(since: at(1)),
      .lingering(silentSince: at(1), until: at(9)), .owner,
    ]
    for (phase, wait) in zip(phases, expected) { #expect(state(phase).wait == wait) }
  }
}
