// Names to addresses: looked up off the loop's thread, cached, and used for longer while no answer comes.
// It must not connect anywhere.
import Clocks

/// Resolves one host and port again and again, for a pool that keeps connecting to it.
///
/// Confined to its loop's thread. The system is asked on a thread of its own, for which nobody has to wait: glibc's
/// getaddrinfo can block for any time, and cannot be cancelled. A literal address needs no lookup.
public final class Resolver {
  /// How long answers are good.
  public struct Policy: Hashable, Sendable {
    /// For how long an answer is used without another lookup.
    public var fresh: Duration
    /// For how long after that it is still used while lookups fail or do not end.
    public var stale: Duration

    /// Makes a policy.
    public init(fresh: Duration, stale: Duration) {
      self.fresh = fresh
      self.stale = stale
    }
  }

  /// Looks up a host's addresses. Called on a thread of its own; it may block.
  public typealias Lookup = @Sendable (_ host: String, _ port: UInt16) -> Result<[SocketAddress], TransportError>
  /// A call of `resolve` that waits for its answer.
  public typealias QueryID = UInt64
  /// Is called with the addresses, on the loop's thread.
  public typealias Completion = (Result<[SocketAddress], TransportError>) -> Void

  /// The resolver's own limits; tests shorten them.
  struct Timing {
    /// How long a query that the cache could answer waits for the system.
    var grace = Duration.milliseconds(250)
    /// How long after a failed lookup there is none: a name that does not exist costs one lookup a second.
    var failure = Duration.seconds(1)
    /// After how long a lookup counts as hung: another may begin beside it.
    var hung = Duration.seconds(10)
    /// Lookups that may be hung at once: each holds a thread.
    var lookups = 4
  }

  private let loop: EventLoop
  private let host: String
  private let port: UInt16
  private let lookup: Lookup
  /// Whether the host is an address itself, which never changes.
  public let isLiteral: Bool
  var timing = Timing()
  /// The clock; tests have one of their own.
  var now: () -> Instant = { .now() }
  private var cached: (addresses: [SocketAddress], at: Instant)?
  private var failure: (error: TransportError, at: Instant)?
  /// When the latest lookup began that has not ended; nil where the latest has.
  private var lookupBeganAt: Instant?
  /// Whether that lookup has not ended within its grace.
  private var isOverdue = false
  /// Lookups that have not ended, hung ones among them.
  private(set) var runningLookups = 0
  /// By query: thousands may be cancelled together.
  private var waiting: [QueryID: Completion] = [:]
  /// The latest caller's.
  private var policy = Policy(fresh: .zero, stale: .zero)
  private var lastQuery: QueryID = 0
  private var answers: Mailbox<Result<[SocketAddress], TransportError>>?
  private var grace: Timer?
  private var isClosed = false

  /// Called when an answer names other addresses than the one before; `isCurrent` tells which are left.
  public var onChange: (() -> Void)?

  /// Makes a resolver of `host` (a name, or a literal without brackets). Close it, unless `isLiteral`.
  public init(loop: EventLoop, host: String, port: UInt16, lookup: @escaping Lookup = Resolver.systemLookup) {
    self.loop = loop
    self.host = host
    self.port = port
    self.lookup = lookup
    let literal = SocketAddress(literal: host, port: port)
    isLiteral = literal != nil
    if let literal { cached = ([literal], .now()) }
  }

  /// Calls `completion` with the addresses: before this returns where they are fresh; otherwise once the system has
  /// answered, or, where it does not, with the cached ones if they are not yet stale.
  /// - Returns: the query to `cancel`; nil where `completion` has been called.
  @discardableResult
  public func resolve(_ policy: Policy, _ completion: @escaping Completion) -> QueryID? {
    if isLiteral, let cached {
      completion(.success(cached.addresses))
      return nil
    }
    self.policy = policy
    let now = now()
    if let answer = immediateAnswer(now) {
      completion(answer)
      return nil
    }
    lastQuery += 1
    waiting[lastQuery] = completion
    startLookup(now)
    return lastQuery
  }

  /// Whether a query waits for its answer.
  public var isAwaited: Bool { !waiting.isEmpty }

  /// Cancels a query: its completion is not called any more.
  public func cancel(_ query: QueryID) { waiting[query] = nil }

  /// Looks the host up again where the answer is not fresh any more, for those who hold connections to its addresses.
  public func refresh(_ policy: Policy) {
    guard !isLiteral, let cached else { return }
    self.policy = policy
    let now = now()
    guard Self.age(of: cached.at, now) >= policy.fresh, recentFailure(now) == nil else { return }
    startLookup(now)
  }

  /// Whether `address` is one of those that the latest answer names.
  public func isCurrent(_ address: SocketAddress) -> Bool {
    isLiteral || cached?.addresses.contains(address) ?? true
  }

  /// Drops all queries and releases the loop. The answer of a lookup that still runs is dropped as well.
  public func close() {
    isClosed = true
    waiting = [:]
    onChange = nil
    grace?.close()
    grace = nil
    answers?.close()
    answers = nil
  }

  // MARK: The cache

  private static func age(of instant: Instant, _ now: Instant) -> Duration {
    .nanoseconds(now.nanoseconds(since: instant))
  }

  /// The answer for which no lookup has to be waited.
  private func immediateAnswer(_ now: Instant) -> Result<[SocketAddress], TransportError>? {
    if let cached, Self.age(of: cached.at, now) < policy.fresh { return .success(cached.addresses) }
    if let failure = recentFailure(now) { return usableAddresses(now).map { .success($0) } ?? .failure(failure) }
    // One query has waited for the overdue lookup already; the next ones do not.
    guard isOverdue, let addresses = usableAddresses(now) else { return nil }
    startLookup(now)
    return .success(addresses)
  }

  /// The cached addresses, unless they are too old to be used at all.
  private func usableAddresses(_ now: Instant) -> [SocketAddress]? {
    guard let cached else { return nil }
    let age = Self.age(of: cached.at, now)
    return age < policy.fresh || age - policy.fresh < policy.stale ? cached.addresses : nil
  }

  /// The last failure, while it is too early for another lookup.
  private func recentFailure(_ now: Instant) -> TransportError? {
    guard let failure, Self.age(of: failure.at, now) < timing.failure else { return nil }
    return failure.error
  }

  // MARK: Lookups

  /// Starts a lookup, unless one runs; beside one that is hung it starts another.
  private func startLookup(_ now: Instant) {
    if let lookupBeganAt, Self.age(of: lookupBeganAt, now) < timing.hung { return }
    guard !isClosed, runningLookups < timing.lookups else { return }
    do throws(TransportError) {
      let answers = try openMailbox()
      let thread = try WorkerThread(name: "resolver") { [lookup, host, port] in answers.post(lookup(host, port)) }
      thread.detach()
    } catch {
      return finish(.failure(error))
    }
    runningLookups += 1
    lookupBeganAt = now
    startGrace()
  }

  private func openMailbox() throws(TransportError) -> Mailbox<Result<[SocketAddress], TransportError>> {
    if let answers { return answers }
    let mailbox = try Mailbox<Result<[SocketAddress], TransportError>>(loop: loop) { [weak self] in
      self?.lookupEnded($0)
    }
    answers = mailbox
    return mailbox
  }

  private func startGrace() {
    guard cached != nil, !isOverdue else { return }
    let grace = grace ?? Timer(loop: loop) { [unowned self] in graceEnded() }
    self.grace = grace
    grace.start(milliseconds: UInt64(timing.grace / .milliseconds(1)))
  }

  private func graceEnded() {
    isOverdue = true
    if let addresses = usableAddresses(now()) { answerAll(.success(addresses)) }
  }

  private func lookupEnded(_ result: Result<[SocketAddress], TransportError>) {
    runningLookups -= 1
    lookupBeganAt = nil
    isOverdue = false
    grace?.stop()
    finish(result)
  }

  private func finish(_ result: Result<[SocketAddress], TransportError>) {
    let now = now()
    switch result {
    case .success(let addresses):
      let hasChanged = cached.map { Set($0.addresses) != Set(addresses) } ?? false
      cached = (addresses, now)
      failure = nil
      if hasChanged { onChange?() }
      answerAll(result)
    case .failure(let error):
      failure = (error, now)
      answerAll(usableAddresses(now).map { .success($0) } ?? result)
    }
  }

  private func answerAll(_ result: Result<[SocketAddress], TransportError>) {
    let queries = waiting
    waiting = [:]
    // In the order in which they asked.
    for query in queries.keys.sorted() { queries[query]?(result) }
  }
}
