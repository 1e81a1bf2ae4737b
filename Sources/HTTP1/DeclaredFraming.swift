// How a head says that its body is delimited (RFC 9112 §6).
// It must not accept more than the RFC does, even where llhttp accepts it.
import HTTP

extension Fields {
  /// What the framing fields say; nil where there are none.
  /// - Throws: `HTTPParseError`: both fields are present, one of them twice, or a value is not a plain one.
  func declaredFraming(isVersion11: Bool) throws(HTTPParseError) -> BodyFraming? {
    var length: Range<Int>?
    var encoding: Range<Int>?
    for field in list {
      if field.kind == .contentLength {
        guard length == nil else { throw HTTPParseError(.ambiguousFraming, "Content-Length given twice") }
        length = field.value
      } else if field.kind == .transferEncoding {
        guard encoding == nil else { throw HTTPParseError(.ambiguousFraming, "Transfer-Encoding given twice") }
        encoding = field.value
      }
    }
    if let encoding {
      guard length == nil else { throw HTTPParseError(.ambiguousFraming, "Content-Length beside Transfer-Encoding") }
      guard isVersion11 else { throw HTTPParseError(.ambiguousFraming, "Transfer-Encoding in an HTTP/1.0 message") }
      guard matches(encoding, "chunked") else {
        throw HTTPParseError(
          encoding.isEmpty ? .ambiguousFraming : .unsupportedTransferCoding, "Transfer-Encoding other than chunked")
      }
      return .chunked
    }
    return try length.map { value throws(HTTPParseError) in .length(try contentLength(value)) }
  }
}
