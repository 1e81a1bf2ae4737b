// What a stream's socket is watched for in each state: a table, without a socket.
import Testing

@testable import Transport

@Suite("What a socket is watched for")
struct StreamStateTests {
  private func interest(
    _ phase: StreamState.Phase, _ reading: StreamState.Reading = .paused, queued: Bool = false,
    detectsReset: Bool = false,
    pending: Bool = false
  ) -> PollEvents {
    var state = StreamState(phase: phase)
    state.reading = reading
    state.detectsReset = detectsReset
    if pending { state.pendingError = TransportError(.write, code: -32) }
    return state.interest(hasQueued: queued)
  }

  @Test("While connecting it is the connection alone, whatever is wanted later")
  func connecting() {
    for reading in [StreamState.Reading.paused, .pausedDetectingClose, .active] {
      for queued in [true, false] {
        #expect(interest(.connecting, reading, queued: queued, detectsReset: true) == .writable)
      }
    }
  }

  @Test("An open stream is watched for what its delegate wants, and for room where something is queued")
  func open() {
    #expect(interest(.open) == [])
    #expect(interest(.open, .active) == .readable)
    #expect(interest(.open, .pausedDetectingClose) == .disconnect)
    #expect(interest(.open, queued: true) == .writable)
    #expect(interest(.open, .active, queued: true) == [.readable, .writable])
    #expect(interest(.open, .pausedDetectingClose, queued: true) == [.disconnect, .writable])
  }

  @Test("Behind the peer's end nothing is read, and what is queued is still sent")
  func ended() {
    for reading in [StreamState.Reading.paused, .pausedDetectingClose, .active] {
      #expect(interest(.ended, reading) == [])
      #expect(interest(.ended, reading, queued: true) == .writable)
    }
  }

  @Test("A reset is watched for by itself only where nothing else is, until the stream has failed")
  func detectsReset() {
    #expect(interest(.open, detectsReset: true) == .urgent)
    #expect(interest(.ended, .active, detectsReset: true) == .urgent)
    #expect(interest(.open, .active, detectsReset: true) == .readable)
    #expect(interest(.open, queued: true, detectsReset: true) == .writable)
    #expect(interest(.failed, detectsReset: true) == [])
  }

  @Test("With an error pending nothing is sent any more, and what came before it is read")
  func pendingError() {
    #expect(interest(.open, queued: true, pending: true) == [])
    #expect(interest(.open, .active, queued: true, pending: true) == .readable)
    #expect(interest(.open, queued: true, detectsReset: true, pending: true) == .urgent)
  }

  @Test("A failed stream is watched for nothing")
  func failed() {
    #expect(interest(.failed, .active, queued: true) == [])
  }
}
