// How a message's body is delimited.

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

  /// Whether no byte of a body follows. A Content-Length of 0 counts: some clients send one with each GET.
  public var isEmpty: Bool { self == .none || self == .length(0) }

  /// How a response's body with this framing goes on to a client: as it came, but chunked for an HTTP/1.1 client where only
  /// the close would end it, and ended by the close for an HTTP/1.0 client, which knows no chunks.
  public func forwarded(toVersion11 isVersion11: Bool) -> BodyFraming {
    switch self {
    case .none, .length: self
    case .chunked, .untilClose: isVersion11 ? .chunked : .untilClose
    }
  }
}

extension Fields {
  /// The number of bytes that a Content-Length value says.
  package func contentLength(_ value: Range<Int>) throws(HTTPParseError) -> UInt64 {
    guard !value.isEmpty, bytes[value].allSatisfy(ASCII.isDigit) else {
      throw HTTPParseError(.ambiguousFraming, "Content-Length is not a plain decimal number")
    }
    guard value.count <= 19 else { throw HTTPParseError(.ambiguousFraming, "Content-Length has more than 19 digits") }
    var length: UInt64 = 0
    for digit in bytes[value] {
      let (product, overflow) = length.multipliedReportingOverflow(by: 10)
      guard !overflow else { throw HTTPParseError(.ambiguousFraming, "Content-Length is too large") }
      length = product &+ UInt64(digit - ASCII.zero)
    }
    guard length <= UInt64(Int64.max) else { throw HTTPParseError(.ambiguousFraming, "Content-Length is too large") }
    return length
  }

  /// Whether a field has the name of a framing field but for an underscore: servers behind CGI or WSGI may read it as that field.
  func resemblesFraming() -> Bool {
    list.contains { field in
      switch field.name.count {
      case 14 where field.kind == .other: matches(field.name, "content_length")
      case 17 where field.kind == .other: matches(field.name, "transfer_encoding")
      default: false
      }
    }
  }

  /// Whether a Content-Length value begins with a zero that it does not need.
  package func hasLeadingZero(_ value: Range<Int>) -> Bool { value.count > 1 && bytes[value.lowerBound] == ASCII.zero }

  /// The same number in its shortest form.
  package func withoutLeadingZeros(_ value: Range<Int>) -> Range<Int> {
    let first = value.dropLast().first { bytes[$0] != ASCII.zero } ?? value.upperBound - 1
    return first..<value.upperBound
  }

  /// The length, if it is above 0 and has no leading zero.
  package func plainLength(_ value: Range<Int>) -> UInt64? {
    guard let length = try? contentLength(value), bytes[value.lowerBound] != ASCII.zero else { return nil }
    return length
  }
}
