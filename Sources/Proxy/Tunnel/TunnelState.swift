// A tunnel's ends as a pure state machine: what a side did goes in, the one thing to do comes out.
// It must not do I/O, read clocks or know what protocol is spoken.
import Measurement

/// How a tunnel between a client and upstream comes to its end.
///
/// A side that ends (FIN) is heard to the last byte, and the other side is then told so; it may go on by itself. A side
/// that breaks ends both: the other still gets what it had sent. The first cause of the end is the one that is recorded.
struct TunnelState: Sendable {
  enum Side: Sendable {
    case client, upstream

    var other: Side { self == .client ? .upstream : .client }
  }

  /// What happened.
  enum Event {
    /// A side ended what it sends.
    case ended(Side)
    /// A side is gone: reset, or lost.
    case failed(Side, ExchangeFailure)
    /// Nothing more waits for a side's socket.
    case drained(Side)
    /// Nothing has passed for longer than it may.
    case idle
    /// The drain's deadline, or a second signal.
    case shutDown
  }

  /// What to do about it.
  enum Action: Equatable {
    case none
    /// Tell this side that the other has ended.
    case finishWriting(Side)
    /// Take nothing more from this side: there is nobody to send it to.
    case stopReading(Side)
    /// Close both; `reset` where one has lost the other, and must not take that for its end.
    case close(Termination, reset: Bool)
  }

  private struct End {
    /// It has said that it ended.
    var hasEnded = false
    /// It was told that the other has.
    var wasTold = false
  }

  private var client = End()
  private var upstream = End()
  /// How it will have ended once what waits has gone.
  private var termination: Termination?
  private var isClosed = false

  /// Whether one side is lost, and what it had sent is still on its way to the other.
  var isEnding: Bool { termination != nil }

  private static let whole = Termination(outcome: .tunnelled, stage: nil, failure: nil)

  /// Takes one event.
  mutating func handle(_ event: Event) -> Action {
    guard !isClosed else { return .none }
    switch event {
    case .ended(let side):
      self[side].hasEnded = true
      return .none
    case .drained(let side):
      if let termination { return close(termination, reset: true) }
      guard self[side.other].hasEnded, !self[side].wasTold else { return .none }
      self[side].wasTold = true
      return self[side.other].wasTold ? close(Self.whole, reset: false) : .finishWriting(side)
    case .failed(let side, let failure):
      // The second one to break has nobody left to be heard by.
      if let termination { return close(termination, reset: true) }
      termination = lost(side, failure)
      return .stopReading(side.other)
    case .idle:
      return truncate(ExchangeFailure(.tunnelTimeout, "nothing passed the tunnel in time"))
    case .shutDown:
      return truncate(ExchangeFailure(.shutDown, "shut down before the tunnel ended"))
    }
  }

  /// One that had ended before is at its end by its own will, however its socket then went.
  private func lost(_ side: Side, _ failure: ExchangeFailure) -> Termination {
    if self[side].hasEnded { return Self.whole }
    switch side {
    case .client: return Termination(outcome: .clientCancelled, stage: .streaming, failure: nil)
    case .upstream: return Termination(outcome: .upstreamReset, stage: .streaming, failure: failure)
    }
  }

  private mutating func truncate(_ failure: ExchangeFailure) -> Action {
    close(termination ?? Termination(outcome: .timeout, stage: .streaming, failure: failure), reset: true)
  }

  private mutating func close(_ termination: Termination, reset: Bool) -> Action {
    isClosed = true
    return .close(termination, reset: reset)
  }

  private subscript(side: Side) -> End {
    get { side == .client ? client : upstream }
    set { if side == .client { client = newValue } else { upstream = newValue } }
  }
}
