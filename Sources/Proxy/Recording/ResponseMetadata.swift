// What follows from a response's head and the settings, kept in the cache for the next head that equals it.
import HTTP
import HTTP1
import TokenWire

/// What follows from a response's head: the same for all heads that share a cache entry.
final class ResponseMetadata {
  let body: AnnouncedBody
  /// How long a connection may be idle behind it by what it says; nil where it says nothing of that.
  let usableIdle: Duration?
  /// The places of the fields in which the server states its own times; nil where it does not.
  let serverTimes: ServerTimeFields?
  /// The head as clients get it, by their HTTP version and whether their connection closes.
  private let serialized = UniqueBox(InlineArray<4, SerializedHead?> { _ in nil })
  /// The fields whose values may differ among the heads that this is of, once there have been two.
  private var varying: [Int]?
  private let configuration: ConfigurationSnapshot

  init(_ head: ResponseHead, _ configuration: ConfigurationSnapshot) {
    self.configuration = configuration
    usableIdle = head.keepAliveTimeout.map { IdleLimit.usable($0) }
    serverTimes = ServerTimeFields(head)
    body = AnnouncedBody(
      status: head.status, contentType: head.first("content-type"),
      contentEncoding: head.fields.values(named: "content-encoding").map { String(decoding: $0, as: UTF8.self) })
  }

  /// The metadata of a head that was found in the cache.
  static func of(_ found: HeadCache<ResponseHead, ResponseMetadata>.Found) -> ResponseMetadata {
    if found.payload.varying == nil { found.payload.varying = found.varying }
    return found.payload
  }

  /// Writes `head` as a client gets it.
  func write(_ head: ResponseHead, client11: Bool, closing: Bool, to output: OutputBuffer) {
    guard let varying else {
      return head.write(to: output, client11: client11, closing: closing, policy: configuration.forwarding)
    }
    let place = (client11 ? 1 : 0) + (closing ? 2 : 0)
    if serialized.value[place] == nil {
      serialized.value[place] = head.serialized(
        varying: varying, client11: client11, closing: closing, policy: configuration.forwarding)
    }
    switch serialized.value[place] {
    case .some(let serialized): serialized.append(to: output, valuesOf: head.fields)
    case .none: break
    }
  }
}
