// Protocols switched through the proxy: bytes both ways, kept whole, and one record.
// It must not depend on time.
import Foundation
import SettingValues
import TestSupport
import Testing

@testable import Proxy

private let offer = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
private let switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

/// A proxy with a tunnel through it.
private struct Tunnelled {
  let harness: ProxyHarness
  let client: SocketPeer
  let server: SocketPeer

  init(
    receiveBuffer: Int32? = nil, upstream: ScriptedUpstream? = nil, _ adjust: (inout Settings) -> Void = { _ in }
  )
    throws
  {
    harness = try ProxyHarness(upstream: upstream, adjust)
    client = try harness.connect(receiveBuffer: receiveBuffer)
    try client.send(get("/ws", offer))
    server = try harness.upstream.accept()
    #expect(try server.head() == get("/ws", offer))
    try server.send(switched)
    #expect(try client.head() == switched)
  }
}

@Suite("Tunnels")
struct TunnelTests {
  @Test("Bytes pass both ways, early ones of both sides first and once; the record is one (case 40)")
  func bothWays() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(get("/ws?a=b", offer) + "early up")
    let server = try harness.upstream.accept()
    #expect(try server.head() == get("/ws?a=b", offer))
    // Not before the 101.
    #expect(!server.isReady(POLLIN, milliseconds: 50))
    try server.send(switched + "early down")
    #expect(try client.head() == switched)
    #expect(try client.read(through: "early down") == "early down")
    #expect(try server.read(through: "early up") == "early up")
    for number in 0..<20 {
      try client.send("up \(number);")
      #expect(try server.read(through: ";") == "up \(number);")
      try server.send("down \(number);")
      #expect(try client.read(through: ";") == "down \(number);")
    }
    client.finish()
    #expect(try server.readToEnd() == "")
    server.close()
    #expect(try client.readToEnd() == "")
    let lines = try harness.end()
    try #require(lines.count == 1)
    #expect(lines[0].verdict == "tunnelled -" && lines[0].int("status") == 101)
    let up = 8 + (0..<20).reduce(0) { $0 + "up \($1);".utf8.count }
    let down = 10 + (0..<20).reduce(0) { $0 + "down \($1);".utf8.count }
    #expect(lines[0].int("request_bytes") == up && lines[0].int("response_bytes") == down)
    #expect(lines[0].values["dialect"] is NSNull && lines[0].values["stream"] is NSNull)
    #expect(lines[0]["path"] == "/ws" && lines[0].bool("upstream_reused") == false)
    #expect(lines[0].double("ttfb_ms") != nil && lines[0].double("total_ms") != nil)
  }

  @Test("A 101 sent byte by byte, and one with 64 KB behind it, lose nothing")
  func pieces() throws {
    let flood = String(repeating: "x", count: 64 * 1024)
    for parts in [(switched + "down").map { String($0) }, [switched + flood + "down"]] {
      let harness = try ProxyHarness()
      let client = try harness.connect()
      try client.send(get("/", offer))
      let server = try harness.upstream.accept()
      _ = try server.head()
      for part in parts { try server.send(part) }
      #expect(try client.read(through: "down") == parts.joined())
      client.reset()
      try server.waitForEnd()
      _ = try harness.end()
    }
  }

  @Test("A side that ends its own half is told to the other, which may go on", arguments: [true, false])
  func halfClosed(clientFirst: Bool) throws {
    let tunnel = try Tunnelled()
    let (first, second) = clientFirst ? (tunnel.client, tunnel.server) : (tunnel.server, tunnel.client)
    try first.send("last")
    first.finish()
    #expect(try second.readToEnd() == "last")
    try second.send("still here")
    #expect(try first.read(through: "here") == "still here")
    second.finish()
    #expect(try first.readToEnd() == "")
    #expect(try tunnel.harness.end().map(\.verdict) == ["tunnelled -"])
  }

  @Test("A side that is reset resets the other, and the record says which one was")
  func reset() throws {
    let one = try Tunnelled()
    one.client.reset()
    #expect(try one.server.waitForEnd())
    #expect(try one.harness.end().map(\.verdict) == ["client_cancelled streaming"])
    let other = try Tunnelled()
    other.server.reset()
    #expect(try other.client.waitForEnd())
    #expect(try other.harness.end().map(\.verdict) == ["upstream_reset streaming"])
  }

  @Test("A client that has closed for good is noticed by its reset, also behind its own end", arguments: [true, false])
  func resetAfterEnd(serverSpeaks: Bool) throws {
    let tunnel = try Tunnelled()
    tunnel.client.finish()
    #expect(try tunnel.server.readToEnd() == "")
    if serverSpeaks {
      tunnel.client.close()
      // The first is answered by a reset, and the next finds the tunnel gone.
      try tunnel.server.send("anybody?")
    } else {
      tunnel.client.reset()
    }
    #expect(tunnel.server.isReady(POLLERR | POLLHUP, milliseconds: 10_000))
    #expect(try tunnel.harness.end().map(\.verdict) == ["tunnelled -"])
  }

  @Test("A side that takes nothing pauses the other; what waited arrives whole", arguments: [true, false])
  func backpressure(towardsClient: Bool) throws {
    let upstream = try ScriptedUpstream(receiveBuffer: 4_096)
    let tunnel = try Tunnelled(receiveBuffer: 4_096, upstream: upstream)
    let (source, sink) = towardsClient ? (tunnel.server, tunnel.client) : (tunnel.client, tunnel.server)
    let bytes = 64 << 20
    let flood = try Flood(source, head: "", bytes: bytes)
    #expect(flood.untilStuck() < 48 << 20)
    var received = 0
    while received < bytes { received += try sink.receive().count }
    #expect(received == bytes)
    // The other way was open all along.
    try sink.send("back")
    #expect(try source.read(through: "back") == "back")
    let lines = try tunnel.harness.end()
    #expect(lines.map { $0.int(towardsClient ? "response_bytes" : "request_bytes") } == [bytes])
    if towardsClient { #expect((lines.first?.double("client_stalled_ms") ?? 0) > 0) }
  }

  @Test("A client that is reset while it is paused ends the tunnel")
  func resetWhilePaused() throws {
    let upstream = try ScriptedUpstream(receiveBuffer: 4_096)
    let tunnel = try Tunnelled(upstream: upstream)
    fill(tunnel.client)
    tunnel.client.reset()
    // The server takes nothing: the proxy lets go of the client all the same, and gives the server some time for the rest.
    // What it sent before goes on as far as the proxy had read it.
    #expect(throws: SocketFailure.self) {
      while true { if try tunnel.server.receive().isEmpty { return } }
    }
    #expect(try tunnel.harness.end().map(\.verdict) == ["client_cancelled streaming"])
  }

  @Test("A tunnel in which nothing passes is ended")
  func idle() throws {
    let tunnel = try Tunnelled { $0.timeouts.tunnel = .milliseconds(300) }
    #expect(try tunnel.client.waitForEnd())
    #expect(try tunnel.server.waitForEnd())
    #expect(try tunnel.harness.end().map(\.verdict) == ["timeout streaming"])
  }

  @Test("A drain lets a tunnel end, and its deadline cuts it")
  func drained() throws {
    let one = try Tunnelled()
    one.harness.server.drain()
    try one.client.send("on")
    #expect(try one.server.read(through: "on") == "on")
    one.client.finish()
    _ = try one.server.readToEnd()
    one.server.close()
    _ = try one.client.readToEnd()
    #expect(try one.harness.records().map(\.verdict) == ["tunnelled -"])
    let other = try Tunnelled { $0.timeouts.drain = .nanoseconds(1) }
    other.harness.server.drain()
    #expect(try other.client.waitForEnd())
    #expect(try other.server.waitForEnd())
    #expect(try other.harness.records().map(\.verdict) == ["timeout streaming"])
  }

  @Test("An offer that is answered with 200 is plain HTTP: what came early is the next request (case 41)")
  func declined() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(get("/ws", offer) + get("/next"))
    let first = try harness.upstream.accept()
    #expect(try first.head() == get("/ws", offer))
    try first.send(answer("no"))
    #expect(try client.read(through: "no") == answer("no"))
    // The connection that was offered a switch carries nothing else.
    try first.waitForEnd()
    let second = try harness.upstream.accept()
    #expect(try second.head() == get("/next"))
    try second.send(answer("next"))
    #expect(try client.read(through: "next") == answer("next"))
    #expect(try harness.end().map(\.verdict) == ["ok -", "ok -"])
  }

  @Test("An offer never goes out on a connection that was used before")
  func dedicated() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(get("/"))
    let pooled = try harness.upstream.accept()
    _ = try pooled.head()
    try pooled.send(answer("a"))
    _ = try client.read(through: "\r\n\r\na")
    try client.send(get("/ws", offer))
    let fresh = try harness.upstream.accept()
    #expect(try fresh.head() == get("/ws", offer))
    try fresh.send(switched)
    #expect(try client.head() == switched)
    #expect(!pooled.isReady(POLLIN, milliseconds: 0))
    client.close()
    try fresh.waitForEnd()
    _ = try harness.end()
  }

  @Test("A request with a body, or for h2c, is HTTP/1.1 with its body whole (case 42)")
  func notATunnel() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    let jdk = "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAE\r\nUpgrade: h2c\r\n"
    for fields in [jdk, offer] {
      try client.send("POST /up HTTP/1.1\r\nHost: llm\r\n\(fields)Content-Length: 4\r\n\r\nbody")
      let server = try harness.upstream.accept()
      #expect(try server.read(through: "body") == "POST /up HTTP/1.1\r\nHost: llm\r\nContent-Length: 4\r\n\r\nbody")
      try server.send(closing(answer("ok")))
      #expect(try client.read(through: "\r\n\r\nok") == answer("ok"))
    }
    #expect(try harness.end().map { $0.int("request_bytes") } == [4, 4])
  }

  @Test("A 101 that nobody asked for is a 502, and ends upstream's connection (case 43)")
  func unsolicited() throws {
    let harness = try ProxyHarness()
    let others = "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    for (asked, answered) in [("", switched), (offer, others), (offer, "HTTP/1.1 101 S\r\n\r\n")] {
      let client = try harness.connect()
      try client.send(get("/", asked) + "behind")
      let server = try harness.upstream.accept()
      _ = try server.head()
      try server.send(answered + "secret")
      let response = try client.readToEnd()
      #expect(response.hasPrefix("HTTP/1.1 502 ") && !response.contains("secret"))
      #expect(try !server.readToEnd().contains("behind"))
    }
    #expect(try harness.end().map(\.verdict) == Array(repeating: "upstream_invalid waiting", count: 3))
  }

  @Test("Where no protocol is tunnelled, offers are plain HTTP")
  func switchedOff() throws {
    let harness = try ProxyHarness { $0.forwarding.tunnels = [] }
    let client = try harness.connect()
    try client.send(get("/ws", offer))
    let server = try harness.upstream.accept()
    #expect(try server.head() == get("/ws"))
    try server.send(answer("as HTTP"))
    #expect(try client.read(through: "as HTTP") == answer("as HTTP"))
    _ = try harness.end()
  }
}
