// What all workers share of one upstream server: its name, its limit on exchanges, and what each worker counts of it.
import Metrics

/// The part of an upstream that all workers share. From any thread.
final class UpstreamState: Sendable {
  /// Names the upstream in the settings. A reload that changes the address keeps the name, and with it this state.
  let name: String
  /// Bounds the exchanges that are at this server at once.
  let limiter: ConcurrencyLimiter
  /// What each worker counts, by the worker's number.
  let counters: [UpstreamCounters]

  init(_ settings: UpstreamSettings, workers: Int) {
    name = settings.name
    limiter = ConcurrencyLimiter(limit: settings.inFlight, queue: settings.queue)
    counters = (0..<workers).map { _ in UpstreamCounters() }
  }
}

/// What one worker counts of one upstream server. Written by that worker only; read by any thread.
final class UpstreamCounters: Sendable {
  /// Connections that were opened.
  let opened = Counter()
  /// Those of them that are closed.
  let closed = Counter()
  /// Attempts to connect that failed; each address counts by itself.
  let failed = Counter()
  /// Exchanges that were given an idle connection.
  let reuses = Counter()
  /// Idle connections that turned out to be closed when they were wanted.
  let stale = Counter()
  /// Requests sent once more, on a new connection.
  let retries = Counter()
  /// Idle connections in the pool.
  let idle = Gauge()

  /// Reads from the server's sockets.
  let reads = Counter()
  /// Bytes in them.
  let readBytes = Counter()
  /// Bytes written towards the server, those that still wait for a socket included.
  let writtenBytes = Counter()
  /// How often reading from the server was paused because a client was slow.
  let pauses = Counter()
}
