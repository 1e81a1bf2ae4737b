// How long an idle connection to one server may still be used: what the server was seen to do counts, not only the settings.
import Clocks

/// What is known of how long a server keeps idle connections: a value without a clock.
///
/// A request that is sent just as the server closes is lost, and only a safe one can be sent again. So connections are given up
/// before the server would close them. What was learned is forgotten after a while, because a server that restarts closes
/// connections of any age; it is mostly learned anew without a request being lost, since an idle connection is watched. One
/// that was hardly idle was not closed for being so.
struct IdleLimit: Sendable {
  /// How long what was learned counts.
  static let memoryDuration = Duration.seconds(300)
  /// By how much a server's own limit is undercut, and at most by half of it: timers are late, and a request takes its time.
  private static let margin = Duration.seconds(1)

  /// A connection that was idle for less teaches nothing.
  private static let leastDuration = Duration.milliseconds(500)

  private var learned: (limit: Duration, at: Instant)?

  /// For how long a connection is used that the server keeps for `duration`.
  static func usable(_ duration: Duration) -> Duration { duration - min(margin, duration / 2) }

  /// The server closed a connection that had been idle for `duration`.
  mutating func serverClosed(after duration: Duration, at now: Instant) {
    guard duration >= Self.leastDuration else { return }
    let usable = Self.usable(duration)
    if let limit = limit(at: now), limit <= usable { return }
    learned = (usable, now)
  }

  /// How long a connection may be idle; nil where nothing was learned lately.
  func limit(at now: Instant) -> Duration? {
    guard let learned, now.duration(since: learned.at) <= Self.memoryDuration else { return nil }
    return learned.limit
  }
}
