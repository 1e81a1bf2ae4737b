// The idle connections to one upstream server, the most recently used last.
import Clocks

/// One worker's idle connections to one upstream. Whoever releases a connection to it has checked that it can be used
/// again.
final class UpstreamPool {
  private let counters: UpstreamCounters
  /// In the order in which they became idle.
  private let idle = LinkedQueue<UpstreamConnection>()
  private var idleLimit = IdleLimit()
  /// The shortest time for which one of them may be used that its server's head has announced.
  private var shortestAnnounced: Duration?

  init(counters: UpstreamCounters) { self.counters = counters }

  /// Idle connections.
  var count: Int { idle.count }

  /// When the connection became idle that has been so for longest; nil where there is none.
  var oldestAt: Instant? { idle.first?.idleAt }

  /// Takes the connection out that was used last, of those that are still open and may still be used; nil where there is none.
  /// - Parameter limit: how long the settings let a connection be idle.
  func lease(at now: Instant, within limit: Duration) -> UpstreamConnection? {
    let limit = self.limit(limit, at: now)
    while let connection = idle.last {
      take(connection)
      let idleDuration = now.duration(since: connection.idleAt)
      if idleDuration > connection.announcedIdle.map({ min($0, limit) }) ?? limit {
        connection.close()
      } else if connection.isStale {
        // This costs a system call, and saves a POST on a connection that upstream has closed from being answered 502.
        counters.stale.add()
        idleLimit.serverClosed(after: idleDuration, at: now)
        connection.close()
      } else {
        connection.leased(after: idleDuration, at: now)
        return connection
      }
    }
    return nil
  }

  /// How long a connection may be idle of which nothing is announced.
  private func limit(_ configured: Duration, at now: Instant) -> Duration {
    idleLimit.limit(at: now).map { min($0, configured) } ?? configured
  }

  /// Takes a connection back.
  func release(_ connection: UpstreamConnection) {
    if idle.isEmpty { shortestAnnounced = nil }
    if let announced = connection.announcedIdle { shortestAnnounced = min(announced, shortestAnnounced ?? announced) }
    idle.append(connection)
    counters.idle.set(idle.count)
  }

  /// The server has closed a connection that had been idle for `duration`, or was about to.
  func serverClosed(after duration: Duration, at now: Instant) { idleLimit.serverClosed(after: duration, at: now) }

  /// Takes an idle connection out that has closed.
  func remove(_ connection: UpstreamConnection) { if connection.isPooled { take(connection) } }

  /// Closes the connection that has been idle for longest.
  func evictOldest() { if let oldest = idle.first { close(oldest) } }

  /// Closes the connections to addresses that the server's name does not have any more.
  func closeOutdated() {
    for connection in idle.all where !connection.isCurrent { close(connection) }
  }

  /// Closes the connections that have been idle for longer than they may.
  /// - Parameter limit: how long the settings let a connection be idle.
  func closeExpired(_ now: Instant, after limit: Duration) {
    let limit = self.limit(limit, at: now)
    let shortest = shortestAnnounced.map { min($0, limit) } ?? limit
    var next = idle.first
    while let connection = next {
      let idleDuration = now.duration(since: connection.idleAt)
      // All that follow have been idle for less.
      guard idleDuration > shortest else { return }
      next = idle.successor(of: connection)
      if idleDuration > connection.announcedIdle.map({ min($0, limit) }) ?? limit { close(connection) }
    }
  }

  /// Closes all of them.
  func closeAll() { while let first = idle.first { close(first) } }

  private func close(_ connection: UpstreamConnection) {
    take(connection)
    connection.close()
  }

  private func take(_ connection: UpstreamConnection) {
    idle.remove(connection)
    counters.idle.set(idle.count)
  }
}
