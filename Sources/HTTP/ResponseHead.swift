// A response's head, judged strictly and written anew for the client.
// It must not know where it came from.

/// What a response head and those that are like it were judged to say.
final class ResponseTemplate: HeadTemplate {
  let status: Int
  let reason: Range<Int>
  let isVersion11: Bool
  let connection: ConnectionOptions
  let answersHead: Bool

  init(
    _ status: Int, reason: Range<Int>, isVersion11: Bool, _ fields: Fields, answersHead: Bool
  ) throws(HTTPParseError) {
    self.status = status
    self.reason = reason
    self.isVersion11 = isVersion11
    connection = try ConnectionOptions(fields)
    self.answersHead = answersHead
  }
}

/// A response head that is that of one unambiguous message. A class, as RequestHead is, and confined to one thread.
public final class ResponseHead {
  /// The head as it came.
  public let fields: Fields
  /// How the body is delimited.
  public let framing: BodyFraming
  private let judged: ResponseTemplate

  /// What it shares with heads that are like it.
  package var template: HeadTemplate { judged }
  /// What whoever read the first head like this one made of it. Nothing that may differ may be in it.
  public var metadata: AnyObject? {
    get { judged.metadata }
    set { judged.metadata = newValue }
  }
  /// 100 to 599.
  public var status: Int { judged.status }
  package var reason: Range<Int> { judged.reason }
  package var isVersion11: Bool { judged.isVersion11 }
  package var connection: ConnectionOptions { judged.connection }
  package var answersHead: Bool { judged.answersHead }

  /// The value of the first field named `lowercase`, as text.
  public func first(_ lowercase: StaticString) -> String? { fields.first(lowercase) }
  /// Whether this is a 1xx: another head follows.
  public var isInformational: Bool { status < 200 }
  /// Whether the upstream connection may carry another exchange after this one.
  public var keepsAlive: Bool {
    guard framing != .untilClose, !claimsBodyWithoutOne else { return false }
    return isVersion11 ? !connection.closes : connection.keepsAlive && !connection.closes
  }

  /// Whether a body is announced where none can be, and may come all the same: what follows could be taken for a response.
  private var claimsBodyWithoutOne: Bool {
    guard status == 204 || status == 304 else { return false }
    return fields.list.contains { field in
      field.kind == .transferEncoding
        || status == 204 && field.kind == .contentLength && !fields.matches(field.value, "0")
    }
  }

  /// A head whose fields say one thing only.
  /// - Parameters:
  ///   - reason: where the reason phrase stands in the bytes of `fields`.
  ///   - answersHead: whether it answers a HEAD, and so has no body.
  package init(
    status: Int, reason: Range<Int>, isVersion11: Bool, _ fields: Fields, framing: BodyFraming, answersHead: Bool
  ) throws(HTTPParseError) {
    judged = try ResponseTemplate(
      status, reason: reason, isVersion11: isVersion11, fields, answersHead: answersHead)
    guard fields.valuesAreClean() else { throw HTTPParseError(502, "control byte in a field value") }
    self.framing = framing
    self.fields = fields
  }

  /// A head that differs from `other` in values that mean nothing here, and in its length; nil where that is none.
  package init?(like other: ResponseHead, _ fields: Fields) {
    guard let framing = other.framing.like(fields, other.judged) else { return nil }
    self.framing = framing
    self.fields = fields
    judged = other.judged
  }

  /// How the body reaches a client: as it came, but chunked for an HTTP/1.1 client where only the close would end it,
  /// and ended by the close for an HTTP/1.0 client that knows no chunks.
  public func framing(forVersion11 client11: Bool) -> BodyFraming {
    switch framing {
    case .none, .length: framing
    case .chunked, .untilClose: client11 ? .chunked : .untilClose
    }
  }
}
