// How far an exchange can have come, as the events that lead there: where the tests of the machine begin.
import Clocks
import HTTP
import HTTP1
import Measurement

@testable import Proxy

/// A place in the life of an exchange.
enum ExchangePoint: String, CaseIterable, Sendable {
  case begun, waitingForPermit, connecting, connectingComplete, uploading, sent, sentReused, answered, responding
  case respondingEarly, delivering, tunnelling, ended

  func machine(
    _ traits: ExchangeMachine.RequestTraits = .init(), _ limits: ExchangeMachine.Limits = .init(),
    response: ResponseTraits = .init(status: 200, framing: .chunked)
  ) -> ExchangeMachine {
    var traits = traits
    var limits = limits
    if self == .waitingForPermit { limits.needsPermit = true }
    if self == .tunnelling { traits.offersUpgrade = true }
    var machine = ExchangeMachine(traits, limits: limits)
    advance(&machine, response)
    return machine
  }

  private func advance(_ machine: inout ExchangeMachine, _ response: ResponseTraits) {
    if self == .begun { return }
    _ = machine.begin()
    if self == .waitingForPermit { return machine.permitQueued() }
    if self == .connecting { return }
    if self != .uploading, self != .respondingEarly { machine.requestCompleted() }
    if self == .connectingComplete { return }
    _ = machine.connected(isReused: self == .sentReused)
    if [.uploading, .sent, .sentReused].contains(self) { return }
    machine.responseBytesArrived(at: .at(1))
    if self == .answered { return }
    if self == .tunnelling {
      _ = machine.headReceived(ResponseTraits(status: 101, takesUpOffer: true), isDraining: false)
      return
    }
    _ = machine.headReceived(response, isDraining: false)
    if self == .responding || self == .respondingEarly { return }
    _ = machine.responseForwarded(queued: 1)
    _ = machine.responseCompleted(mayReuse: true, at: .at(2))
    if self == .delivering { return }
    _ = machine.clientFlushed(queued: 0)
  }

  /// How far that is in the record's words, while no output has passed.
  var stage: Stage {
    switch self {
    case .begun, .waitingForPermit, .connecting, .uploading, .respondingEarly: .upload
    case .connectingComplete: .connecting
    case .sent, .sentReused, .answered, .responding, .delivering, .tunnelling, .ended: .waiting
    }
  }
}

extension Instant {
  static func at(_ seconds: UInt64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }
}

extension ResponseProgress {
  static let nothing = ResponseProgress()
  static let output = ResponseProgress(hasOutput: true)
}

extension ExchangeFailure {
  static func why(_ kind: Kind) -> ExchangeFailure { ExchangeFailure(kind, "why") }
}
