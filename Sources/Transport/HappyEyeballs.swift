// Which of several addresses is tried when (Happy Eyeballs, RFC 8305): events in, actions out, without a socket or a clock.
import Clocks
import Glibc

/// The race for one connection to one of several addresses.
///
/// Addresses are tried in turn (`interleaved`, §4). Each attempt has a head start before the next begins beside it, and one
/// that fails is followed at once (§5). The first to connect wins, and the others are closed. An attempt that has been open
/// for too long is given up as long as another is left.
///
/// The owner performs the actions that `handle` returns, in their order, and reports what comes of them.
public struct HappyEyeballs {
  /// How the attempts follow each other.
  public struct Options: Hashable, Sendable {
    /// The head start of each attempt before the next begins beside it: §8 recommends 250 ms, and at least 10.
    public var attemptDelay: Duration
    /// After how long an attempt is given up while there is another; nil for never. The last one stays until it is
    /// cancelled. It is looked at once every `attemptDelay`.
    public var attemptTimeout: Duration?

    /// Makes options.
    public init(attemptDelay: Duration, attemptTimeout: Duration?) {
      self.attemptDelay = attemptDelay
      self.attemptTimeout = attemptTimeout
    }
  }

  /// One attempt of this race.
  public typealias AttemptID = Int

  /// What has happened.
  public enum Event: Sendable {
    /// The race begins. Once, before all others.
    case started
    /// `attemptDelay` has passed since the timer was last started, and as often as it passes again.
    case delayElapsed
    /// An attempt has connected.
    case connected(AttemptID)
    /// An attempt has failed, perhaps before `open` was done.
    case failed(AttemptID, TransportError)
    /// Nobody wants the connection any more.
    case cancelled
  }

  /// What is to be done.
  public enum Action: Hashable, Sendable {
    /// Connect to this address; `connected` or `failed` follows.
    case open(AttemptID, SocketAddress)
    /// Close this attempt, which has not won.
    case close(AttemptID)
    /// Start the timer of `attemptDelay`, or start it over.
    case startTimer
    /// Stop the timer.
    case stopTimer
    /// The race is over: this attempt is the connection.
    case succeed(AttemptID)
    /// The race is over: all attempts have failed, the last one so.
    case fail(TransportError)
  }

  private struct Attempt: Hashable {
    let id: AttemptID
    let beganAt: Instant
  }

  private enum State {
    case idle
    case racing
    case ended
  }

  private let options: Options
  private var state = State.idle
  private var addresses: ArraySlice<SocketAddress>
  private var attempts: [Attempt] = []
  private var lastError = TransportError(.resolve, code: 0)
  private var lastID = 0

  /// Attempts that failed by themselves, or were given up for another.
  public private(set) var failures = 0
  /// Attempts that are open beside the first: what the race costs of its budget.
  public var extraAttempts: Int { max(0, attempts.count - 1) }

  /// A race for one of `addresses`.
  /// - Parameter preferred: the family that is tried first where there is an address of it; nil for the first address's.
  public init(_ addresses: [SocketAddress], preferring preferred: SocketAddress.Family? = nil, options: Options) {
    self.addresses = addresses.interleaved(preferring: preferred)[...]
    self.options = options
  }

  /// Takes an event in.
  /// - Parameters:
  ///   - now: when it happened.
  ///   - extraLimit: how many attempts may be open beside the first.
  /// - Returns: what is to be done, in this order.
  public mutating func handle(_ event: Event, at now: Instant, extraLimit: Int) -> [Action] {
    switch (event, state) {
    case (.started, .idle):
      state = .racing
      return openNext(at: now, extraLimit)
    case (.delayElapsed, .racing):
      return giveUpOverdue(at: now) + openNext(at: now, extraLimit)
    case (.connected(let id), .racing):
      guard remove(id) else { return [] }
      return end(with: .succeed(id))
    case (.failed(let id, let error), .racing):
      guard remove(id) else { return [] }
      failures += 1
      lastError = error
      return openNext(at: now, extraLimit)
    case (.cancelled, .idle), (.cancelled, .racing):
      return end(with: nil)
    case (_, .ended):
      // Of an attempt that was closed, or a second cancel.
      return []
    case (.started, .racing), (.delayElapsed, .idle), (.connected, .idle), (.failed, .idle):
      assertionFailure("\(event) while \(state)")
      return []
    }
  }

  private mutating func remove(_ id: AttemptID) -> Bool {
    guard let index = attempts.firstIndex(where: { $0.id == id }) else { return false }
    attempts.remove(at: index)
    return true
  }

  private mutating func openNext(at now: Instant, _ extraLimit: Int) -> [Action] {
    guard attempts.isEmpty || attempts.count <= extraLimit else { return [] }
    guard let address = addresses.popFirst() else { return attempts.isEmpty ? end(with: .fail(lastError)) : [] }
    lastID += 1
    attempts.append(Attempt(id: lastID, beganAt: now))
    // With no other left there is nothing to wait for.
    let isLast = attempts.count == 1 && addresses.isEmpty
    return [isLast ? .stopTimer : .startTimer, .open(lastID, address)]
  }

  private mutating func giveUpOverdue(at now: Instant) -> [Action] {
    guard let limit = options.attemptTimeout else { return [] }
    var actions: [Action] = []
    while let first = attempts.first, attempts.count > 1 || !addresses.isEmpty,
      .nanoseconds(now.nanoseconds(since: first.beganAt)) > limit
    {
      failures += 1
      lastError = .attemptTimedOut
      attempts.removeFirst()
      actions.append(.close(first.id))
    }
    return actions
  }

  private mutating func end(with outcome: Action?) -> [Action] {
    state = .ended
    let losers = attempts.map { Action.close($0.id) }
    attempts = []
    addresses = []
    return [.stopTimer] + losers + (outcome.map { [$0] } ?? [])
  }
}

extension TransportError {
  /// What becomes of an attempt that was given up for another.
  static let attemptTimedOut = TransportError(.connect, code: -ETIMEDOUT)
}

extension [SocketAddress] {
  /// The same addresses, the families taking turns and each keeping its order (RFC 8305 §4), so that one family that
  /// leads nowhere costs one head start. The first address's family begins, or the `preferred` one where it is among them.
  public func interleaved(preferring preferred: SocketAddress.Family? = nil) -> [SocketAddress] {
    guard let first else { return self }
    let leading = preferred ?? first.family
    let lead = filter { $0.family == leading }
    let others = filter { $0.family != leading }
    var mixed: [SocketAddress] = []
    for index in 0..<Swift.max(lead.count, others.count) {
      if index < lead.count { mixed.append(lead[index]) }
      if index < others.count { mixed.append(others[index]) }
    }
    return mixed
  }
}
