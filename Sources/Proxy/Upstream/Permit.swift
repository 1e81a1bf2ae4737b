// One exchange's place at upstream: asked for, waited for, given back.
// It must not know what an exchange does there.

/// How an exchange stands with the limiter. Confined to its worker's thread.
struct Permit {
  /// Its number among those who wait.
  private var waiter: ConcurrencyLimiter.WaiterID?
  private var isTaken = false

  /// Asks for a place; where it has to wait, `grant` follows, unless it leaves before.
  /// - Parameters:
  ///   - limit: how many places there are.
  ///   - queue: how many may wait for one.
  mutating func acquire(limit: Int, queue: Int, _ worker: Worker) -> ConcurrencyLimiter.Entry {
    let entry = worker.proxy.limiter.acquire(limit: limit, queue: queue, worker.onAdmit)
    switch entry {
    case .admitted: isTaken = true
    case .queued(let waiter): self.waiter = waiter
    case .full: break
    }
    return entry
  }

  /// Its turn has come.
  mutating func admitted() {
    waiter = nil
    isTaken = true
  }

  /// Lets the next one in, or waits no more. Safe to call twice.
  mutating func release(_ worker: Worker) {
    if let waiter {
      self.waiter = nil
      worker.removeWaiter(waiter)
      // The place may be on its way here: then it is ours to give back.
      isTaken = !worker.proxy.limiter.cancel(waiter)
    }
    guard isTaken else { return }
    isTaken = false
    worker.proxy.limiter.release(limit: worker.configuration.settings.inFlight)
  }
}
