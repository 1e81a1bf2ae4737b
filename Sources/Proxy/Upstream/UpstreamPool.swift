// The idle connections to upstream, the most recently used first.
// It must not know what they carried.
import Clocks

/// One worker's idle connections.
final class UpstreamPool {
  private let counters: Counters
  private let kept = UniqueBox<[UpstreamConnection]>([])
  private var idle: [UpstreamConnection] {
    _read { yield kept.value }
    _modify {
      yield &kept.value
      counters.idleUpstreamConnections.set(kept.value.count)
    }
  }

  init(counters: Counters) { self.counters = counters }

  /// A connection for one exchange: an idle one that still lives, or a new one that is yet to connect.
  /// - Parameter fresh: whether it has to be a new one.
  func lease(fresh: Bool, for worker: Worker) -> UpstreamConnection {
    while !fresh, let connection = idle.popLast() {
      // One more system call, and a POST that would have met a closed connection does not end in a 502.
      if !connection.isStale { return connection }
      worker.counters.staleConnections.add()
      connection.close()
    }
    return UpstreamConnection(worker: worker)
  }

  /// Takes a connection back after a whole exchange, which ended at `at`.
  func release(_ connection: consuming UpstreamConnection, of worker: Worker, at: Instant) {
    guard !worker.isDraining, connection.configuration === worker.configuration, connection.isCurrent,
      idle.count < worker.configuration.budget.idle
    else { return connection.close() }
    connection.markIdle(at: at)
    idle.append(connection)
  }

  /// Forgets a connection that closed itself.
  func remove(_ connection: UpstreamConnection) { idle.removeAll { $0 === connection } }

  /// Closes the one that has been idle longest, for a descriptor that is needed more.
  /// - Returns: whether there was one.
  func evictOldest() -> Bool {
    guard !idle.isEmpty else { return false }
    idle.removeFirst().close()
    return true
  }

  /// Closes what leads to addresses that the server's name stands for no more.
  func closeOutdated() {
    for connection in idle where !connection.isCurrent { connection.close() }
    idle.removeAll { $0.isClosed }
  }

  /// Closes what has been idle for longer than it may.
  func checkDeadlines(_ now: Instant, of worker: Worker) {
    // Connections that stay in use would never ask for the address again.
    if !idle.isEmpty { worker.resolver.refresh(worker.configuration.settings.resolving) }
    guard let limit = worker.configuration.settings.upstreamIdleTimeout else { return }
    let expired = idle.prefix { now.nanoseconds(since: $0.idleAt) > limit }.count
    for connection in idle.prefix(expired) { connection.close() }
    idle.removeFirst(expired)
  }

  /// Closes them all.
  func closeAll() {
    for connection in idle { connection.close() }
    idle = []
  }
}
