// One exchange's place at upstream: asked for, waited for, given back.
// It must not know what an exchange does there.

/// How an exchange stands with the gate. Confined to its worker's thread.
struct Place {
  /// Its number among those who wait.
  private var ticket: Gate.Ticket?
  private var isTaken = false

  /// Asks for a place; where it has to wait, `grant` follows, unless it leaves before.
  /// - Parameters:
  ///   - limit: how many places there are.
  ///   - queue: how many may wait for one.
  mutating func enter(limit: Int, queue: Int, _ worker: Worker) -> Gate.Entry {
    let entry = worker.shared.gate.enter(limit: limit, queue: queue, worker.wake)
    switch entry {
    case .admitted: isTaken = true
    case .queued(let ticket): self.ticket = ticket
    case .full: break
    }
    return entry
  }

  /// Its turn has come.
  mutating func grant() {
    ticket = nil
    isTaken = true
  }

  /// Lets the next one in, or waits no more. Safe to call twice.
  mutating func leave(_ worker: Worker) {
    if let ticket {
      self.ticket = nil
      worker.exchangeGaveUp(ticket)
      // The place may be on its way here: then it is ours to give back.
      isTaken = !worker.shared.gate.abandon(ticket)
    }
    guard isTaken else { return }
    isTaken = false
    worker.shared.gate.leave(limit: worker.rules.settings.inFlight)
  }
}
