// Deadlines: each ends what it is meant for, with its answer and its record.
// It must not measure: the limits are a nanosecond, and the proxy's sweep finds them exceeded.
import Glibc
import SettingValues
import TestSupport
import Testing

@testable import Proxy

@Suite("Deadlines")
struct TimeoutTests {
  @Test("A head that does not come in time is a 408")
  func head() throws {
    let harness = try ProxyHarness { $0.timeouts.requestHead = .nanoseconds(1) }
    let client = try harness.connect()
    try client.send("GET / HTTP/1.1\r\nHost")
    #expect(try client.readToEnd().hasPrefix("HTTP/1.1 408 "))
    #expect(!harness.upstream.hasVisitor())
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == ["timeout upload"])
    #expect(lines.first?.int("status") == 408)
  }

  @Test("A body that stops coming ends the exchange on both sides")
  func body() throws {
    let harness = try ProxyHarness { $0.timeouts.requestBody = .nanoseconds(1) }
    let client = try harness.connect()
    try client.send("POST /up HTTP/1.1\r\nHost: llm\r\nContent-Length: 100\r\n\r\npart")
    let server = try harness.upstream.accept()
    try server.waitForEnd()
    #expect(try client.readToEnd().hasPrefix("HTTP/1.1 408 "))
    #expect(try harness.end().map(\.verdict) == ["timeout upload"])
  }

  @Test("A body that trickles is ended though it never stops")
  func trickle() throws {
    let harness = try ProxyHarness {
      $0.timeouts.requestBody = .nanoseconds(600_000_000)
      $0.limits.requestBodyRate = 1_000_000
    }
    let client = try harness.connect()
    try client.send("POST /up HTTP/1.1\r\nHost: llm\r\nContent-Length: 1000000\r\n\r\n")
    let server = try harness.upstream.accept()
    // A byte whenever one has arrived: it never pauses for as long as it may.
    while !client.isReady(POLLIN, milliseconds: 20) { try client.send("x") }
    #expect(try client.readToEnd().hasPrefix("HTTP/1.1 408 "))
    try server.waitForEnd()
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == ["timeout upload"])
    #expect(lines.first?["error"]?.hasPrefix("request_body_rate: ") == true)
  }

  @Test("A response's head that trickles is a 504")
  func responseHead() throws {
    let harness = try ProxyHarness { $0.timeouts.responseHead = .nanoseconds(1) }
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    try server.send("HTTP/1.1 200 OK\r\nContent-")
    #expect(try client.readToEnd().hasPrefix("HTTP/1.1 504 "))
    try server.waitForEnd()
    #expect(try harness.end().map(\.verdict) == ["timeout waiting"])
  }

  @Test("A stream that sends comments and no token runs into the deadlines of tokens", arguments: [true, false])
  func tokens(hasFirst: Bool) throws {
    let harness = try ProxyHarness {
      if hasFirst { $0.timeouts.betweenTokens = .nanoseconds(1) } else { $0.timeouts.firstToken = .nanoseconds(1) }
      $0.timeouts.betweenReads = .nanoseconds(60_000_000_000)
    }
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    try server.send(streamHead + (hasFirst ? chunk(token("a")) : chunk(": ping\n\n")))
    _ = try client.head()
    while !server.isReady(POLLIN, milliseconds: 20) { try server.send(chunk(": ping\n\n")) }
    _ = try? client.readToEnd()
    try server.waitForEnd()
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == [hasFirst ? "timeout streaming" : "timeout waiting"])
    #expect(lines.first?.int("events") == (hasFirst ? 1 : 0))
  }

  @Test("A client that stops reading is reset, and upstream is free again")
  func clientStalled() throws {
    let harness = try ProxyHarness { $0.timeouts.clientStalled = .nanoseconds(300_000_000) }
    let client = try harness.connect(receiveBuffer: 4096)
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    try server.send(streamHead)
    let flood = Array(chunk(token(String(repeating: "x", count: 60_000))).utf8)
    while server.isReady(POLLOUT, milliseconds: 200) {
      if (try? server.send(flood)) == nil { break }
    }
    _ = try? server.waitForEnd()
    #expect(try client.waitForEnd(), "not reset")
    #expect(try harness.end().map(\.verdict) == ["timeout streaming"])
  }

  @Test("An upstream that takes nothing of a request is a 504")
  func upstreamStalled() throws {
    let harness = try ProxyHarness(upstream: ScriptedUpstream(receiveBuffer: 4096)) {
      $0.timeouts.upstreamStalled = .nanoseconds(300_000_000)
    }
    let client = try harness.connect()
    try client.send("POST /up HTTP/1.1\r\nHost: llm\r\nContent-Length: 100000000\r\n\r\n")
    let flood = [UInt8](repeating: 1, count: 1 << 20)
    let sender = try onThread { while (try? client.send(flood)) != nil {} }
    let server = try harness.upstream.accept()
    #expect(try client.read(through: "\r\n").hasPrefix("HTTP/1.1 504 "))
    client.finish()
    sender.join()
    try? _ = server.waitForEnd()
    #expect(try harness.end().map(\.verdict) == ["timeout upload"])
  }

  @Test("A body that is larger than it may be never reaches upstream where it says so, and never as a whole where not")
  func bodyLimit() throws {
    let harness = try ProxyHarness { $0.limits.requestBodyBytes = 10 }
    let said = try harness.connect()
    try said.send("POST /up HTTP/1.1\r\nHost: llm\r\nContent-Length: 11\r\n\r\n")
    #expect(try said.readToEnd().hasPrefix("HTTP/1.1 413 "))
    #expect(!harness.upstream.hasVisitor())
    let fits = try harness.connect()
    try fits.send("POST /up HTTP/1.1\r\nHost: llm\r\nContent-Length: 10\r\n\r\n0123456789")
    let first = try harness.upstream.accept()
    _ = try first.read(through: "0123456789")
    try first.send(answer("done"))
    _ = try fits.read(through: "done")
    let grown = try harness.connect()
    try grown.send("POST /up HTTP/1.1\r\nHost: llm\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n")
    // The pooled connection carries it.
    _ = try first.read(through: "01234\r\n")
    try grown.send("6\r\n567890\r\n0\r\n\r\n")
    #expect(try grown.readToEnd().hasPrefix("HTTP/1.1 413 "))
    #expect(try !first.readToEnd().contains("567890"))
    #expect(try harness.end().map(\.verdict).sorted() == ["ok -", "rejected upload", "rejected upload"])
  }

  @Test("A response that does not come in time is a 504, and upstream is told")
  func response() throws {
    let harness = try ProxyHarness { $0.timeouts.response = .nanoseconds(1) }
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    #expect(try client.readToEnd().hasPrefix("HTTP/1.1 504 "))
    try server.waitForEnd()
    #expect(try harness.end().map(\.verdict) == ["timeout waiting"])
  }

  @Test("A stream that falls silent is cut, and upstream is told")
  func betweenReads() throws {
    let harness = try ProxyHarness { $0.timeouts.betweenReads = .nanoseconds(1) }
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    try server.send(streamHead + chunk(token("a")))
    let text = try client.readToEnd()
    #expect(text == streamHead + chunk(token("a")))
    try server.waitForEnd()
    #expect(try harness.end().map(\.verdict) == ["timeout streaming"])
  }

  @Test("Idle connections end on both sides, without a record")
  func idle() throws {
    let harness = try ProxyHarness {
      $0.timeouts.idle = .nanoseconds(1)
      $0.timeouts.upstreamIdle = .nanoseconds(1)
    }
    let silent = try harness.connect()
    #expect(try silent.readToEnd() == "")
    let client = try harness.connect()
    try client.send(get("/"))
    let server = try harness.upstream.accept()
    _ = try server.head()
    try server.send(answer("done"))
    #expect(try client.readToEnd() == answer("done"))
    try server.waitForEnd()
    #expect(try harness.end().map(\.verdict) == ["ok -"])
  }
}
