// What records say of requests whose bodies are long, compressed or damaged; what is forwarded stays as it came.
import TestSupport
import Testing

@testable import Proxy

@Suite("Requests that are read as they pass")
struct RequestReadTests {
  /// `{"model":"m","user":"u"}` by gzip.
  private static let gzipped: [UInt8] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0xca, 0xcd, 0x4f, 0x49, 0xcd, 0x51, 0xb2,
    0x52, 0xca, 0x55, 0xd2, 0x51, 0x2a, 0x2d, 0x4e, 0x2d, 0x02, 0x32, 0x4b, 0x95, 0x6a, 0x01, 0x94, 0xee, 0xc3, 0x8f,
    0x18, 0x00, 0x00, 0x00,
  ]

  private func record(
    _ body: [UInt8], _ fields: String = "", pieces: Int = 1
  ) throws -> (line: Line, forwarded: [UInt8]) {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Length: \(body.count)\r\n\(fields)\r\n")
    let server = try harness.upstream.accept()
    _ = try server.head()
    var forwarded: [UInt8] = []
    let step = max(1, body.count / pieces)
    for start in stride(from: 0, to: body.count, by: step) {
      let piece = body[start..<min(start + step, body.count)]
      try client.send(Array(piece))
      let end = start + piece.count
      while forwarded.count < end { forwarded += try server.receive() }
    }
    try server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    _ = try client.head()
    client.close()
    harness.server.drain()
    return (try #require(try harness.records().first), forwarded)
  }

  @Test("Model and user of a request of 3 MiB are in its record, wherever they stand", arguments: [true, false])
  func long(_ isFirst: Bool) throws {
    let names = #""model":"m","user":"u""#
    let image = #""image":"\#(String(repeating: "A", count: 3 << 20))""#
    let body = Array("{\(isFirst ? names : image),\(isFirst ? image : names)}".utf8)
    let (line, forwarded) = try record(body, pieces: 30)
    #expect(forwarded == body)
    #expect(line["model"] == "m" && line["user"] == "u" && line["user_from"] == "body:user")
    #expect(line["request_read"] == "whole" && line["error"] == nil && line.int("request_bytes") == body.count)
  }

  @Test("A compressed request is read, and forwarded as it came", arguments: [1, 10])
  func compressed(_ pieces: Int) throws {
    let (line, forwarded) = try record(Self.gzipped, "Content-Encoding: gzip\r\n", pieces: pieces)
    #expect(forwarded == Self.gzipped)
    #expect(line["model"] == "m" && line["user"] == "u" && line["request_read"] == "whole" && line["error"] == nil)
  }

  @Test("Where the body could not be read to its end, no other identity is taken for the user's")
  func unread() throws {
    let key = "Authorization: Bearer sk-1\r\n"
    let (damaged, _) = try record(Array(#"{"model":"m","messages":"a"#.utf8), key)
    #expect(damaged["model"] == "m" && damaged["user"] == nil && damaged["user_from"] == "unread")
    #expect(damaged["request_read"] == "partly" && damaged["error"]?.hasPrefix("request_not_json: ") == true)
    let (unknown, _) = try record(Array("xyz".utf8), "Content-Encoding: compress\r\n" + key)
    #expect(unknown["user"] == nil && unknown["user_from"] == "unread" && unknown["request_read"] == "no")
    #expect(unknown["error"]?.hasPrefix("request_encoding_unknown: ") == true)
    let (whole, _) = try record(Array(#"{"model":"m"}"#.utf8), key)
    #expect(whole["user_from"] == "api_key" && whole["request_read"] == "whole")
    let (named, _) = try record(Array("xyz".utf8), "X-User-Id: ann\r\n")
    #expect(named["user"] == "ann" && named["user_from"] == "header:x-user-id")
  }

  @Test("A name in the body is cut as one in a header is")
  func longUser() throws {
    let name = String(repeating: "n", count: 700)
    let (line, _) = try record(Array(#"{"user":" \#(name)"}"#.utf8))
    #expect(line["user"] == String(repeating: "n", count: 256) && line["user_from"] == "body:user")
  }
}
