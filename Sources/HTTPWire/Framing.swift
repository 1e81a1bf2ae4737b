// How a body is delimited, read strictly from the fields (RFC 9112 §6).
// It must not follow llhttp where llhttp is more lenient than the RFC.

/// How the end of a body is known.
public enum BodyFraming: Hashable, Sendable {
  /// There is no body.
  case none
  /// Content-Length says how many bytes.
  case length(UInt64)
  /// Transfer-Encoding is exactly `chunked`.
  case chunked
  /// The body ends with the connection (responses only).
  case untilClose

  /// Whether it is known that no byte of a body follows: some clients say so with each GET, by a Content-Length of 0.
  public var isEmpty: Bool { self == .none || self == .length(0) }

  /// How a body is delimited whose head differs from one with this framing in the values that `template` may differ in.
  func like(_ fields: Fields, _ template: HeadTemplate) -> BodyFraming? {
    guard let place = template.length else { return self }
    guard let length = fields.plainLength(fields.list[place].value), case .length = self else { return nil }
    return .length(length)
  }
}

extension Fields {
  /// What the framing fields of a head say, or what is wrong with them.
  /// - Throws: `HTTPParseError`: both fields at once, either of them twice, a value that is not plain.
  func declaredFraming(isVersion11: Bool) throws(HTTPParseError) -> BodyFraming? {
    var length: Range<Int>?
    var encoding: Range<Int>?
    for field in list {
      if field.kind == .contentLength {
        guard length == nil else { throw HTTPParseError(400, "Content-Length given twice") }
        length = field.value
      } else if field.kind == .transferEncoding {
        guard encoding == nil else { throw HTTPParseError(400, "Transfer-Encoding given twice") }
        encoding = field.value
      }
    }
    if let encoding {
      guard length == nil else { throw HTTPParseError(400, "Content-Length beside Transfer-Encoding") }
      guard isVersion11 else { throw HTTPParseError(400, "Transfer-Encoding in an HTTP/1.0 message") }
      guard matches(encoding, "chunked") else {
        throw HTTPParseError(encoding.isEmpty ? 400 : 501, "Transfer-Encoding other than chunked")
      }
      return .chunked
    }
    return try length.map { value throws(HTTPParseError) in .length(try contentLength(value)) }
  }

  func contentLength(_ value: Range<Int>) throws(HTTPParseError) -> UInt64 {
    guard !value.isEmpty, bytes[value].allSatisfy(ASCII.isDigit) else {
      throw HTTPParseError(400, "Content-Length is not a plain decimal number")
    }
    guard value.count <= 19 else { throw HTTPParseError(400, "Content-Length has more than 19 digits") }
    var length: UInt64 = 0
    for digit in bytes[value] {
      let (product, overflow) = length.multipliedReportingOverflow(by: 10)
      guard !overflow else { throw HTTPParseError(400, "Content-Length is too large") }
      length = product &+ UInt64(digit - ASCII.zero)
    }
    guard length <= UInt64(Int64.max) else { throw HTTPParseError(400, "Content-Length is too large") }
    return length
  }
}
