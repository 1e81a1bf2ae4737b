// The settings in force, with what follows from them: one value that exchanges hold on to from their begin to their end.
// It must not change: what is read anew becomes another one.

/// The settings that what begins now is held to. ProxyState by all workers, and by every exchange that began under it.
final class ConfigurationSnapshot: Sendable {
  let settings: ProxySettings
  /// `host:port` of the server, as records name it.
  let upstreamAuthority: String
  /// Who may have how many descriptors.
  let budget: DescriptorBudget

  init(_ settings: ProxySettings) {
    self.settings = settings
    upstreamAuthority = settings.upstreamAuthority
    budget = DescriptorBudget(
      descriptors: settings.descriptors, workers: max(1, settings.workers), idle: settings.idleUpstreamConnections)
  }
}
