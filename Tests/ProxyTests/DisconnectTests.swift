// Clients and servers that go away, at every stage: nobody is left hanging, and one record says what happened.
// It must not depend on time.
import Foundation
import SettingValues
import TestSupport
import Testing

@testable import Proxy

@Suite("Departures")
struct DisconnectTests {
  enum Way: String, CaseIterable, Sendable {
    case fin, reset

    func leave(_ peer: SocketPeer) { if self == .fin { peer.close() } else { peer.reset() } }
  }

  @Test("A client that leaves at the terminator, before HTTP's own end, has had its answer", arguments: Way.allCases)
  func leavesAtTheTerminator(way: Way) throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    try server.send(streamHead + chunk(token("a")) + chunk("data: [DONE]\n\n"))
    _ = try client.read(through: chunk("data: [DONE]\n\n"))
    way.leave(client)
    try server.waitForEnd()
    #expect(try harness.end().map(\.verdict) == ["ok -"])
  }

  @Test("A client that leaves while it uploads ends upstream's connection", arguments: Way.allCases)
  func uploading(way: Way) throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send("POST /up HTTP/1.1\r\nHost: llm\r\nContent-Length: 100\r\n\r\npart")
    let server = try harness.upstream.accept()
    _ = try server.read(through: "part")
    way.leave(client)
    try server.waitForEnd()
    #expect(try harness.end().map(\.verdict) == ["client_cancelled upload"])
  }

  @Test("A client that leaves before its answer ends upstream's connection", arguments: Way.allCases)
  func waiting(way: Way) throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    way.leave(client)
    try server.waitForEnd()
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == ["client_cancelled waiting"])
    #expect(lines.first?.double("waited_ms") != nil && lines.first?.values["ttft_ms"] is NSNull)
    #expect(lines.first?.values["status"] is NSNull)
  }

  @Test("A client that leaves in mid-stream ends upstream's connection", arguments: Way.allCases)
  func streaming(way: Way) throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    try server.send(streamHead + chunk(token("a")))
    _ = try client.read(through: chunk(token("a")))
    way.leave(client)
    try server.waitForEnd()
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == ["client_cancelled streaming"])
    #expect(lines.first?.int("events") == 1 && lines.first?.values["waited_ms"] is NSNull)
  }

  @Test("A client that ends its side only has left: that is the documented default")
  func halfClosed() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    client.finish()
    try server.waitForEnd()
    try client.waitForEnd()
    #expect(try harness.end().map(\.verdict) == ["client_cancelled waiting"])
  }

  @Test("A client that leaves while upstream is paused for it ends upstream's connection", arguments: Way.allCases)
  func paused(way: Way) throws {
    let harness = try ProxyHarness()
    let client = try harness.connect(receiveBuffer: 4_096)
    try client.send(get("/"))
    let server = try harness.upstream.accept()
    _ = try server.head()
    let stuck = try Flood(server, head: "HTTP/1.1 200 OK\r\nContent-Length: \(1 << 30)\r\n\r\n", bytes: 1 << 30)
      .untilStuck()
    #expect(stuck < 256 << 20)
    way.leave(client)
    // Its send buffer is full, so the reset is all that can reach it.
    #expect(server.isReady(POLLERR | POLLHUP, milliseconds: 10_000))
    #expect(try harness.end().map(\.verdict) == ["client_cancelled streaming"])
  }

  @Test("A client that resets its upload while it is paused has left, though only its reset counts as that")
  func resetInPausedUpload() throws {
    let upstream = try ScriptedUpstream(receiveBuffer: 4_096)
    let harness = try ProxyHarness(upstream: upstream) { $0.forwarding.halfClose = .finish }
    let client = try harness.connect()
    try client.send("POST / HTTP/1.1\r\nHost: llm\r\nContent-Length: \(256 << 20)\r\n\r\n")
    let server = try upstream.accept()
    fill(client)
    client.reset()
    // The server takes nothing and says nothing.
    try harness.awaitRecords(1)
    server.close()
    #expect(try harness.end().map(\.verdict) == ["client_cancelled upload"])
  }

  @Test("A client that leaves in the middle of its head is recorded, and upstream hears nothing")
  func halfHead() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send("GET / HT")
    client.finish()
    try client.waitForEnd()
    #expect(!harness.upstream.hasVisitor())
    #expect(try harness.end().map(\.verdict) == ["client_cancelled upload"])
  }

  @Test("A client that says nothing leaves no record")
  func silent() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    client.finish()
    try client.waitForEnd()
    #expect(try harness.end().isEmpty)
  }

  @Test("A server that nobody can reach is a 502")
  func refused() throws {
    let harness = try ProxyHarness()
    harness.upstream.close()
    let client = try harness.connect()
    try client.send(chatRequest())
    #expect(try client.head().hasPrefix("HTTP/1.1 502 Bad Gateway\r\n"))
    #expect(try client.readToEnd().contains("ECONNREFUSED"))
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == ["upstream_unreachable connecting"])
    #expect(lines.first?.int("status") == 502 && lines.first?.values["in_flight"] is NSNull)
  }

  @Test("A server that leaves unasked is a 502", arguments: Way.allCases)
  func noAnswer(way: Way) throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    way.leave(server)
    #expect(try client.readToEnd().hasPrefix("HTTP/1.1 502 "))
    #expect(!harness.upstream.hasVisitor())
    #expect(try harness.end().map(\.verdict) == ["upstream_reset waiting"])
  }

  /// Responses that end too early: their heads, and the part of the body that came.
  static let cuts: [(head: String, part: String)] = [
    (streamHead, chunk(token("a")) + "40\r\ndata: {\"cho"),
    (streamHead, chunk(token("a"))),
    ("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 10000\r\n\r\n", token("a")),
  ]

  @Test("A response that upstream cuts never looks whole", arguments: Way.allCases)
  func cut(way: Way) throws {
    for (head, part) in Self.cuts {
      let harness = try ProxyHarness()
      let client = try harness.connect()
      try client.send(chatRequest())
      let server = try harness.upstream.accept()
      _ = try server.read(through: "[]}")
      try server.send(head + part)
      _ = try client.read(through: token("a"))
      way.leave(server)
      let rest = (try? client.readToEnd()) ?? ""
      #expect(!rest.contains("0\r\n\r\n"))
      #expect(!harness.upstream.hasVisitor())
      let lines = try harness.end()
      #expect(lines.map(\.verdict) == ["truncated streaming"])
      #expect(lines.first?.int("events") == 1 && lines.first?.int("status") == 200)
    }
  }

  @Test("A client that resets while the rest of a cut response waits for it is let go")
  func cutThenReset() throws {
    let harness = try ProxyHarness {
      $0.buffers.highWatermarkBytes = 1 << 30
      // The next client is only taken once this one has been let go.
      $0.limits.connections = 1
    }
    let client = try harness.connect(receiveBuffer: 4_096)
    try client.send(get("/"))
    let server = try harness.upstream.accept()
    _ = try server.head()
    let part = 32 << 20
    try Flood(server, head: "HTTP/1.1 200 OK\r\nContent-Length: \(2 * part)\r\n\r\n", bytes: part).join()
    server.close()
    try harness.awaitRecords(1)
    client.reset()
    let next = try harness.connect()
    try next.send(get("/next"))
    let second = try harness.upstream.accept()
    _ = try second.head()
    try second.send(answer("done"))
    #expect(try next.read(through: "done") == answer("done"))
    #expect(try harness.end().map(\.verdict) == ["truncated streaming", "ok -"])
  }

  @Test("A close-delimited body that is reset is reset for the client of HTTP/1.0 too")
  func closeDelimitedReset() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send("GET / HTTP/1.0\r\n\r\n")
    let server = try harness.upstream.accept()
    _ = try server.head()
    try server.send("HTTP/1.1 200 OK\r\n\r\npart")
    _ = try client.read(through: "part")
    server.reset()
    #expect(try client.waitForEnd())
    #expect(try harness.end().map(\.verdict) == ["truncated streaming"])
  }

  @Test("A stream that ends well but without its terminator is truncated, and passes as it is")
  func noTerminator() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    try server.send(streamHead + chunk(token("a")) + "0\r\n\r\n")
    #expect(try client.read(through: "0\r\n\r\n") == streamHead + chunk(token("a")) + "0\r\n\r\n")
    #expect(try harness.end().map(\.verdict) == ["truncated streaming"])
  }

  @Test(
    "What is no HTTP response is a 502",
    arguments: [
      "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 999 X\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: " + String(repeating: "a", count: 300_000) + "\r\n\r\n",
    ])
  func garbage(bytes: String) throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    try server.send(bytes)
    let text = try client.readToEnd()
    #expect(text.hasPrefix("HTTP/1.1 502 ") && !text.contains("SSH"))
    try server.waitForEnd()
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == ["upstream_invalid waiting"])
    #expect(lines.first?.int("status") == 502)
  }

  @Test("A body that breaks its framing is passed on up to there, then cut")
  func brokenBody() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    try server.send(streamHead + chunk(token("a")) + "no size\r\n")
    let text = try client.read(through: chunk(token("a")))
    #expect(text == streamHead + chunk(token("a")))
    #expect(try client.readToEnd() == "")
    try server.waitForEnd()
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == ["truncated streaming"])
    #expect(lines.first?.int("events") == 1)
  }

  @Test("A pooled connection that dies under a GET is replaced once")
  func staleGet() throws {
    let (harness, client, server) = try withPooled()
    try client.send(get("/again"))
    #expect(try server.head() == get("/again"))
    server.close()
    let second = try harness.upstream.accept()
    #expect(try second.head() == get("/again"))
    try second.send(answer("done"))
    #expect(try client.read(through: "done") == answer("done"))
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == ["ok -", "ok -"])
    #expect(lines.last?.bool("upstream_reused") == false && lines.last?.int("in_flight") == 1)
  }

  @Test("A second death is a 502, and there is no third attempt")
  func staleTwice() throws {
    let (harness, client, server) = try withPooled()
    try client.send(get("/again"))
    _ = try server.head()
    server.close()
    let second = try harness.upstream.accept()
    _ = try second.head()
    second.close()
    #expect(try client.readToEnd().hasPrefix("HTTP/1.1 502 "))
    #expect(!harness.upstream.hasVisitor())
    #expect(try harness.end().map(\.verdict) == ["ok -", "upstream_reset waiting"])
  }

  @Test("A pooled connection that dies under a POST is a 502: a request is never sent twice")
  func stalePost() throws {
    let (harness, client, server) = try withPooled()
    try client.send(chatRequest())
    _ = try server.read(through: "[]}")
    server.close()
    #expect(try client.readToEnd().hasPrefix("HTTP/1.1 502 "))
    #expect(!harness.upstream.hasVisitor())
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == ["ok -", "upstream_reset waiting"])
    #expect(lines.last?.bool("upstream_reused") == true)
  }

  @Test("An idle connection that upstream ended is not used, for a POST either")
  func closedWhileIdle() throws {
    let (harness, client, server) = try withPooled()
    server.close()
    try client.send(chatRequest("{}"))
    let second = try harness.upstream.accept()
    #expect(try second.read(through: "{}") == chatRequest("{}"))
    try second.send(answer("done"))
    #expect(try client.read(through: "done") == answer("done"))
    #expect(try harness.end().map { $0.bool("upstream_reused") } == [false, false])
  }

  @Test("What an idle connection says reaches nobody")
  func unsolicited() throws {
    let (harness, client, server) = try withPooled()
    try server.send(answer("poison"))
    try server.waitForEnd()
    try client.send(get("/next"))
    let second = try harness.upstream.accept()
    _ = try second.head()
    try second.send(answer("clean"))
    #expect(try client.read(through: "clean") == answer("clean"))
    #expect(try harness.end().map(\.verdict) == ["ok -", "ok -"])
  }

  @Test("A request that never reached upstream leaves nothing behind in another client's upload")
  func refusedBesideUpload() throws {
    let harness = try ProxyHarness()
    let uploader = try harness.connect()
    try uploader.send("POST /up HTTP/1.1\r\nHost: llm\r\nContent-Length: 12\r\n\r\nfirst-")
    let server = try harness.upstream.accept()
    _ = try server.read(through: "first-")
    // One whose framing breaks in the read that brought its head, and one that finds no server.
    let broken = try harness.connect()
    try broken.send("POST /x HTTP/1.1\r\nHost: llm\r\nX-Key: one\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    #expect(try broken.readToEnd().hasPrefix("HTTP/1.1 400 "))
    try uploader.send("ab")
    #expect(try server.read(through: "ab") == "ab")
    harness.upstream.close()
    let refused = try harness.connect()
    try refused.send(chatRequest("{}", "X-Key: two\r\n"))
    #expect(try refused.readToEnd().hasPrefix("HTTP/1.1 502 "))
    try uploader.send("last")
    #expect(try server.read(through: "last") == "last")
    try server.send(answer("done"))
    #expect(try uploader.read(through: "done") == answer("done"))
    let verdicts = try harness.end().map(\.verdict)
    #expect(verdicts == ["rejected upload", "upstream_unreachable connecting", "ok -"])
  }

  @Test("A request body that breaks its framing is refused, and upstream's connection ended")
  func brokenRequestBody() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send("POST /up HTTP/1.1\r\nHost: llm\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    let server = try harness.upstream.accept()
    _ = try server.read(through: "abc\r\n")
    try client.send("zz\r\n")
    #expect(try client.readToEnd().hasPrefix("HTTP/1.1 400 "))
    try server.waitForEnd()
    #expect(try harness.end().map(\.verdict) == ["rejected upload"])
  }

  /// A harness with one exchange behind it and its upstream connection in the pool.
  private func withPooled() throws -> (ProxyHarness, SocketPeer, SocketPeer) {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(get("/first"))
    let server = try harness.upstream.accept()
    _ = try server.head()
    try server.send(answer("first"))
    _ = try client.read(through: "first")
    return (harness, client, server)
  }
}
