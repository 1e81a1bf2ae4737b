// A response's head, once validated.

/// The head of a response that has exactly one meaning. A class, like `RequestHead`, and confined to one thread.
public final class ResponseHead {
  /// The head as it was received.
  public let fields: Fields
  /// How the body is delimited.
  public let framing: BodyFraming
  /// 100 to 599.
  public let status: Int
  /// Where the reason phrase is in the bytes of `fields`.
  package let reason: Range<Int>
  /// Whether the server speaks HTTP/1.1 or later (otherwise 1.0).
  package let isVersion11: Bool
  /// The options of the Connection fields.
  package let connection: ConnectionOptions
  /// Whether it answers a HEAD, and so has no body.
  package let answersHead: Bool

  /// Validates what a parser has read.
  /// - Throws: `HTTPParseError` where the fields have no single meaning.
  package init(
    status: Int, reason: Range<Int>, isVersion11: Bool, _ fields: Fields, framing: BodyFraming, answersHead: Bool
  ) throws(HTTPParseError) {
    connection = try ConnectionOptions(fields)
    guard fields.valuesAreClean() else { throw HTTPParseError(.malformedField, "control byte in a field value") }
    self.status = status
    self.reason = reason
    self.isVersion11 = isVersion11
    self.answersHead = answersHead
    self.framing = framing
    self.fields = fields
  }

  /// A head that differs from `other` only in values that nothing here depends on, and in its length.
  public init(_ other: ResponseHead, replacing fields: Fields, framing: BodyFraming) {
    self.fields = fields
    self.framing = framing
    status = other.status
    reason = other.reason
    isVersion11 = other.isVersion11
    connection = other.connection
    answersHead = other.answersHead
  }

  /// The value of the first field named `lowercase`, as text.
  public func first(_ lowercase: StaticString) -> String? { fields.first(lowercase) }
  /// Whether this is a 1xx: another head follows.
  public var isInformational: Bool { status < 200 }
  /// Whether Connection names fields that are not to be forwarded.
  public var namesHopByHopFields: Bool { !connection.names.isEmpty }
  /// Whether the server's connection may carry another exchange after this one (RFC 9112 §9.3).
  public var keepsAlive: Bool {
    guard framing != .untilClose, !announcesForbiddenBody else { return false }
    return connection.isPersistent(isVersion11: isVersion11)
  }

  /// How long the server says that it keeps an idle connection (`Keep-Alive: timeout=5`, RFC 2068 §19.7.1.1); nil where it does
  /// not say it.
  public var keepAliveTimeout: Duration? {
    for field in fields.list where field.kind == .keepAlive {
      for element in fields.elements(field.value) {
        let text = fields.text(element)
        guard let equals = text.firstIndex(of: "="), text[..<equals].lowercased() == "timeout" else { continue }
        let digits = text[equals...].dropFirst().drop { $0 == "\"" }.prefix { $0 != "\"" }
        guard digits.utf8.count <= 9, digits.utf8.allSatisfy(ASCII.isDigit), let seconds = Int64(digits) else {
          continue
        }
        return .seconds(seconds)
      }
    }
    return nil
  }

  /// Whether a body is announced where none is allowed. The server may send it all the same, and it could be taken for the
  /// next response.
  private var announcesForbiddenBody: Bool {
    guard status == 204 || status == 304 else { return false }
    return fields.list.contains { field in
      field.kind == .transferEncoding
        || status == 204 && field.kind == .contentLength && !fields.matches(field.value, "0")
    }
  }

  /// How the body is delimited for a client.
  public func framing(forVersion11 client11: Bool) -> BodyFraming { framing.forwarded(toVersion11: client11) }
}
