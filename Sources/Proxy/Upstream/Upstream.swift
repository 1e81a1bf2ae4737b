// One upstream server as one worker uses it: its address, how that is resolved and connected to, and its idle
// connections.
import Clocks
import Transport

/// One worker's upstream server. Confined to the worker's thread.
///
/// Its address never changes: a reload that names another address makes another `Upstream` with the same `state`, and
/// this one is retired. An exchange that holds on to its upstream therefore records the server to which it was sent,
/// and no connection to the old server can carry a request that is meant for the new one.
final class Upstream {
  /// What all workers share of it.
  let state: UpstreamState
  /// What this worker counts of it.
  let counters: UpstreamCounters
  /// The settings that new connections are made under.
  private(set) var settings: UpstreamSettings
  /// The configuration in force: connections made under another one are not kept.
  private(set) var configuration: ConfigurationSnapshot
  let resolver: Resolver
  let pool: UpstreamPool
  /// What connection attempts may cost in descriptors.
  let attemptBudget: AttemptBudget

  /// RFC 6555 §4.2 speaks of ten minutes; after that the other address family is tried first again.
  private static let preferenceDuration = Duration.seconds(600)
  /// The address family that connected last, and when it did for the first time: it is tried first for a while.
  private var lastFamily: (family: SocketAddress.Family, at: Instant)?
  private var keepsIdleConnections = true

  /// `host:port`, as records name it and as it is sent where a request has no Host field.
  let authority: String

  /// - Parameters:
  ///   - worker: the worker's number, from 0.
  ///   - predecessor: the upstream of the same name that this one replaces.
  init(
    _ settings: UpstreamSettings, _ configuration: ConfigurationSnapshot, _ state: UpstreamState, worker: Int,
    loop: EventLoop, replacing predecessor: Upstream? = nil
  ) {
    self.state = state
    self.settings = settings
    self.configuration = configuration
    authority = settings.address.description
    counters = state.counters[worker]
    pool = UpstreamPool(counters: counters)
    resolver = Resolver(
      loop: loop, host: settings.address.host, port: settings.address.port, lookup: settings.lookup)
    attemptBudget = predecessor?.attemptBudget ?? AttemptBudget(settings.spareAttempts)
    // Connections follow the server's name to the addresses that it has now.
    resolver.onChange = { [unowned self] in
      lastFamily = nil
      pool.closeOutdated()
    }
  }

  // MARK: Connections

  /// A connection for one exchange: an idle one that is still open, or a new one that is yet to connect.
  /// - Parameter fresh: whether it has to be a new one.
  func lease(fresh: Bool, for worker: Worker) -> UpstreamConnection {
    if !fresh, pool.count > 0, let connection = pool.lease(at: .now(), within: settings.idleTimeout) {
      return connection
    }
    return UpstreamConnection(to: self, of: worker)
  }

  /// Keeps a connection for the next exchange, or closes it where it must not be used again.
  /// - Parameter at: when its last exchange ended; that was a whole one.
  func release(_ connection: UpstreamConnection, at: Instant) {
    guard keepsIdleConnections, connection.configuration === configuration, connection.isCurrent,
      pool.count < settings.idleConnections, connection.announcedIdle.map({ $0 > .zero }) ?? true
    else { return connection.close() }
    connection.markIdle(at: at)
    pool.release(connection)
  }

  /// The address family that is tried first; nil where none is preferred.
  var preferredFamily: SocketAddress.Family? {
    guard let lastFamily, Instant.now().duration(since: lastFamily.at) <= Self.preferenceDuration else {
      return nil
    }
    return lastFamily.family
  }

  /// Prefers the family of an address to which a connection was made.
  func rememberFamily(of address: SocketAddress?) {
    guard !resolver.isLiteral, let family = address?.family, family != preferredFamily else { return }
    lastFamily = (family, .now())
  }

  /// Closes what has been idle for too long, and keeps the addresses fresh. Call it four times a second.
  func checkDeadlines(_ now: Instant) {
    // Connections that stay in use would never ask for the addresses again.
    if pool.count > 0 { resolver.refresh(settings.resolving) }
    pool.closeExpired(now, after: settings.idleTimeout)
  }

  // MARK: Its life

  /// Takes over settings that name the same address. Idle connections are closed: they were made under the former ones.
  func apply(_ settings: UpstreamSettings, _ configuration: ConfigurationSnapshot) {
    self.settings = settings
    self.configuration = configuration
    pool.closeAll()
  }

  /// Keeps no connection from now on: each is closed when its exchange ends.
  func stopKeepingConnections() {
    keepsIdleConnections = false
    pool.closeAll()
  }

  /// Whether an exchange waits for its addresses.
  var isAwaited: Bool { resolver.isAwaited }

  /// Lets the loop go. Nobody may be waiting for a connection.
  func close() {
    stopKeepingConnections()
    resolver.close()
  }
}
