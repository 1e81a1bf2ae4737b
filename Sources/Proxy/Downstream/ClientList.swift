// The clients of one worker, and when each is looked at for what has taken too long.
import Clocks

/// A worker's clients: those that are idle, the longest idle first, and all others. Confined to its thread.
///
/// Idle clients wait for one and the same duration, so only the first ones are looked at, however many there are. The others
/// are looked at four times a second, a few at a time, so that no event waits for thousands of them.
final class ClientList {
  /// How often each client that is not idle is looked at.
  private static let roundMilliseconds: UInt64 = 250
  /// Clients looked at in one piece.
  static let shareSize = 256

  private let idle = LinkedQueue<DownstreamConnection>()
  private let busy = LinkedQueue<DownstreamConnection>()
  /// Of those that are not idle, how many have yet to be looked at in this round.
  private var left = 0

  /// All clients.
  var count: Int { idle.count + busy.count }
  /// Those that were found to be idle.
  var idleCount: Int { idle.count }
  var all: [DownstreamConnection] { busy.all + idle.all }

  /// Adds a client.
  func add(_ client: DownstreamConnection) { busy.append(client) }

  /// Removes a client that has closed.
  func remove(_ client: DownstreamConnection) { client.links.queue?.remove(client) }

  /// A client has sent something: it is not idle any more.
  func resume(_ client: DownstreamConnection) {
    client.isKeptIdle = false
    busy.append(client)
  }

  /// Looks at the next few clients that are not idle.
  /// - Returns: whether that was the last of a round, and after how many milliseconds to go on.
  func sweepShare(_ now: Instant) -> (endsRound: Bool, pauseMilliseconds: UInt64) {
    if left == 0 { left = busy.count }
    for _ in 0..<min(left, Self.shareSize) {
      left -= 1
      guard let client = busy.first else { break }
      busy.append(client)
      if client.idleSince == nil { client.checkDeadlines(now) } else { keepIdle(client) }
    }
    left = min(left, busy.count)
    let shares = UInt64((busy.count + Self.shareSize - 1) / Self.shareSize)
    return (left == 0, max(1, Self.roundMilliseconds / max(1, shares)))
  }

  private func keepIdle(_ client: DownstreamConnection) {
    client.isKeptIdle = true
    idle.append(client)
  }

  /// Closes the clients that have been idle for longer than `limit`.
  func closeIdle(longerThan limit: Duration, _ now: Instant) {
    while let client = idle.first, let since = client.idleSince, now.duration(since: since) > limit {
      resume(client)
      client.checkDeadlines(now)
    }
  }

  /// Closes the client that has been idle for longest, for `newcomer`, which is idle itself as long as it has sent nothing.
  /// - Returns: whether there was one.
  func evictIdle(for newcomer: DownstreamConnection?) -> Bool {
    // One whose next request waits in its socket is none of them.
    for _ in 0..<8 {
      guard let client = idle.first else { break }
      resume(client)
      if client.closeIfIdle() { return true }
    }
    // Those that have become idle since they were looked at last.
    for _ in 0..<min(busy.count, Self.shareSize) {
      guard let client = busy.first else { break }
      busy.append(client)
      if client !== newcomer, client.closeIfIdle() { return true }
    }
    return false
  }
}
