// What the settings say of one upstream server, in the units in which it is used.
import Transport

/// The settings of one upstream server.
struct UpstreamSettings: Sendable {
  /// Names it among the upstreams; the same after a reload that changes its address.
  var name: String
  /// Host name or literal address, without brackets.
  var host: String
  /// 1 to 65535.
  var port: UInt16
  /// `host:port`, as records name the server and as it is sent where a request has no Host field.
  var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
  /// Exchanges that may be at the server at once, over all workers; nil is any number.
  var inFlight: Int?
  /// Exchanges that may wait for one of those to end.
  var queue: Int
  /// Idle connections that one worker keeps.
  var idleConnections: Int
  /// How long a connection may be idle, in nanoseconds; nil is for ever.
  var idleTimeout: Int64?
  /// Connection attempts that one worker may have open beside the first of each race.
  var spareAttempts: Int
  /// How long the addresses of `host` are used.
  var resolving: Resolver.Policy
  /// How attempts at several addresses follow each other.
  var happyEyeballs: HappyEyeballs.Options

  /// The server that `settings` name.
  init(_ settings: ProxySettings, idleConnections: Int, spareAttempts: Int) {
    name = "default"
    host = settings.upstreamHost
    port = settings.upstreamPort
    inFlight = settings.inFlight
    queue = settings.queue
    self.idleConnections = idleConnections
    idleTimeout = settings.upstreamIdleTimeout
    self.spareAttempts = spareAttempts
    resolving = settings.resolving
    happyEyeballs = settings.happyEyeballs
  }
}
