// The request line (RFC 9112 §3).
import HTTP

/// The request line, found in the head's bytes: llhttp also accepts RTSP and ICE, and reports them as HTTP.
struct RequestLine {
  let method: Method
  let target: Range<Int>
  let minor: Int

  /// - Parameter acceptsAnyTarget: whether the target may have any byte but control bytes and spaces.
  init(_ fields: Fields, acceptsAnyTarget: Bool) throws(HTTPParseError) {
    let bytes = fields.bytes
    guard let end = bytes.firstIndex(of: ASCII.carriageReturn), end + 1 < bytes.count,
      bytes[end + 1] == ASCII.lineFeed, let first = bytes[..<end].firstIndex(of: ASCII.space)
    else { throw HTTPParseError(.malformedStartLine, "malformed request line") }
    guard let second = bytes[(first + 1)..<end].firstIndex(of: ASCII.space) else {
      throw HTTPParseError(.unsupportedVersion, "malformed request line")
    }
    minor = try Self.minorVersion(fields, (second + 1)..<end)
    target = first + 1..<second
    method = try Self.method(fields, 0..<first)
    guard acceptsAnyTarget ? Self.isWord(bytes[target]) : Self.isTarget(bytes[target]) else {
      throw HTTPParseError(.malformedTarget, "malformed request target")
    }
  }

  /// Whether bytes cannot be taken for more or less than a target, whatever they mean: what nginx forwards.
  private static func isWord(_ bytes: ArraySlice<UInt8>) -> Bool {
    !bytes.isEmpty && bytes.allSatisfy { $0 > ASCII.space && $0 != 0x7F }
  }

  /// Whether bytes are a target as RFC 3986 and browsers have it. A backslash in a path is refused: some servers take it for a slash.
  private static func isTarget(_ bytes: ArraySlice<UInt8>) -> Bool {
    guard !bytes.isEmpty, bytes.allSatisfy(ASCII.isTarget) else { return false }
    guard let backslash = bytes.firstIndex(of: ASCII.backslash) else { return true }
    return bytes[..<backslash].contains(UInt8(ascii: "?"))
  }

  /// What is wrong with a request line that llhttp has refused, where we know it better than llhttp does.
  /// - Parameter fields: the head as far as it was read.
  static func fault(_ fields: Fields) -> HTTPParseError? {
    let bytes = fields.bytes
    let end = bytes.firstIndex(of: ASCII.carriageReturn) ?? bytes.count
    if fields.equals(0..<end, "PRI * HTTP/2.0") { return HTTPParseError(.unsupportedVersion, "HTTP/2 is not served") }
    guard let first = bytes[..<end].firstIndex(of: ASCII.space) else { return nil }
    do throws(HTTPParseError) { _ = try method(fields, 0..<first) } catch { return error }
    // Where the line has ended, llhttp accepted it: the fault is behind it.
    guard end == bytes.count, let second = bytes[(first + 1)...].firstIndex(of: ASCII.space) else { return nil }
    do throws(HTTPParseError) { _ = try minorVersion(fields, (second + 1)..<bytes.count) } catch { return error }
    return nil
  }

  private static func minorVersion(_ fields: Fields, _ range: Range<Int>) throws(HTTPParseError) -> Int {
    if fields.equals(range, "HTTP/1.1") { return 1 }
    if fields.equals(range, "HTTP/1.0") { return 0 }
    let digits = fields.bytes[range].dropFirst(5)
    let isVersion =
      fields.starts(range, with: "HTTP/") && digits.count == 3 && ASCII.isDigit(fields.bytes[digits.startIndex])
      && fields.bytes[digits.startIndex + 1] == UInt8(ascii: ".") && ASCII.isDigit(fields.bytes[digits.startIndex + 2])
    throw HTTPParseError(
      isVersion ? .unsupportedVersion : .malformedStartLine, "protocol is neither HTTP/1.1 nor HTTP/1.0")
  }

  private static func method(_ fields: Fields, _ range: Range<Int>) throws(HTTPParseError) -> Method {
    if fields.equals(range, "POST") { return .post }
    if fields.equals(range, "GET") { return .get }
    let text = fields.text(range)
    if let method = Method(rawValue: text) { return method }
    throw text == "CONNECT"
      ? HTTPParseError(.methodNotAllowed, "CONNECT is not served")
      : HTTPParseError(unknownMethod: fields.bytes[range])
  }

  /// The target as it is forwarded.
  func forwardedTarget(_ fields: Fields) throws(HTTPParseError) -> RequestTarget {
    let bytes = fields.bytes
    if bytes[target.lowerBound] == UInt8(ascii: "/") { return RequestTarget(written: target) }
    if target.count == 1, bytes[target.lowerBound] == UInt8(ascii: "*") {
      guard method == .options else { throw HTTPParseError(.malformedTarget, "only OPTIONS may ask for *") }
      return RequestTarget(written: target)
    }
    guard target.count > 7, fields.matches(target.prefix(7), "http://") else {
      throw HTTPParseError(.malformedTarget, "malformed request target")
    }
    let start = target.lowerBound + 7
    let end = bytes[start..<target.upperBound].firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }
    let authority = start..<(end ?? target.upperBound)
    guard Authority.isValid(bytes[authority]) else {
      throw HTTPParseError(.malformedTarget, "malformed request target")
    }
    let written = authority.upperBound..<target.upperBound
    if bytes[written].first == UInt8(ascii: "/") { return RequestTarget(written: written, authority: authority) }
    // An empty path is `/`, except for an OPTIONS that asks about the server itself (RFC 9112 §3.2.1, §3.2.4).
    let asksServer = method == .options && written.isEmpty
    return RequestTarget(
      implied: asksServer ? UInt8(ascii: "*") : UInt8(ascii: "/"), written: written, authority: authority)
  }
}
