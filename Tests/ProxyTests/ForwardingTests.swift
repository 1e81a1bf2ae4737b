// Bytes through the proxy, and the record of each exchange: what arrives equals what was sent.
// It must not depend on time.
import Foundation
import SettingValues
import TestSupport
import Testing

@testable import Proxy

@Suite("Exchanges through the proxy")
struct ForwardingTests {
  @Test("A streamed chat arrives as it was sent, and its record has its events and tokens")
  func chat() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    let request = chatRequest(#"{"model":"m1","stream":true,"user":"ann"}"#)
    try client.send(request)
    let server = try harness.upstream.accept()
    #expect(try server.read(through: #""ann"}"#) == request)
    try server.send(streamHead)
    #expect(try client.head() == streamHead)
    let role = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n"
    for event in [role, token("Hello"), token(" you")] {
      try server.send(chunk(event))
      // Each event arrives before the next is sent: nothing is gathered.
      #expect(try client.read(through: chunk(event)) == chunk(event))
    }
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n"
    let end = chunk(usage) + chunk("data: [DONE]\n\n") + "0\r\n\r\n"
    try server.send(end)
    #expect(try client.read(through: "0\r\n\r\n") == end)
    let lines = try harness.end()
    try #require(lines.count == 1)
    let line = lines[0]
    #expect(line.verdict == "ok -")
    #expect(line["user"] == "ann" && line["user_from"] == "body:user" && line["model"] == "m1")
    #expect(line["dialect"] == "openai.chat" && line.bool("stream") == true && line.int("status") == 200)
    #expect(line.int("events") == 2 && line.int("output_tokens") == 2 && line.int("input_tokens") == 3)
    #expect(line.int("reads") == 2 && line.int("coalesced_events") == 0)
    #expect(line.int("request_bytes") == request.components(separatedBy: "\r\n\r\n")[1].utf8.count)
    let events: [String] = [role, token("Hello"), token(" you"), usage, "data: [DONE]\n\n"]
    #expect(line.int("response_bytes") == events.joined().utf8.count)
    #expect(line.bool("upstream_reused") == false && line.int("in_flight") == 1)
    let instants = try ["ttfb_ms", "ttfe_ms", "ttft_ms", "ttlt_ms", "total_ms"].map { try #require(line.double($0)) }
    #expect(instants == instants.sorted())
    #expect(line.double("tpot_ms") != nil && line["error"] == nil)
    #expect(line.values["delivery_us"] is [String: Any])
  }

  @Test("Connections are kept on both sides, and the second exchange says that it re-used one")
  func pooling() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(get("/a"))
    let server = try harness.upstream.accept()
    for path in ["/a", "/b", "/c"] {
      #expect(try server.head() == get(path))
      try server.send(answer(path))
      #expect(try client.read(through: path) == answer(path))
      if path == "/a" { try client.send(get("/b")) }
      if path == "/b" {
        // Another client, the same upstream connection.
        let other = try harness.connect()
        try other.send(get("/c"))
        #expect(try server.head() == get("/c"))
        try server.send(answer("/c"))
        #expect(try other.read(through: "/c") == answer("/c"))
        break
      }
    }
    #expect(!harness.upstream.hasVisitor())
    let lines = try harness.end()
    #expect(lines.map { $0.bool("upstream_reused") } == [false, true, true])
    #expect(lines.map { $0["path"] } == ["/a", "/b", "/c"])
    #expect(lines.allSatisfy { $0.verdict == "ok -" && $0.values["dialect"] is NSNull })
  }

  @Test("An empty line behind a request is no request, and no part of the next one's time")
  func emptyLine() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(chatRequest("{}") + "\r\n")
    let server = try harness.upstream.accept()
    _ = try server.read(through: "{}")
    try server.send(answer("done"))
    #expect(try client.read(through: "done") == answer("done"))
    client.finish()
    #expect(try client.readToEnd() == "")
    #expect(try harness.end().map(\.verdict) == ["ok -"])
  }

  @Test("Three requests in one write get their three answers in order")
  func pipelined() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(get("/1") + chatRequest("{}") + get("/3"))
    let server = try harness.upstream.accept()
    #expect(try server.head() == get("/1"))
    #expect(!server.isReady(POLLIN, milliseconds: 0))
    try server.send(answer("one"))
    #expect(try server.read(through: "{}") == chatRequest("{}"))
    try server.send(answer("two"))
    #expect(try server.head() == get("/3"))
    try server.send(answer("three"))
    #expect(try client.read(through: "three") == answer("one") + answer("two") + answer("three"))
    #expect(try harness.end().map { $0["path"] } == ["/1", "/v1/chat/completions", "/3"])
  }

  @Test("A request sent byte by byte is one request")
  func byteByByte() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    let request = chatRequest("{}", "X-A: b\r\n")
    for byte in request.utf8 { try client.send([byte]) }
    let server = try harness.upstream.accept()
    #expect(try server.read(through: "{}") == request)
    try server.send(answer("done"))
    #expect(try client.read(through: "done") == answer("done"))
    #expect(try harness.end().count == 1)
  }

  @Test("Expect: 100-continue is asked of upstream, and its 100 relayed before the body")
  func expectContinue() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    let request = chatRequest("{}", "Expect: 100-continue\r\n")
    try client.send(String(request.dropLast(2)))
    let server = try harness.upstream.accept()
    #expect(try server.head() == String(request.dropLast(2)))
    try server.send("HTTP/1.1 100 Continue\r\n\r\n")
    #expect(try client.head() == "HTTP/1.1 100 Continue\r\n\r\n")
    try client.send("{}")
    #expect(try server.read(through: "{}") == "{}")
    try server.send(answer("done"))
    #expect(try client.read(through: "done") == answer("done"))
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == ["ok -"])
    #expect(lines.first?.int("status") == 200)
  }

  @Test("Early hints reach a client of HTTP/1.1 and not one of 1.0", arguments: ["1.1", "1.0"])
  func earlyHints(version: String) throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send("GET / HTTP/\(version)\r\nHost: llm\r\n\r\n")
    let server = try harness.upstream.accept()
    _ = try server.head()
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    try server.send(hints + answer("body"))
    let closes = version == "1.0" ? "Connection: close\r\n" : ""
    let final = answer("body").replacingOccurrences(of: "\r\n\r\n", with: "\r\n\(closes)\r\n")
    #expect(try client.read(through: "body") == (version == "1.0" ? "" : hints) + final)
    #expect(try harness.end().map { $0.int("status") } == [200])
  }

  @Test("A 413 before the upload's end is relayed, the client's connection closed, upstream's not re-used")
  func earlyAnswer() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send("POST /up HTTP/1.1\r\nHost: llm\r\nContent-Length: 1000000\r\n\r\npart")
    let server = try harness.upstream.accept()
    _ = try server.read(through: "part")
    let refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n"
    try server.send(refusal + "\r\nbig")
    #expect(try client.readToEnd() == refusal + "Connection: close\r\n\r\nbig")
    try server.waitForEnd()
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == ["upstream_status -"])
    #expect(lines.first?.int("status") == 413 && lines.first?.values["upload_ms"] is NSNull)
  }

  @Test("A name is tried address by address, and each gets the request from its beginning")
  func fallback() throws {
    // The upstream listens on 127.0.0.1 only; where localhost is ::1 too, that one refuses.
    let harness = try ProxyHarness { $0.upstream = UpstreamAddress(host: "localhost", port: $0.upstream.port) }
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    #expect(try server.read(through: "[]}") == chatRequest())
    try server.send(answer("done"))
    #expect(try client.read(through: "done") == answer("done"))
    #expect(try harness.end().map(\.verdict) == ["ok -"])
  }

  @Test("A name that nobody knows is a 502")
  func unknownName() throws {
    let harness = try ProxyHarness { $0.upstream = UpstreamAddress(host: "no host has spaces", port: $0.upstream.port) }
    let client = try harness.connect()
    try client.send(chatRequest())
    #expect(try client.readToEnd().hasPrefix("HTTP/1.1 502 "))
    #expect(try harness.end().map(\.verdict) == ["upstream_unreachable connecting"])
  }

  @Test("A chunked upload arrives chunked, with its trailers; what belongs into a head is no trailer")
  func chunkedUpload() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    let head = "POST /up HTTP/1.1\r\nHost: llm\r\nTransfer-Encoding: chunked\r\n\r\n"
    try client.send(head + "3;ext=1\r\nabc\r\n0\r\nX-Sum: 1\r\nAuthorization: evil\r\n\r\n")
    let server = try harness.upstream.accept()
    #expect(try server.read(through: "0\r\nX-Sum: 1\r\n\r\n") == head + "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")
    try server.send(answer("done"))
    #expect(try client.read(through: "done") == answer("done"))
    #expect(try harness.end().map { $0.int("request_bytes") } == [3])
  }

  @Test("Two thousand pipelined requests get their answers in order, past every bound on what waits")
  func manyPipelined() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    let count = 2_000
    let filler = "X: " + String(repeating: "y", count: 200) + "\r\n"
    let requests = (0..<count).map { get("/\($0)", filler) }.joined()
    let sender = try onThread { try client.send(requests) }
    let server = try harness.upstream.accept()
    for number in 0..<count {
      #expect(try server.head() == get("/\(number)", filler))
      try server.send(answer("<\(number)>"))
    }
    let last = "<\(count - 1)>"
    #expect(try client.read(through: last) == (0..<count).map { answer("<\($0)>") }.joined())
    sender.join()
    #expect(try harness.end().count == count)
  }

  /// Responses without a body, whatever their fields say.
  static let bodiless: [(method: String, head: String)] = [
    ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
    ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
    ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n"),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
  ]

  @Test("Responses without a body end with their head, and the connection carries the next exchange")
  func withoutBody() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    var server: SocketPeer?
    for (method, head) in Self.bodiless {
      try client.send("\(method) / HTTP/1.1\r\nHost: llm\r\n\r\n")
      let link = try server ?? harness.upstream.accept()
      server = link
      _ = try link.head()
      try link.send(head)
      #expect(try client.head() == head)
    }
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == Self.bodiless.map { _ in "ok -" })
    #expect(lines.dropFirst().allSatisfy { $0.bool("upstream_reused") == true })
  }

  @Test("Bytes behind a response reach nobody, and end upstream's connection")
  func strayBytes() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(get("/1"))
    let server = try harness.upstream.accept()
    _ = try server.head()
    try server.send("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n")
    #expect(try client.head() == "HTTP/1.1 204 No Content\r\n\r\n")
    try server.waitForEnd()
    try client.send(get("/2"))
    let second = try harness.upstream.accept()
    _ = try second.head()
    try second.send(answer("clean"))
    #expect(try client.read(through: "clean") == answer("clean"))
    #expect(try harness.end().map { $0.bool("upstream_reused") } == [false, false])
  }

  @Test("A body that the close delimits is chunked for HTTP/1.1, and plain with a close for 1.0")
  func closeDelimited() throws {
    let harness = try ProxyHarness()
    for version in ["1.1", "1.0"] {
      let client = try harness.connect()
      try client.send("GET / HTTP/\(version)\r\nHost: llm\r\n\r\n")
      let server = try harness.upstream.accept()
      _ = try server.head()
      try server.send("HTTP/1.1 200 OK\r\nX: y\r\n\r\nbody")
      server.close()
      if version == "1.1" {
        let expected = "HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("body") + "0\r\n\r\n"
        #expect(try client.read(through: "0\r\n\r\n") == expected)
      } else {
        #expect(try client.readToEnd() == "HTTP/1.1 200 OK\r\nX: y\r\nConnection: close\r\n\r\nbody")
      }
    }
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == ["ok -", "ok -"])
    #expect(lines.map { $0.int("response_bytes") } == [4, 4])
  }

  /// Requests that are refused, and the status for each.
  static let malformed: [(bytes: String, status: Int)] = [
    ("GET / HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ("GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400),
    ("GET / HTTP/1.1\nHost: a\n\n", 400),
    ("GET /" + String(repeating: "a", count: 20_000) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "a", count: 100_000) + "\r\n\r\n", 431),
    ("\u{16}\u{3}\u{1}\u{2}", 400),
  ]

  @Test("A malformed request is refused, closed, recorded, and never seen by upstream")
  func malformedRequests() throws {
    let harness = try ProxyHarness()
    for (bytes, status) in Self.malformed {
      let client = try harness.connect()
      try client.send(bytes)
      let head = try client.head()
      #expect(head.hasPrefix("HTTP/1.1 \(status) "), "\(bytes.prefix(60)): \(head.prefix(30))")
      #expect(head.contains("Connection: close\r\n"))
      #expect(try client.readToEnd().contains("proxy_error"))
    }
    #expect(!harness.upstream.hasVisitor())
    let lines = try harness.end()
    #expect(lines.count == Self.malformed.count)
    #expect(lines.allSatisfy { $0.verdict == "rejected upload" })
    #expect(lines.map { $0.int("status") } == Self.malformed.map(\.status))
  }

  @Test("An event of 3 MB passes whole, is a token, and its characters are not known")
  func hugeEvent() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    let huge = token(String(repeating: "x", count: 3 << 20))
    let body = token("a") + token("b") + huge + "data: [DONE]\n\n"
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
    let sender = try onThread { try server.send(head + body) }
    #expect(try client.head() == head)
    let received = try client.read(through: "[DONE]\n\n")
    #expect(received == body)
    sender.join()
    let lines = try harness.end()
    #expect(lines.count == 1)
    #expect(lines.first?["outcome"] == "ok")
    #expect(lines.first?.values["error"] is NSNull && lines.first?.values["output_chars"] is NSNull)
    #expect(lines.first?.int("events") == 3 && lines.first?.int("output_tokens") == 3)
    #expect(lines.first?.int("response_bytes") == body.utf8.count)
  }
}
