// What operators may want otherwise: half-closing clients, loops, expectations; and what came early keeps its time.
// It must not depend on time.
import Clocks
import Foundation
import SettingValues
import Testing

@testable import Proxy

@Suite("Half-closing clients (case 45)")
struct HalfCloseTests {
  @Test("Where it is allowed, a client that ended its side gets its answer, and the connection ends with it")
  func answered() throws {
    let harness = try ProxyHarness { $0.forwarding.halfClose = .finish }
    let client = try harness.connect()
    try client.send(chatRequest())
    client.finish()
    let server = try harness.upstream.accept()
    #expect(try server.read(through: "[]}") == chatRequest())
    // The end is there before the answer is: it must not end the exchange.
    #expect(!server.isReady(POLLIN | POLLHUP, milliseconds: 100))
    try server.send(streamHead + chunk(token("a")) + chunk("data: [DONE]\n\n") + "0\r\n\r\n")
    #expect(try client.readToEnd() == streamHead + chunk(token("a")) + chunk("data: [DONE]\n\n") + "0\r\n\r\n")
    #expect(try harness.end().map(\.verdict) == ["ok -"])
  }

  @Test("All requests that came before the end are answered, and half of one is not begun")
  func pipelined() throws {
    let harness = try ProxyHarness { $0.forwarding.halfClose = .finish }
    let client = try harness.connect()
    try client.send(get("/1") + get("/2") + "GET /3 HT")
    client.finish()
    let server = try harness.upstream.accept()
    for body in ["one", "two"] {
      _ = try server.head()
      try server.send(answer(body))
    }
    #expect(try client.readToEnd() == answer("one") + answer("two"))
    #expect(try harness.end().map(\.verdict) == ["ok -", "ok -", "client_cancelled upload"])
  }

  @Test("A body that its client's end cut short is never whole upstream", arguments: [true, false])
  func cutBody(isEarly: Bool) throws {
    let harness = try ProxyHarness { $0.forwarding.halfClose = .finish }
    let client = try harness.connect()
    let upload = "POST /up HTTP/1.1\r\nHost: llm\r\nContent-Length: 100\r\n\r\npart"
    try client.send(isEarly ? get("/1") + upload : upload)
    client.finish()
    let server = try harness.upstream.accept()
    if isEarly {
      _ = try server.head()
      try server.send(answer("one"))
    }
    // Where the end came before the connection stood, nothing was sent at all.
    #expect((try? server.readToEnd()).map { $0.isEmpty || $0.hasSuffix("part") } ?? true)
    try client.waitForEnd()
    #expect(try harness.end().last?.verdict == "client_cancelled upload")
  }

  @Test("A client that is reset behind its end has left")
  func reset() throws {
    let harness = try ProxyHarness { $0.forwarding.halfClose = .finish }
    let client = try harness.connect()
    try client.send(chatRequest())
    client.finish()
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    #expect(!server.isReady(POLLIN | POLLHUP, milliseconds: 100))
    client.reset()
    try server.waitForEnd()
    #expect(try harness.end().map(\.verdict) == ["client_cancelled waiting"])
  }

  @Test("A client that closed for good is noticed once something is sent to it")
  func closed() throws {
    let harness = try ProxyHarness { $0.forwarding.halfClose = .finish }
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    client.close()
    // The first bytes are answered by a reset, and that ends upstream.
    try server.send(streamHead + chunk(token("a")))
    try server.waitForEnd()
    #expect(try harness.end().first?["outcome"] == "client_cancelled")
  }

  @Test("A tunnel is told that the client had ended before it began")
  func tunnel() throws {
    let harness = try ProxyHarness { $0.forwarding.halfClose = .finish }
    let client = try harness.connect()
    try client.send(get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n") + "all")
    client.finish()
    let server = try harness.upstream.accept()
    _ = try server.head()
    try server.send("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    #expect(try server.readToEnd() == "all")
    try server.send("answer")
    server.close()
    #expect(try client.readToEnd().hasSuffix("\r\n\r\nanswer"))
    #expect(try harness.end().map(\.verdict) == ["tunnelled -"])
  }
}

@Suite("Policies")
struct PolicyTests {
  @Test("Via says which way a request and its response came, and stops one that goes in a circle (case 5)")
  func via() throws {
    let harness = try ProxyHarness {
      $0.forwarding.via = true
      $0.forwarding.pseudonym = "edge"
    }
    let client = try harness.connect()
    try client.send(get("/", "Via: 1.0 outer\r\n"))
    let server = try harness.upstream.accept()
    #expect(try server.head() == get("/", "Via: 1.0 outer\r\nVia: 1.1 edge\r\n"))
    try server.send("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok")
    #expect(try client.read(through: "ok") == "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.0 edge\r\n\r\nok")
    try client.send(get("/again?q", "Via: 1.0 outer, 1.1 Edge (x)\r\n"))
    #expect(try client.readToEnd().hasPrefix("HTTP/1.1 508 Loop Detected\r\n"))
    #expect(!server.isReady(POLLIN, milliseconds: 0) && !harness.upstream.hasVisitor())
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == ["ok -", "rejected upload"])
    #expect(lines.last?.int("status") == 508 && lines.last?["path"] == "/again")
  }

  @Test("The client's address goes into both fields where that is set")
  func address() throws {
    let harness = try ProxyHarness {
      $0.forwarding.xForwardedFor = .append
      $0.forwarding.forwarded = .replace
    }
    let client = try harness.connect()
    try client.send(get("/", "Forwarded: for=evil\r\nX-Forwarded-For: 1.2.3.4\r\n"))
    let server = try harness.upstream.accept()
    #expect(try server.head() == get("/", "Forwarded: for=127.0.0.1\r\nX-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n"))
    try server.send(answer("ok"))
    _ = try client.read(through: "\r\n\r\nok")
    _ = try harness.end()
  }

  @Test("A 405 says what is served (RFC 9110 §15.5.6)")
  func allow() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
    let head = try client.head()
    #expect(head.hasPrefix("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD, POST, "))
    #expect(!harness.upstream.hasVisitor())
    _ = try harness.end()
  }

  static let expecting = chatRequest("{}", "Expect: 100-continue\r\n")

  @Test("A final answer in place of the 100 ends both connections, the body unsent (case 11)")
  func noContinue() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(String(Self.expecting.dropLast(2)))
    let server = try harness.upstream.accept()
    _ = try server.head()
    try server.send(answer("no"))
    #expect(try client.readToEnd() == closing(answer("no")))
    #expect(try server.readToEnd() == "")
    #expect(try harness.end().map(\.verdict) == ["ok -"])
  }

  @Test("Upstream's connection is not used again where the body went out without its 100", arguments: [true, false])
  func bodyWithoutContinue(continues: Bool) throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    // A server may take this body for the next request, if it thinks that its answer kept the client from sending it.
    try client.send(Self.expecting)
    let server = try harness.upstream.accept()
    _ = try server.read(through: "{}")
    try server.send((continues ? "HTTP/1.1 100 Continue\r\n\r\n" : "") + answer("done"))
    #expect(try client.read(through: "done").hasSuffix(answer("done")))
    try client.send(get("/next"))
    let next = continues ? server : try harness.upstream.accept()
    #expect(try next.head() == get("/next"))
    try next.send(answer("next"))
    #expect(try client.read(through: "next") == answer("next"))
    #expect(try harness.end().map { $0.bool("upstream_reused") } == [false, continues])
  }

  @Test("A request that waited behind another says when its first byte came, and how long it was kept waiting")
  func pipelinedTimes() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(get("/1") + get("/2"))
    let server = try harness.upstream.accept()
    _ = try server.head()
    // The second one waits for at least so long.
    #expect(!server.isReady(POLLIN, milliseconds: 200))
    try server.send(answer("one"))
    _ = try server.head()
    try server.send(answer("two"))
    #expect(try client.read(through: "two") == answer("one") + answer("two"))
    let lines = try harness.end()
    #expect(lines[0].values["ts"] as? String == lines[1].values["ts"] as? String)
    #expect((lines[1].double("upload_ms") ?? 0) >= 200)
    #expect((lines[0].double("upload_ms") ?? .infinity) < (lines[1].double("upload_ms") ?? 0))
  }

  @Test("Half a head that waited behind another request has its own time to become whole")
  func headDeadline() throws {
    let harness = try ProxyHarness { $0.timeouts.requestHead = .nanoseconds(3_000_000_000) }
    let client = try harness.connect()
    try client.send(get("/1") + "GET /2 HTTP/1.1\r\n")
    let server = try harness.upstream.accept()
    _ = try server.head()
    #expect(!server.isReady(POLLIN, milliseconds: 3_500))
    try server.send(answer("one"))
    #expect(try client.read(through: "one") == answer("one"))
    try client.send("Host: llm\r\n\r\n")
    #expect(try server.head() == get("/2"))
    try server.send(answer("two"))
    #expect(try client.read(through: "two") == answer("two"))
    #expect(try harness.end().map(\.verdict) == ["ok -", "ok -"])
  }
}

@Suite("The PROXY protocol (case 58)")
struct ProxyProtocolTests {
  private static let line = "PROXY TCP4 192.0.2.7 10.0.0.1 56308 80\r\n"

  @Test("The client is the one that the header names, for the record and for the fields that name it")
  func named() throws {
    let harness = try ProxyHarness {
      $0.proxyProtocol.mode = .required
      $0.forwarding.xForwardedFor = .append
      $0.forwarding.forwarded = .append
    }
    let headers: [([UInt8], String)] = [
      (Array(Self.line.utf8), "192.0.2.7"),
      (Array("PROXY UNKNOWN\r\n".utf8), "127.0.0.1"),
      ([13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x20, 0, 0, 0], "127.0.0.1"),
      (
        [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x21, 0x21, 0, 36, 0x20, 1, 0x0D, 0xB8]
          + [UInt8](repeating: 0, count: 11) + [7] + [UInt8](repeating: 0, count: 16) + [0, 1, 0, 2], "2001:db8::7"
      ),
    ]
    for (header, address) in headers {
      let element = address.contains(":") ? "\"[\(address)]\"" : address
      let request = get("/", "X-Forwarded-For: \(address)\r\nForwarded: for=\(element)\r\n")
      for isSplit in [false, true] {
        let client = try harness.connect()
        let bytes = header + Array(get("/", "Connection: close\r\n").utf8)
        if isSplit { for byte in bytes { try client.send([byte]) } } else { try client.send(bytes) }
        let server = try harness.upstream.accept()
        #expect(try server.head() == request)
        try server.send(closing(answer("ok")))
        _ = try client.readToEnd()
      }
    }
    let clients = headers.flatMap { [$0.1, $0.1] }
    #expect(try harness.end().map { $0["client"] } == clients)
  }

  @Test("It names the client of every request of its connection, and none of those is taken for a header")
  func once() throws {
    let harness = try ProxyHarness { $0.proxyProtocol.mode = .required }
    let client = try harness.connect()
    try client.send(Self.line + get("/1") + get("/2") + Self.line)
    let server = try harness.upstream.accept()
    for path in ["/1", "/2"] {
      #expect(try server.head() == get(path))
      try server.send(answer(path))
    }
    #expect(try client.readToEnd().contains("HTTP/1.1 501 "))
    let lines = try harness.end()
    #expect(lines.map { $0["client"] } == ["192.0.2.7", "192.0.2.7", "192.0.2.7"])
    #expect(lines.map(\.verdict) == ["ok -", "ok -", "rejected upload"])
  }

  @Test("What is no header is closed unanswered, unrecorded, and never seen by upstream")
  func garbage() throws {
    let harness = try ProxyHarness { $0.proxyProtocol.mode = .required }
    for bytes in [
      get("/"), "PROXY TCP4 1.1.1.1\r\n" + get("/"), "\r\n\r\n\0\r\nQUIX", String(repeating: "P", count: 200),
    ] {
      let client = try harness.connect()
      try client.send(bytes)
      // Bytes that nobody read make the close a reset.
      #expect((try? client.readToEnd()) ?? "" == "")
    }
    let half = try harness.connect()
    try half.send("PROXY TCP4 ")
    half.finish()
    #expect(try half.readToEnd() == "")
    #expect(!harness.upstream.hasVisitor())
    #expect(harness.hits(.proxyHeader) == 5)
    #expect(try harness.end().isEmpty)
  }

  @Test("A header that does not come in time closes the connection")
  func late() throws {
    let harness = try ProxyHarness {
      $0.proxyProtocol.mode = .required
      $0.timeouts.requestHead = .nanoseconds(300_000_000)
    }
    for bytes in ["", "PROXY TCP4 "] {
      let client = try harness.connect()
      try client.send(bytes)
      #expect(try client.readToEnd() == "")
    }
    #expect(harness.hits(.proxyHeaderTimeout) == 2)
    #expect(try harness.end().isEmpty)
  }

  @Test("Peers that are not to be believed are closed before they say anything")
  func untrusted() throws {
    let harness = try ProxyHarness {
      $0.proxyProtocol.mode = .required
      $0.proxyProtocol.peers = [AddressRange("10.0.0.1")].compactMap { $0 }
    }
    let client = try harness.connect()
    try client.waitForEnd()
    #expect(harness.hits(.proxyHeader) == 1)
    #expect(try harness.end().isEmpty)
  }
}
