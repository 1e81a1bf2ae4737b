// What follows from a request's head and the settings, kept in the cache for the next head that equals it.
import ContentCoding
import HTTP
import HTTP1
import Measurement
import SettingValues
import TokenWire

/// What follows from a request's head: the same for all heads that share a cache entry, since it depends on the start line and
/// the fixed fields of `HeadCaches` only. Exchanges refer to it to their end, so it contains no credential, and nobody's name.
final class RequestMetadata {
  /// The places of the fields `x-request-id` and `traceparent`, whose values differ from request to request.
  let requestID: Int?
  let trace: Int?
  let method: String
  let path: String
  let dialect: (any Dialect.Type)?
  /// What its response is read as at first; nil where it is not read.
  let format: (any Dialect.Type)?
  /// Whether the response can be no other dialect's: if not, its first event shows whose it is.
  let isSettled: Bool
  /// The model that its path names.
  let modelInPath: String?
  /// How its body is compressed.
  let bodyCoding: ContentCoding.Announced
  /// Whether it has an `X-Forwarded-For`.
  let isForwarded: Bool
  /// Whether the settings say that it leaves no record.
  let isSkipped: Bool

  init(_ head: RequestHead, _ routes: [DialectRoute] = [], skipped: [RequestPattern] = []) {
    requestID = head.fields.firstIndex(named: "x-request-id")
    trace = head.fields.firstIndex(named: "traceparent")
    method = head.method.rawValue
    path = head.path
    let configured = routes.isEmpty ? nil : Dialects.configured(routes, path: path)
    dialect = configured ?? Dialects.matching(method: method, path: path)
    format = dialect ?? (UndecidedDialect.matches(method: method, path: path) ? UndecidedDialect.self : nil)
    isSettled = configured != nil || dialect?.settles(path: path) ?? false
    modelInPath = format == nil ? nil : Dialects.model(inPath: path)
    bodyCoding = ContentCoding.Announced(
      head.fields.values(named: "content-encoding").map { String(decoding: $0, as: UTF8.self) })
    isForwarded = head.first("x-forwarded-for") != nil
    isSkipped = !skipped.isEmpty && skipped.contains { $0.matches(method: head.method.rawValue, path: head.path) }
  }
}

/// The cache entry of equal request heads: their metadata, and how they are written. Only the cache and a head refer to it,
/// since the serialized head may contain a credential.
final class CachedRequest {
  let metadata: RequestMetadata
  /// Who sent the first of them.
  private let origin: RequestOrigin
  private let places: RequestOrigins.Places
  /// Whether the fields that say who sent it differ among the heads of this entry.
  private var originVaries = false
  /// The head as upstream gets it.
  private let serialized = UniqueBox<SerializedHead?>(nil)
  private var isRepeated = false
  private let configuration: ConfigurationSnapshot
  /// Where it goes: a head without a Host field is written with this server's address.
  let upstream: Upstream

  init(_ head: RequestHead, _ upstream: Upstream, _ configuration: ConfigurationSnapshot, _ worker: Worker) {
    self.configuration = configuration
    self.upstream = upstream
    metadata = RequestMetadata(
      head, configuration.dialectRoutes, skipped: configuration.settings.records.skip)
    places = worker.origins.places(in: head)
    origin = worker.origins.origin(of: head, at: places)
  }

  /// The same requests, to another server.
  private init(_ other: CachedRequest, to upstream: Upstream) {
    metadata = other.metadata
    origin = other.origin
    places = other.places
    originVaries = other.originVaries
    configuration = other.configuration
    self.upstream = upstream
  }

  /// The entry of a head that was found in the cache; its serialized form is made now, for it may come often.
  static func of(
    _ found: HeadCache<RequestHead, CachedRequest>.Found, _ upstream: Upstream
  ) -> CachedRequest {
    let cached = found.payload
    if !cached.isRepeated { cached.originVaries = cached.places.intersects(found.varying) }
    guard cached.upstream === upstream else { return CachedRequest(cached, to: upstream) }
    guard !cached.isRepeated else { return cached }
    cached.isRepeated = true
    cached.serialized.value = found.head.serialized(
      varying: found.varying, defaultHost: upstream.authority, policy: cached.configuration.forwarding)
    return cached
  }

  /// Who sent `head`, which is one of these.
  func origin(of head: RequestHead, _ origins: RequestOrigins) -> RequestOrigin {
    originVaries ? origins.origin(of: head, at: places) : origin
  }

  /// Writes `head` as upstream gets it.
  /// - Returns: false where there is no serialized form: the head came only once, or its form depends on the client.
  func write(_ head: RequestHead, to output: OutputBuffer) -> Bool {
    switch serialized.value {
    case .some(let serialized): serialized.append(to: output, valuesOf: head.fields)
    case .none: return false
    }
    return true
  }
}
