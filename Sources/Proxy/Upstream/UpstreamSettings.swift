// What the settings say of one upstream server.
import SettingValues
import Transport

/// The settings of one upstream server.
struct UpstreamSettings: Sendable {
  /// Names it among the upstreams; the same after a reload that changes its address.
  var name = "default"
  var address: UpstreamAddress
  /// Exchanges that may be at the server at once, over all workers; nil is any number.
  var inFlight: Int?
  /// Exchanges that may wait for one of those to end.
  var queue: Int
  /// Idle connections that one worker keeps.
  var idleConnections: Int
  /// How long a connection may be idle.
  var idleTimeout: Duration
  /// Connection attempts that one worker may have open beside the first of each race.
  var spareAttempts: Int
  /// How long the addresses of the server's name are used.
  var resolving: Resolver.Policy
  /// Who is asked for them: the system, but in tests.
  var lookup = Resolver.systemLookup
  /// How attempts at several addresses follow each other.
  var happyEyeballs: HappyEyeballs.Options

  /// The server that `settings` name.
  init(_ settings: Settings, idleConnections: Int, spareAttempts: Int) {
    address = settings.upstream
    inFlight = settings.limits.inFlight
    queue = settings.limits.queue
    self.idleConnections = idleConnections
    idleTimeout = settings.timeouts.upstreamIdle
    self.spareAttempts = spareAttempts
    resolving = Resolver.Policy(fresh: settings.resolver.fresh, stale: settings.resolver.stale ?? .zero)
    happyEyeballs = HappyEyeballs.Options(
      attemptDelay: max(.milliseconds(10), settings.timeouts.connectStagger),
      attemptTimeout: settings.timeouts.connectAttempt)
  }
}
