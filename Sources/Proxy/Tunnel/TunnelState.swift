// Decides how a tunnel ends: what a side did goes in, the one thing to do comes out.
// It must stay a value without I/O and clock, so that a test can try every order of events.
import Measurement

/// How a tunnel between a client and upstream comes to its end.
///
/// A side that ends (FIN) has all its bytes forwarded; then the other side's stream is ended, too, and may still send. A side
/// that fails ends both; the other still gets what it had sent. What failed first is recorded.
/// ```
/// open ──► one side ended ──► both ended ──► closed
///   └──────────┴──► failed, its last bytes on their way ──► closed
/// ```
struct TunnelState: Sendable {
  enum Side: Sendable {
    case client, upstream

    var other: Side { self == .client ? .upstream : .client }
  }

  /// What happened.
  enum Event {
    /// A side ended its stream.
    case ended(Side)
    /// A side was reset or lost.
    case failed(Side, ExchangeFailure)
    /// A side's socket has taken everything that was sent to it.
    case drained(Side)
    /// Nothing has passed for longer than it may.
    case idle
    /// The drain's deadline, or a second signal.
    case shutDown
  }

  /// What to do about it.
  enum Action: Equatable {
    case none
    /// End the stream to this side: the other has ended.
    case finishWriting(Side)
    /// Read no more from this side: the other one cannot take it.
    case stopReading(Side)
    /// Close both; by a reset where one side must not take the loss of the other for its proper end.
    case close(Termination, reset: Bool)
  }

  private struct End {
    /// It has ended its stream.
    var hasEnded = false
    /// The stream to it was ended, as the other side has ended.
    var isFinished = false
  }

  private var client = End()
  private var upstream = End()
  /// How it ends, once the last bytes of a side that failed have been sent.
  private var termination: Termination?
  private var isClosed = false

  /// Whether one side has failed, and what it had sent is still on its way to the other.
  var isEnding: Bool { termination != nil }

  private static let whole = Termination(outcome: .tunnelled, stage: nil, failure: nil)

  /// What to do about an event. Behind `close` there is nothing more to do.
  mutating func handle(_ event: Event) -> Action {
    guard !isClosed else { return .none }
    switch event {
    case .ended(let side):
      self[side].hasEnded = true
      return .none
    case .drained(let side):
      if let termination { return close(termination, reset: true) }
      guard self[side.other].hasEnded, !self[side].isFinished else { return .none }
      self[side].isFinished = true
      return self[side.other].isFinished ? close(Self.whole, reset: false) : .finishWriting(side)
    case .failed(let side, let failure):
      // When the second one fails, too, the first one's last bytes can reach nobody.
      if let termination { return close(termination, reset: true) }
      termination = lost(side, failure)
      return .stopReading(side.other)
    case .idle:
      return truncate(ExchangeFailure(.tunnelTimeout, "nothing passed the tunnel in time"))
    case .shutDown:
      return truncate(ExchangeFailure(.shutDown, "shut down before the tunnel ended"))
    }
  }

  /// A side that had ended its stream before has not failed, whatever then happens to its socket.
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
