// The rules of heads one term at a time, where several decide together; and the limits of chunked bodies at their edge.
import TestSupport
import Testing

@testable import HTTP
@testable import HTTP1

private func request(_ text: String) throws -> RequestHead {
  let parser = MessageParser(.request, limits: HTTPLimits.test())
  try #require(parser.parse(Array(text.utf8).span.bytes, into: BodyRanges()).progress == .headComplete)
  return try RequestHead(parser)
}

@Suite("Rules of heads")
struct HeadRuleTests {
  @Test("64 connection options are accepted, 65 are not", arguments: [64, 65])
  func options(count: Int) throws {
    let names = (0..<count).map { "x\($0)" }.joined(separator: ",")
    let text = "GET / HTTP/1.1\r\nHost: a\r\nConnection: \(names)\r\n\r\n"
    if count == 64 { _ = try request(text) } else { #expect(throws: HTTPParseError.self) { try request(text) } }
  }

  @Test(
    "Connection removes none of the fields that frame, route, describe or identify",
    arguments: [
      "Content-Type", "Content-Encoding", "Authorization", "Cache-Control", "Trailer", "Forwarded", "X-Forwarded-Proto",
      "X-Real-IP", "Via",
    ])
  func protected(name: String) {
    let relayed = relayRequest([Array("GET / HTTP/1.1\r\nHost: a\r\nConnection: \(name)\r\n\(name): v\r\n\r\n".utf8)])
    #expect(relayed.bytes == "GET / HTTP/1.1\r\nHost: a\r\n\(name): v\r\n\r\n")
  }

  @Test(
    "No trailer that routes, authorises or describes goes on",
    arguments: [
      "Host", "Connection", "Trailer", "TE", "Upgrade", "Keep-Alive", "Proxy-Connection", "Authorization",
      "Proxy-Authorization", "Content-Encoding", "Content-Type", "Content-Range", "Expect", "Set-Cookie", "Cookie",
      "Cache-Control", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Host",
    ])
  func trailers(name: String) {
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    let relayed = relayRequest([Array((head + "1\r\na\r\n0\r\n\(name): v\r\n\r\n").utf8)])
    #expect(relayed.isComplete && relayed.bytes == head + "1\r\na\r\n0\r\n\r\n")
  }

  @Test(
    "Only an HTTP/1.1 request with a body can expect 100 Continue",
    arguments: [("1.1", "Content-Length: 1\r\n", true), ("1.1", "", false), ("1.0", "Content-Length: 1\r\n", false)])
  func expectation(version: String, framing: String, expects: Bool) throws {
    let head = try request("POST / HTTP/\(version)\r\nHost: a\r\nExpect: 100-continue\r\n\(framing)\r\n")
    #expect(head.expectsContinue == expects)
  }

  @Test(
    "A name in a comment of Via is no receiver",
    arguments: [
      ("1.1 me", true), ("1.1 a, 1.1 me (b)", true), ("1.1 a (b, 1.1 me)", false), ("1.1 a (b (c) , 1.1 me)", false),
      ("1.1 a (b (c) , 1.1 me )", false), ("1.1 a (b (c (d)) , 1.1 me ), 1.1 me", true),
      ("1.1 a (b \\) , 1.1 me )", false),
    ])
  func comments(via: String, isLoop: Bool) throws {
    let head = try request("GET / HTTP/1.1\r\nHost: a\r\nVia: \(via)\r\n\r\n")
    #expect(head.fields.wentThrough("me") == isLoop)
  }
}

@Suite("Limits of chunked bodies")
struct ChunkLimitTests {
  private let head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

  /// Parses each body as a message of its own on one parser.
  /// - Returns: the number of trailers of each, or nil where it was refused.
  private func parse(_ bodies: [String], _ limits: HTTPLimits) -> [Int?] {
    let parser = MessageParser(.request, limits: limits)
    return bodies.map { body in
      defer { parser.reset() }
      _ = parser.parse(Array(head.utf8).span.bytes, into: BodyRanges())
      guard parser.parse(Array(body.utf8).span.bytes, into: BodyRanges()).progress == .messageComplete else {
        return nil
      }
      return parser.trailers.list.count
    }
  }

  @Test("Chunk extensions are counted for each message, and may be as long as the limit")
  func extensions() {
    let limits = HTTPLimits.test(chunkExtensionBytes: 3)
    #expect(parse(Array(repeating: "0;ab\r\n\r\n", count: 3), limits) == [0, 0, 0])
    #expect(parse(["0;abc\r\n\r\n"], limits) == [nil])
  }

  @Test("Trailers are counted for each message, and may be as long as the limit")
  func trailerBytes() {
    // `X: y`, its line end, and the last line's carriage return.
    #expect(parse(Array(repeating: "0\r\nX: y\r\n\r\n", count: 3), HTTPLimits.test(trailerBytes: 7)) == [1, 1, 1])
    #expect(parse(["0\r\nX: y\r\n\r\n"], HTTPLimits.test(trailerBytes: 6)) == [nil])
  }
}
