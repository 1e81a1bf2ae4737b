// How long a client's connection waits where it has no exchange, and how it is shut down.
import Clocks
import Measurement

extension DownstreamConnection {
  /// Ends the exchange, or closes the connection, where something takes too long.
  func checkDeadlines(_ now: Instant) {
    if let exchange { return exchange.checkDeadlines(now) }
    let waited = now.nanoseconds(since: activeAt)
    switch phase {
    case .introduced(let header) where worker.isDraining && !header.hasBegun:
      if waited > Self.drainIdleNanoseconds, !stream.isStale() { close() }
    case .introduced:
      guard waited > worker.configuration.settings.requestHeadTimeout ?? .max else { return }
      rejectProxyHeader(.proxyHeaderTimeout, "its PROXY header did not come in time")
    case .rejecting(_, let until), .lingering(let until):
      if now >= until { close() }
    case .closing:
      let still = stallDetector.stalledNanoseconds(stream.sentBytes, isAwaited: true, at: now)
      guard still > worker.configuration.settings.clientStalledTimeout ?? .max else { return }
      worker.counters.hit(.clientStalledTimeout)
      close(reset: true)
    case .open where parser.hasBegun:
      guard let begun = parsingStartedAt, let limit = worker.configuration.settings.requestHeadTimeout else { return }
      if now.nanoseconds(since: begun) > limit { headTimedOut() }
    case .open:
      let limit = worker.configuration.settings.idleTimeout ?? .max
      // A request that waits in the socket is served: closing would reset a client that did nothing wrong.
      guard waited > (worker.isDraining ? min(limit, Self.drainIdleNanoseconds) : limit), !stream.isStale() else {
        return
      }
      worker.counters.hit(.idleTimeout)
      close()
    }
  }

  private func headTimedOut() {
    worker.counters.hit(.requestHeadTimeout)
    replyUnstarted(.timeout, ExchangeFailure(.requestHeadTimeout, "the request's head did not come in time"))
  }

  /// Ends the exchange and closes the connection, now.
  func shutDown() {
    if let exchange {
      exchange.shutDown()
    } else if case .open = phase, parser.hasBegun {
      recordUnstarted(.timeout, ExchangeFailure(.shutDown, "shut down before the request's head was whole"))
    }
    if !stream.isClosed { close(reset: false) }
  }
}
