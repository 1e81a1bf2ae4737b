// Decides how a tunnel flows and ends: what a side did goes in, the one thing to do comes out.
// It must stay a value without I/O and clock, so that a test can try every order of events.
import Measurement

/// A tunnel between a client and upstream: which side is read, and how it comes to its end.
///
/// A side whose bytes the other does not take is not read until that has taken most of what waits for it.
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
    /// Bytes were written to a side; so many of them wait for its socket.
    case written(Side, queued: Int)
    /// A side's socket has taken bytes; so many still wait.
    case flushed(Side, queued: Int)
    /// Nothing has passed for longer than it may.
    case idle
    /// The drain's deadline, or a second signal.
    case shutDown
  }

  /// What to do about it.
  enum Action: Equatable {
    case none
    /// Read no more from this side until `resumeReading`: the other does not take its bytes fast enough.
    case pauseReading(Side)
    case resumeReading(Side)
    /// End the stream to this side: the other has ended.
    case finishWriting(Side)
    /// Read no more from this side: the other one is lost.
    case stopReading(Side)
    /// Close both; by a reset where one side must not take the loss of the other for its proper end.
    case close(Termination, reset: Bool)
  }

  private struct End {
    /// It has ended its stream.
    var hasEnded = false
    /// The stream to it was ended, as the other side has ended.
    var isFinished = false
    /// It is not read, because the other side is slow.
    var isPaused = false
  }

  private let highWatermark: Int
  private let lowWatermark: Int
  private var client = End()
  private var upstream = End()
  /// How it ends, once the last bytes of a side that failed have been sent.
  private var termination: Termination?
  private var isClosed = false

  /// Whether one side has failed, and what it had sent is still on its way to the other.
  var isEnding: Bool { termination != nil }

  /// - Parameters:
  ///   - highWatermark: bytes that may wait for one side before the other is paused.
  ///   - lowWatermark: bytes down to which it stays so.
  init(highWatermark: Int, lowWatermark: Int) {
    self.highWatermark = highWatermark
    self.lowWatermark = lowWatermark
  }

  private static let whole = Termination(outcome: .tunnelled, stage: nil, failure: nil)

  /// What to do about an event. Behind `close` there is nothing more to do.
  mutating func handle(_ event: Event) -> Action {
    guard !isClosed else { return .none }
    switch event {
    case .ended(let side):
      self[side].hasEnded = true
      return .none
    case .written(let side, let queued):
      guard queued > highWatermark, !self[side.other].isPaused else { return .none }
      self[side.other].isPaused = true
      return .pauseReading(side.other)
    case .flushed(let side, let queued): return flushed(side, queued)
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

  private mutating func flushed(_ side: Side, _ queued: Int) -> Action {
    if queued == 0 {
      if let termination { return close(termination, reset: true) }
      if self[side.other].hasEnded, !self[side].isFinished {
        self[side].isFinished = true
        return self[side.other].isFinished ? close(Self.whole, reset: false) : .finishWriting(side)
      }
    }
    guard termination == nil, queued <= lowWatermark, self[side.other].isPaused else { return .none }
    self[side.other].isPaused = false
    return .resumeReading(side.other)
  }

  /// A side that had ended its stream before has not failed, whatever then happens to its socket.
  private func lost(_ side: Side, _ failure: ExchangeFailure) -> Termination {
    if self[side].hasEnded { return Self.whole }
    switch side {
    case .client:
      return Termination(
        outcome: .clientCancelled, stage: .streaming, failure: failure.kind == .clientVanished ? failure : nil)
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
