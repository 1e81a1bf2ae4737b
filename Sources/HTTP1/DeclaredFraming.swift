// How a body is delimited, read strictly from the fields (RFC 9112 §6).
// It must not follow llhttp where llhttp is more lenient than the RFC.
import HTTP

extension Fields {
  /// What the framing fields of a head say, or what is wrong with them.
  /// - Throws: `HTTPParseError`: both fields at once, either of them twice, a value that is not plain.
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
