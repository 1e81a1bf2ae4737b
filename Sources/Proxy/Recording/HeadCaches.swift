// The heads that one worker has read before, under the settings in force.
import HTTP
import HTTP1

/// The heads that one worker knows under the settings in force.
final class HeadCaches {
  let requests: HeadCache
  let responses = HeadCache(fixed: ["content-type", "content-encoding"])

  init(_ settings: ProxySettings) {
    requests = HeadCache(fixed: settings.identityHeaders.all + ["content-encoding"])
  }

  /// Sweeps after which a head that nobody sent again is forgotten: it may carry a credential.
  private static let sweeps = 8

  /// Forgets what is not used. Call it four times a second.
  func evictIdle() {
    requests.evictIdle(after: Self.sweeps)
    responses.evictIdle(after: Self.sweeps)
  }

  /// Forgets everything, for good: other settings are in force.
  func invalidate() {
    requests.invalidate()
    responses.invalidate()
  }
}
