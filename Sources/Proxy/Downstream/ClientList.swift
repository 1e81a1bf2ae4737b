// The clients of one worker, and when each is looked at for what has taken too long.
import Clocks

/// A worker's clients: those that are idle, the longest idle first; those whose last bytes are dropped, the longest silent first;
/// and all others. Confined to its thread.
///
/// Idle clients wait for one and the same duration, so only the first ones are looked at, however many there are; and so do
/// those that linger. The others are looked at four times a second, a few at a time, so that no event waits for thousands of
/// them.
final class ClientList {
  /// What a client does, and so in which of the three queues it is.
  enum Activity {
    case busy, idle, lingering
  }

  /// How often each client that is not idle is looked at.
  private static let roundMilliseconds: UInt64 = 250
  /// Clients looked at in one piece.
  static let shareSize = 256

  private let idle = LinkedQueue<DownstreamConnection>()
  private let busy = LinkedQueue<DownstreamConnection>()
  private let lingering = LinkedQueue<DownstreamConnection>()
  /// Of those that are not idle, how many have yet to be looked at in this round.
  private var left = 0

  /// All clients.
  var count: Int { idle.count + busy.count + lingering.count }
  /// Those that were found to be idle.
  var idleCount: Int { idle.count }
  var all: [DownstreamConnection] { busy.all + idle.all + lingering.all }
  /// Clients that have their last response, and whose last bytes are dropped.
  var lingeringCount: Int { lingering.count }

  /// Adds a client.
  func add(_ client: DownstreamConnection) { busy.append(client) }

  /// Removes a client that has closed.
  func remove(_ client: DownstreamConnection) { client.links.queue?.remove(client) }

  /// A client that is not busy has sent something: it is not idle any more, or not silent.
  func heard(_ client: DownstreamConnection) {
    switch client.activity {
    case .busy: return
    case .idle: resume(client)
    case .lingering: lingering.append(client)
    }
  }

  private func resume(_ client: DownstreamConnection) {
    client.activity = .busy
    busy.append(client)
  }

  /// What a client still sends is dropped from now on.
  func linger(_ client: DownstreamConnection) {
    client.activity = .lingering
    lingering.append(client)
  }

  /// Looks at the next few clients that are busy.
  /// - Parameter adjustsTimeouts: whether their kernel's timeouts are adjusted (`ByteStream.adjustUserTimeout`).
  /// - Returns: whether that was the last of a round, and after how many milliseconds to go on.
  func sweepShare(_ now: Instant, adjustsTimeouts: Bool) -> (endsRound: Bool, pauseMilliseconds: UInt64) {
    if left == 0 { left = busy.count }
    for _ in 0..<min(left, Self.shareSize) {
      left -= 1
      guard let client = busy.first else { break }
      busy.append(client)
      guard client.idleSince == nil else {
        keepIdle(client)
        continue
      }
      if adjustsTimeouts { client.adjustUserTimeout(isIdle: false) }
      client.checkDeadlines(now)
    }
    left = min(left, busy.count)
    let shares = UInt64((busy.count + Self.shareSize - 1) / Self.shareSize)
    return (left == 0, max(1, Self.roundMilliseconds / max(1, shares)))
  }

  private func keepIdle(_ client: DownstreamConnection) {
    client.adjustUserTimeout(isIdle: true)
    client.activity = .idle
    idle.append(client)
  }

  /// Closes the clients that have been idle for longer than `limit`.
  func closeIdle(longerThan limit: Duration, _ now: Instant) {
    while let client = idle.first, let since = client.idleSince, now.duration(since: since) > limit {
      resume(client)
      client.checkDeadlines(now)
    }
  }

  /// Closes the clients whose last bytes are dropped and that have been silent for longer than `limit`; those that are not
  /// silent close with a read, once they have lingered for as long as they may.
  func closeLingering(silentFor limit: Duration, _ now: Instant) {
    while let client = lingering.first, case .lingering(let silentSince, let until) = client.connection.wait,
      now >= until || now.duration(since: silentSince) > limit
    {
      client.close()
    }
  }

  /// Closes the client that has been idle for longest, for `newcomer`, which is idle itself as long as it has sent nothing; where
  /// none is idle, the one whose last bytes are dropped and that has been silent for longest.
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
    // It has its response, and has had time to read it: others wait for theirs.
    guard let client = lingering.first else { return false }
    client.close()
    return true
  }
}
