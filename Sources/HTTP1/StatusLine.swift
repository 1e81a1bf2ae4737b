// The status line (RFC 9112 §4).
import HTTP

/// The status line, found in the head's bytes.
struct StatusLine {
  let status: Int
  let reason: Range<Int>
  let minor: Int

  init(_ fields: Fields) throws(HTTPParseError) {
    let bytes = fields.bytes
    guard let end = bytes.firstIndex(of: ASCII.carriageReturn), end + 1 < bytes.count,
      bytes[end + 1] == ASCII.lineFeed
    else { throw HTTPParseError(.malformedStartLine, "malformed status line") }
    let line = bytes[..<end]
    if fields.starts(0..<end, with: "HTTP/1.1 ") {
      minor = 1
    } else if fields.starts(0..<end, with: "HTTP/1.0 ") {
      minor = 0
    } else {
      throw HTTPParseError(.unsupportedVersion, "protocol is neither HTTP/1.1 nor HTTP/1.0")
    }
    let digits = line.dropFirst(9).prefix(3)
    let rest = line.dropFirst(12)
    guard digits.count == 3, digits.allSatisfy(ASCII.isDigit), rest.isEmpty || rest.first == ASCII.space else {
      throw HTTPParseError(.malformedStartLine, "malformed status line")
    }
    status = digits.reduce(0) { $0 * 10 + Int($1 - ASCII.zero) }
    guard (100...599).contains(status) else { throw HTTPParseError(.malformedStartLine, "status out of range") }
    reason = rest.isEmpty ? end..<end : rest.startIndex + 1..<end
    guard bytes[reason].allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == ASCII.tab }) else {
      throw HTTPParseError(.malformedStartLine, "control byte in the reason")
    }
  }
}
