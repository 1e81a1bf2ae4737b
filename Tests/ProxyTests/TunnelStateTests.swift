// A tunnel's ends as a state machine: every order in which two sides can end, without a socket.
import Measurement
import Testing

@testable import Proxy

@Suite("The state of a tunnel")
struct TunnelStateTests {
  typealias Side = TunnelState.Side
  private static let whole = Termination(outcome: .tunnelled, stage: nil, failure: nil)

  @Test("A side that ends is told to the other once that has taken everything", arguments: [Side.client, .upstream])
  func halfClosed(side: Side) {
    var state = TunnelState(highWatermark: 100, lowWatermark: 10)
    #expect(state.handle(.flushed(side.other, queued: 0)) == .none)
    #expect(state.handle(.ended(side)) == .none)
    #expect(state.handle(.flushed(side, queued: 0)) == .none)
    #expect(state.handle(.flushed(side.other, queued: 0)) == .finishWriting(side.other))
    #expect(state.handle(.flushed(side.other, queued: 0)) == .none)
    #expect(state.handle(.ended(side.other)) == .none)
    #expect(state.handle(.flushed(side, queued: 0)) == .close(Self.whole, reset: false))
    #expect(state.handle(.shutDown) == .none)
  }

  @Test("Both ends at once: each is told before the tunnel closes")
  func bothEnd() {
    var state = TunnelState(highWatermark: 100, lowWatermark: 10)
    _ = state.handle(.ended(.client))
    _ = state.handle(.ended(.upstream))
    #expect(state.handle(.flushed(.client, queued: 0)) == .finishWriting(.client))
    #expect(state.handle(.flushed(.upstream, queued: 0)) == .close(Self.whole, reset: false))
  }

  @Test("A side that breaks ends the tunnel when the other has what it sent")
  func broken() {
    let verdicts: [(Side, Termination)] = [
      (.client, Termination(outcome: .clientCancelled, stage: .streaming, failure: nil)),
      (.upstream, Termination(outcome: .upstreamReset, stage: .streaming, failure: .why(.upstreamReset))),
    ]
    for (side, termination) in verdicts {
      var state = TunnelState(highWatermark: 100, lowWatermark: 10)
      #expect(state.handle(.failed(side, .why(.upstreamReset))) == .stopReading(side.other))
      #expect(state.isEnding)
      #expect(state.handle(.flushed(side.other, queued: 0)) == .close(termination, reset: true))
      var again = TunnelState(highWatermark: 100, lowWatermark: 10)
      _ = again.handle(.failed(side, .why(.upstreamReset)))
      #expect(again.handle(.failed(side.other, .why(.shutDown))) == .close(termination, reset: true))
      var late = TunnelState(highWatermark: 100, lowWatermark: 10)
      _ = late.handle(.failed(side, .why(.upstreamReset)))
      #expect(late.handle(.idle) == .close(termination, reset: true))
    }
  }

  @Test("A side that had ended by itself is not lost by its socket's reset", arguments: [Side.client, .upstream])
  func resetAfterEnd(side: Side) {
    var state = TunnelState(highWatermark: 100, lowWatermark: 10)
    _ = state.handle(.ended(side))
    #expect(state.handle(.failed(side, .why(.upstreamReset))) == .stopReading(side.other))
    #expect(state.handle(.flushed(side.other, queued: 0)) == .close(Self.whole, reset: true))
  }

  @Test(
    "A side whose bytes wait is paused above the one mark, and read again at the other",
    arguments: [Side.client, .upstream])
  func backpressure(side: Side) {
    var state = TunnelState(highWatermark: 100, lowWatermark: 10)
    for _ in 0..<2 {
      #expect(state.handle(.written(side, queued: 100)) == .none)
      #expect(state.handle(.written(side, queued: 101)) == .pauseReading(side.other))
      #expect(state.handle(.written(side, queued: 102)) == .none)
      #expect(state.handle(.written(side.other, queued: 100)) == .none, "the other way is open")
      #expect(state.handle(.flushed(side, queued: 11)) == .none)
      #expect(state.handle(.flushed(side.other, queued: 0)) == .none)
      #expect(state.handle(.flushed(side, queued: 10)) == .resumeReading(side.other))
      #expect(state.handle(.flushed(side, queued: 9)) == .none)
      #expect(state.handle(.flushed(side, queued: 0)) == .none)
    }
  }

  @Test("A side that was paused is not read again once it is lost", arguments: [Side.client, .upstream])
  func lostWhilePaused(side: Side) {
    var state = TunnelState(highWatermark: 100, lowWatermark: 10)
    #expect(state.handle(.written(side, queued: 101)) == .pauseReading(side.other))
    #expect(state.handle(.failed(side.other, .why(.upstreamReset))) == .stopReading(side))
    #expect(state.handle(.flushed(side, queued: 10)) == .none)
    guard case .close(_, reset: true) = state.handle(.flushed(side, queued: 0)) else { return #expect(Bool(false)) }
  }

  @Test("Silence and shutdown close it, and say so")
  func cut() {
    var silent = TunnelState(highWatermark: 100, lowWatermark: 10)
    guard case .close(let idle, reset: true) = silent.handle(.idle) else { return #expect(Bool(false)) }
    #expect(idle.outcome == .timeout && idle.stage == .streaming && idle.failure?.kind == .tunnelTimeout)
    var open = TunnelState(highWatermark: 100, lowWatermark: 10)
    guard case .close(let down, reset: true) = open.handle(.shutDown) else { return #expect(Bool(false)) }
    #expect(down.outcome == .timeout && down.failure?.kind == .shutDown)
    #expect(open.handle(.failed(.client, .why(.upstreamReset))) == .none)
  }
}
