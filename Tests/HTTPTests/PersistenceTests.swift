// Which messages keep their connection.
import HTTP
import HTTP1
import TestSupport
import Testing

@Suite("Persistent connections (RFC 9112 §9.3)")
struct PersistenceTests {
  static let cases: [(version: String, connection: String, keepsAlive: Bool)] = [
    ("1.1", "", true), ("1.1", "keep-alive", true), ("1.1", "close", false), ("1.1", "close, keep-alive", false),
    ("1.1", "keep-alive, close", false), ("1.1", "Close", false), ("1.1", "x-closed", true), ("1.0", "", false),
    ("1.0", "keep-alive", true), ("1.0", "Keep-Alive", true), ("1.0", "close", false),
    ("1.0", "close, keep-alive", false), ("1.0", "keep-alive, close", false), ("1.0", "x-keep-alive", false),
  ]

  @Test("Version and Connection decide, and close wins", arguments: cases)
  func persistence(version: String, connection: String, keepsAlive: Bool) throws {
    let fields = connection.isEmpty ? "" : "Connection: \(connection)\r\n"
    let request = MessageParser(.request, limits: HTTPLimits.test())
    let requestText = Array("GET / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n".utf8)
    #expect(request.parse(requestText.span.bytes, into: BodyRanges()).progress == .headComplete)
    #expect(try RequestHead(request).keepsAlive == keepsAlive)
    let response = MessageParser(.response, limits: HTTPLimits.test())
    let responseText = Array("HTTP/\(version) 200 OK\r\nContent-Length: 0\r\n\(fields)\r\n".utf8)
    #expect(response.parse(responseText.span.bytes, into: BodyRanges()).progress == .headComplete)
    #expect(try ResponseHead(response).keepsAlive == keepsAlive)
  }

  @Test(
    "A response without a body that announces one does not keep its connection",
    arguments: [
      ("204 No Content\r\nContent-Length: 1", false), ("204 No Content\r\nContent-Length: 0", true),
      ("204 No Content\r\nTransfer-Encoding: chunked", false), ("304 Not Modified\r\nContent-Length: 1", true),
      ("304 Not Modified\r\nTransfer-Encoding: chunked", false), ("200 OK\r\nX: y", false),
    ])
  func announced(head: String, keepsAlive: Bool) throws {
    let parser = MessageParser(.response, limits: HTTPLimits.test())
    #expect(
      parser.parse(Array("HTTP/1.1 \(head)\r\n\r\n".utf8).span.bytes, into: BodyRanges()).progress == .headComplete)
    #expect(try ResponseHead(parser).keepsAlive == keepsAlive)
  }
}
