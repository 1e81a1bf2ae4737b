// What follows from a head and the settings in force, found again with the next head that is like it.
// It must not hold anything of one exchange.
import HTTP
import HTTP1
import Measurement
import TokenWire

/// What a request's head leads to, by its start line and the fields that `HeadCaches` holds fixed. Exchanges keep it to
/// their end, so there is no credential in it.
final class RequestMetadata {
  /// Who sent it; the ids of the request itself are not among it.
  let origin: RequestOrigin
  /// Where its `x-request-id` and its `traceparent` stand, which every request has of its own.
  let requestID: Int?
  let trace: Int?
  let method: String
  let path: String
  let dialect: (any Dialect.Type)?
  /// Whether its body is not encoded, and so can be looked at.
  let bodyIsPlain: Bool
  /// Whether it says for whom it comes.
  let isForwarded: Bool

  init(_ head: RequestHead, _ identities: borrowing UniqueBox<IdentityReader>) {
    origin = identities.value.read { head.first(named: $0) }
    requestID = head.fields.firstIndex(named: "x-request-id")
    trace = head.fields.firstIndex(named: "traceparent")
    method = head.method.rawValue
    path = head.path
    dialect = Dialects.matching(method: method, path: path)
    bodyIsPlain = head.first("content-encoding") == nil
    isForwarded = head.first("x-forwarded-for") != nil
  }
}

/// Requests whose heads are alike: their metadata, and how they are written. Only heads hold on to it, for the key that came with
/// one is in what is written.
final class CachedRequest {
  let metadata: RequestMetadata
  /// The head as upstream gets it.
  private let serialized = UniqueBox<SerializedHead?>(nil)
  private var isRepeated = false
  private let configuration: ConfigurationSnapshot
  /// Where it goes: a head without a Host field is written with this server's address.
  let upstream: Upstream

  init(_ head: RequestHead, _ upstream: Upstream, _ configuration: ConfigurationSnapshot, _ worker: Worker) {
    self.configuration = configuration
    self.upstream = upstream
    metadata = RequestMetadata(head, worker.identities)
  }

  /// The same requests on their way to another server.
  private init(_ other: CachedRequest, to upstream: Upstream) {
    metadata = other.metadata
    configuration = other.configuration
    self.upstream = upstream
  }

  /// That of a head that was found in the cache; it is serialized now, for it may come often.
  static func of(
    _ found: HeadCache<RequestHead, CachedRequest>.Found, _ upstream: Upstream
  ) -> CachedRequest {
    let cached = found.payload
    guard cached.upstream === upstream else { return CachedRequest(cached, to: upstream) }
    guard !cached.isRepeated else { return cached }
    cached.isRepeated = true
    cached.serialized.value = found.head.serialized(
      varying: found.varying, defaultHost: upstream.authority, policy: cached.configuration.settings.forwarding)
    return cached
  }

  /// Writes `head` as upstream gets it.
  /// - Returns: whether it did: not where it came but once, or what is written depends on the client.
  func write(_ head: RequestHead, to output: OutputBuffer) -> Bool {
    switch serialized.value {
    case .some(let serialized): serialized.append(to: output, valuesOf: head.fields)
    case .none: return false
    }
    return true
  }
}
