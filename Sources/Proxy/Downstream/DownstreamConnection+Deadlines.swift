// How long a client's connection waits where it has no exchange, and how it is shut down.
import Clocks
import Measurement

extension DownstreamConnection {
  /// Ends the exchange, or closes the connection, where something takes too long.
  func checkDeadlines(_ now: Instant) {
    if let exchange { return exchange.checkDeadlines(now) }
    switch connection.wait {
    case .prelude(let since): checkPrelude(waited: now.duration(since: since), now)
    case .lingering(let silentSince, let until):
      if now >= until || now.duration(since: silentSince) > worker.lingerIdleLimit { close() }
    case .sending:
      let still = stallDetector.stalledDuration(sentBytes, isAwaited: true, at: now)
      guard still.exceeds(worker.configuration.settings.timeouts.clientStalled) else { return }
      worker.counters.hit(.clientStalledTimeout)
      close(reset: true)
    case .head(let since):
      if now.duration(since: since) > worker.configuration.settings.timeouts.requestHead { headTimedOut() }
    case .idle(let since):
      let limit = worker.configuration.settings.timeouts.idle
      let waited = now.duration(since: since)
      // A request that waits in the socket is served: closing would reset a client that did nothing wrong.
      guard waited > (worker.isDraining ? min(limit, Self.drainIdleDuration) : limit), !connection.stream.isStale()
      else { return }
      worker.counters.hit(.idleTimeout)
      close()
    case .owner: return
    }
  }

  private func checkPrelude(waited: Duration, _ now: Instant) {
    switch prelude {
    case .none: return
    case .rejection(_, let until):
      if now >= until { close() }
    case .proxyHeader(let header) where worker.isDraining && !header.hasBegun:
      if waited > Self.drainIdleDuration, !connection.stream.isStale() { close() }
    case .proxyHeader:
      guard waited.exceeds(worker.configuration.settings.timeouts.requestHead) else { return }
      rejectProxyHeader(.proxyHeaderTimeout, "its PROXY header did not come in time")
    }
  }

  /// Since when nothing of a next request has come; nil while something else is waited for.
  var idleSince: Instant? {
    if exchange == nil, case .idle(let since) = connection.wait { since } else { nil }
  }

  /// Closes it, unless a request waits in its socket: closing would reset a client that did nothing wrong.
  /// - Returns: whether it was closed.
  func closeIfIdle() -> Bool {
    guard idleSince != nil, !connection.stream.isStale() else { return false }
    close()
    return true
  }

  private func headTimedOut() {
    worker.counters.hit(.requestHeadTimeout)
    replyUnstarted(.timeout, ExchangeFailure(.requestHeadTimeout, "the request's head did not come in time"))
  }

  /// Ends the exchange and closes the connection, now.
  func shutDown() {
    if let exchange {
      exchange.shutDown()
    } else if connection.isReadingHead {
      recordUnstarted(.timeout, ExchangeFailure(.shutDown, "shut down before the request's head was whole"))
    }
    close()
  }
}
