// The configuration in force, with what is derived from it: one value that an exchange holds on to from begin to end.

/// What begins now is held to this. Shared by all workers, and by every exchange that began under it; it never changes: a
/// reload makes another one.
final class ConfigurationSnapshot: Sendable {
  let settings: ProxySettings
  /// The upstream servers, at least one.
  let upstreams: [UpstreamSettings]
  /// How the descriptors are shared out.
  let budget: DescriptorBudget

  /// Of settings that name one upstream server.
  convenience init(_ settings: ProxySettings) { self.init(settings) { [$0] } }

  /// - Parameter servers: makes the upstream servers of the one that `settings` name.
  init(_ settings: ProxySettings, upstreams servers: (UpstreamSettings) -> [UpstreamSettings]) {
    self.settings = settings
    let count = servers(UpstreamSettings(settings, idleConnections: 0, spareAttempts: 0)).count
    budget = DescriptorBudget(
      descriptors: settings.descriptors, workers: max(1, settings.workers), upstreams: count,
      idle: settings.idleUpstreamConnections)
    upstreams = servers(
      UpstreamSettings(settings, idleConnections: budget.idle, spareAttempts: budget.attemptBudget))
  }
}
