// One exchange's permit to be at its upstream server: asked for, waited for, given back.

/// How an exchange stands with its upstream's limiter. Confined to its worker's thread.
struct Permit {
  private enum State {
    case none
    case waiting(ConcurrencyLimiter, ConcurrencyLimiter.WaiterID)
    case held(ConcurrencyLimiter)
  }

  private var state = State.none

  /// Whether there is anything to give back.
  var isAsked: Bool { if case .none = state { false } else { true } }

  /// Asks for a permit. Where the answer is `queued`, `admitted` is called later, unless `release` is called before.
  mutating func acquire(_ limiter: ConcurrencyLimiter, _ worker: Worker) -> ConcurrencyLimiter.Entry {
    let entry = limiter.acquire(worker.onAdmit)
    switch entry {
    case .admitted: state = .held(limiter)
    case .queued(let waiter): state = .waiting(limiter, waiter)
    case .full: break
    }
    return entry
  }

  /// The limiter has admitted the exchange.
  mutating func admitted() { if case .waiting(let limiter, _) = state { state = .held(limiter) } }

  /// Gives the permit back, or stops waiting for one. Safe to call twice.
  mutating func release(_ worker: Worker) {
    switch state {
    case .none: return
    case .held(let limiter): limiter.release()
    case .waiting(let limiter, let waiter):
      worker.removeWaiter(waiter)
      // Where the admission is on its way to this worker already, the permit has to be given back.
      if !limiter.cancel(waiter) { limiter.release() }
    }
    state = .none
  }
}
