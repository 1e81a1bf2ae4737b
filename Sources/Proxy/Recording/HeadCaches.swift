// The heads that one worker has cached under one configuration.
import HTTP
import HTTP1

/// The heads that one worker has cached under one configuration, with what it derived from each.
final class HeadCaches {
  /// Who sent a request may differ among heads that are alike: the keys of all clients of one program are one kind of head.
  let requests = HeadCache<RequestHead, CachedRequest>(fixedFields: ["content-encoding"])
  let responses = HeadCache<ResponseHead, ResponseMetadata>(fixedFields: ["content-type", "content-encoding"])

  /// Calls of `evictIdle` after which an unused head is removed: it may carry a credential.
  private static let sweeps = 8

  /// Removes heads that are not used. Call it four times a second.
  func evictIdle() {
    requests.evictIdle(after: Self.sweeps)
    responses.evictIdle(after: Self.sweeps)
  }

  /// Removes everything, for good: another configuration is in force.
  func invalidate() {
    requests.invalidate()
    responses.invalidate()
  }
}
