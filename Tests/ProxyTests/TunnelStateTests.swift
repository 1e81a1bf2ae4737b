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
    var state = TunnelState()
    #expect(state.handle(.drained(side.other)) == .none)
    #expect(state.handle(.ended(side)) == .none)
    #expect(state.handle(.drained(side)) == .none)
    #expect(state.handle(.drained(side.other)) == .finishWriting(side.other))
    #expect(state.handle(.drained(side.other)) == .none)
    #expect(state.handle(.ended(side.other)) == .none)
    #expect(state.handle(.drained(side)) == .close(Self.whole, reset: false))
    #expect(state.handle(.shutDown) == .none)
  }

  @Test("Both ends at once: each is told before the tunnel closes")
  func bothEnd() {
    var state = TunnelState()
    _ = state.handle(.ended(.client))
    _ = state.handle(.ended(.upstream))
    #expect(state.handle(.drained(.client)) == .finishWriting(.client))
    #expect(state.handle(.drained(.upstream)) == .close(Self.whole, reset: false))
  }

  @Test("A side that breaks ends the tunnel when the other has what it sent")
  func broken() {
    let verdicts: [(Side, Termination)] = [
      (.client, Termination(outcome: .clientCancelled, stage: .streaming, failure: nil)),
      (.upstream, Termination(outcome: .upstreamReset, stage: .streaming, failure: .why(.upstreamReset))),
    ]
    for (side, termination) in verdicts {
      var state = TunnelState()
      #expect(state.handle(.failed(side, .why(.upstreamReset))) == .stopReading(side.other))
      #expect(state.isEnding)
      #expect(state.handle(.drained(side.other)) == .close(termination, reset: true))
      var again = TunnelState()
      _ = again.handle(.failed(side, .why(.upstreamReset)))
      #expect(again.handle(.failed(side.other, .why(.shutDown))) == .close(termination, reset: true))
      var late = TunnelState()
      _ = late.handle(.failed(side, .why(.upstreamReset)))
      #expect(late.handle(.idle) == .close(termination, reset: true))
    }
  }

  @Test("A side that had ended by itself is not lost by its socket's reset", arguments: [Side.client, .upstream])
  func resetAfterEnd(side: Side) {
    var state = TunnelState()
    _ = state.handle(.ended(side))
    #expect(state.handle(.failed(side, .why(.upstreamReset))) == .stopReading(side.other))
    #expect(state.handle(.drained(side.other)) == .close(Self.whole, reset: true))
  }

  @Test("Silence and shutdown close it, and say so")
  func cut() {
    var silent = TunnelState()
    guard case .close(let idle, reset: true) = silent.handle(.idle) else { return #expect(Bool(false)) }
    #expect(idle.outcome == .timeout && idle.stage == .streaming && idle.failure?.kind == .tunnelTimeout)
    var open = TunnelState()
    guard case .close(let down, reset: true) = open.handle(.shutDown) else { return #expect(Bool(false)) }
    #expect(down.outcome == .timeout && down.failure?.kind == .shutDown)
    #expect(open.handle(.failed(.client, .why(.upstreamReset))) == .none)
  }
}
