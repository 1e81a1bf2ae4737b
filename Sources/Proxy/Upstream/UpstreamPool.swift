// The idle connections to one upstream server, the most recently used last.
import Clocks

/// One worker's idle connections to one upstream. Whoever releases a connection to it has checked that it can be used
/// again.
final class UpstreamPool {
  private let counters: UpstreamCounters
  private let kept = UniqueBox<[UpstreamConnection]>([])
  /// In the order in which they became idle.
  private var idle: [UpstreamConnection] {
    _read { yield kept.value }
    _modify {
      yield &kept.value
      counters.idle.set(kept.value.count)
    }
  }

  init(counters: UpstreamCounters) { self.counters = counters }

  /// Idle connections.
  var count: Int { idle.count }

  /// When the connection became idle that has been so for longest. There must be one.
  var oldestAt: Instant { idle[0].idleAt }

  /// Takes the connection out that was used last, of those that are still open; nil where there is none.
  func lease() -> UpstreamConnection? {
    while let connection = idle.popLast() {
      // This costs a system call, and saves a POST on a connection that upstream has closed from being answered 502.
      if !connection.isStale { return connection }
      counters.stale.add()
      connection.close()
    }
    return nil
  }

  /// Takes a connection back.
  func release(_ connection: consuming UpstreamConnection) { idle.append(connection) }

  /// Takes a connection out that has closed.
  func remove(_ connection: UpstreamConnection) { idle.removeAll { $0 === connection } }

  /// Closes the connection that has been idle for longest. There must be one.
  func evictOldest() { idle.removeFirst().close() }

  /// Closes the connections to addresses that the server's name does not have any more.
  func closeOutdated() {
    for connection in idle where !connection.isCurrent { connection.close() }
    idle.removeAll { $0.isClosed }
  }

  /// Closes the connections that have been idle for longer than `limit`.
  func closeExpired(_ now: Instant, after limit: Duration) {
    let expired = idle.prefix { now.duration(since: $0.idleAt) > limit }.count
    for connection in idle.prefix(expired) { connection.close() }
    idle.removeFirst(expired)
  }

  /// Closes all of them.
  func closeAll() {
    for connection in idle { connection.close() }
    idle = []
  }
}
