// Upstream servers: that two of them share nothing by mistake, and that one keeps its identity when its address
// changes.
import Foundation
import SettingValues
import Synchronization
import TestSupport
import Testing

@testable import Proxy

@Suite("Two upstreams")
struct TwoUpstreamsTests {
  /// Sends what is asked for below `/b` to the second server.
  private static let byPath = Router { $0.path.hasPrefix("/b") ? $1[1] : $1[0] }

  private func harness(
    router: Router = byPath, _ adjust: (inout Settings) -> Void = { _ in }
  ) throws -> (ProxyHarness, a: ScriptedUpstream, b: ScriptedUpstream) {
    let (a, b) = (try ScriptedUpstream(), try ScriptedUpstream())
    return (try ProxyHarness(upstream: a, others: [b], router: router, adjust), a, b)
  }

  @Test("Each request reaches its own server over connections of its own, and the record names that server")
  func routed() throws {
    let (harness, a, b) = try harness()
    let client = try harness.connect()
    try client.send(get("/a"))
    let toA = try a.accept()
    #expect(try toA.head() == get("/a"))
    try toA.send(answer("from a"))
    _ = try client.read(through: "from a")
    // The idle connection to the first server is of no use to the second.
    try client.send(get("/b"))
    let toB = try b.accept()
    #expect(try toB.head() == get("/b"))
    try toB.send(answer("from b"))
    _ = try client.read(through: "from b")
    for (path, server) in [("/a/2", toA), ("/b/2", toB)] {
      try client.send(get(path))
      #expect(try server.head() == get(path))
      try server.send(answer("again"))
      _ = try client.read(through: "again")
    }
    for place in 0...1 {
      let counters = harness.counters(place)
      try eventually { counters.idle.level == 1 }
      #expect(counters.opened.count == 1 && counters.reuses.count == 1)
      #expect(counters.reads.count == 2)
    }
    let addresses = ["127.0.0.1:\(a.port)", "127.0.0.1:\(b.port)"]
    #expect(try harness.end().map { $0["upstream"] } == addresses + addresses)
  }

  @Test("The limit of one server holds up nobody at the other, and who waits is admitted by its own server only")
  func limited() throws {
    let (harness, a, b) = try harness { $0.limits.inFlight = 1 }
    let clients = try (0..<4).map { _ in try harness.connect() }
    try clients[0].send(get("/a/1"))
    let toA = try a.accept()
    _ = try toA.head()
    try clients[1].send(get("/b/1"))
    let toB = try b.accept()
    _ = try toB.head()
    // Both are the first who wait at their server.
    try clients[2].send(get("/a/2"))
    try clients[3].send(get("/b/2"))
    let limiters = harness.server.state.upstreams.map(\.limiter)
    try eventually { limiters.allSatisfy { $0.occupancy == (1, 1) } }
    try toB.send(answer("b"))
    #expect(try toB.head() == get("/b/2"))
    #expect(limiters[0].occupancy == (1, 1) && limiters[1].occupancy == (1, 0))
    #expect(!toA.isReady(POLLIN, milliseconds: 50))
    try toA.send(answer("a"))
    #expect(try toA.head() == get("/a/2"))
    try toA.send(answer("a"))
    try toB.send(answer("b"))
    for client in clients { _ = try client.head() }
    #expect(try harness.end().map(\.verdict) == ["ok -", "ok -", "ok -", "ok -"])
    #expect(limiters.allSatisfy { $0.occupancy == (0, 0) })
  }

  @Test("A request without a Host field gets that of its own server, also where its head was seen before")
  func defaultHost() throws {
    let count = Mutex(0)
    let (harness, a, b) = try harness(
      router: Router { _, upstreams in
        upstreams[
          count.withLock {
            $0 += 1; return $0
          } <= 3 ? 0 : 1]
      })
    let client = try harness.connect()
    var peers: [SocketPeer] = []
    for number in 0..<5 {
      try client.send("GET /same HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
      let server = number < 3 ? a : b
      if number == 0 || number == 3 { peers.append(try server.accept()) }
      #expect(try peers[peers.count - 1].head().contains("\r\nHost: 127.0.0.1:\(server.port)\r\n"), "\(number)")
      try peers[peers.count - 1].send(answer("ok"))
      _ = try client.read(through: "\r\n\r\nok")
    }
    _ = try harness.end()
  }

  @Test("A server that cannot be reached is no trouble for the other")
  func unreachable() throws {
    let (harness, a, b) = try harness()
    b.close()
    let refused = try harness.connect()
    try refused.send(get("/b"))
    #expect(try refused.readToEnd().hasPrefix("HTTP/1.1 502 "))
    let client = try harness.connect()
    try client.send(get("/a"))
    let server = try a.accept()
    _ = try server.head()
    try server.send(answer("ok"))
    _ = try client.head()
    #expect(harness.counters(0).failed.count == 0 && harness.counters(1).failed.count == 1)
    #expect(try harness.end().map(\.verdict) == ["upstream_unreachable connecting", "ok -"])
  }
}

@Suite("Settings read again")
struct UpstreamReloadTests {
  @Test("Another address: what runs ends where it began, what begins goes there, and no old connection is used")
  func address() throws {
    let harness = try ProxyHarness()
    let clients = try (0..<2).map { _ in try harness.connect() }
    // One connection is idle, the other is in use.
    try clients[0].send(get("/idle"))
    let idle = try harness.upstream.accept()
    _ = try idle.head()
    let running = try harness.connect()
    try running.send(get("/running"))
    let old = try harness.upstream.accept()
    _ = try old.head()
    try idle.send(answer("ok"))
    _ = try clients[0].head()
    try eventually { harness.counters().idle.level == 1 }
    let next = try ScriptedUpstream()
    harness.reload { $0.upstream = UpstreamAddress(host: "127.0.0.1", port: next.port) }
    // The idle connection is closed at once, the other one behind its answer.
    #expect(try idle.readToEnd() == "")
    try clients[1].send(get("/new"))
    let new = try next.accept()
    #expect(try new.head() == get("/new"))
    try old.send(answer("old"))
    _ = try running.read(through: "old")
    #expect(try old.readToEnd() == "")
    try new.send(answer("new"))
    _ = try clients[1].read(through: "new")
    try running.send(get("/again"))
    #expect(try new.head() == get("/again"))
    try new.send(answer("new"))
    _ = try running.read(through: "new")
    let (before, after) = ("127.0.0.1:\(harness.upstream.port)", "127.0.0.1:\(next.port)")
    let lines = try harness.end()
    #expect(lines.map { $0["upstream"] } == [before, before, after, after])
    #expect(lines.map { $0.bool("upstream_reused") } == [false, false, false, true])
  }

  @Test("An exchange that waits for a permit goes to the address that is in force when it is admitted")
  func queued() throws {
    let harness = try ProxyHarness { $0.limits.inFlight = 1 }
    let (first, second) = (try harness.connect(), try harness.connect())
    try first.send(get("/1"))
    let old = try harness.upstream.accept()
    _ = try old.head()
    try second.send(get("/2"))
    let limiter = harness.server.state.upstreams[0].limiter
    try eventually { limiter.occupancy.waiting == 1 }
    let next = try ScriptedUpstream()
    harness.reload {
      $0.upstream = UpstreamAddress(host: "127.0.0.1", port: next.port)
      $0.limits.inFlight = 2
    }
    // The new limit has room for it, while the first one still runs.
    let new = try next.accept()
    #expect(try new.head() == get("/2"))
    try new.send(answer("two"))
    _ = try second.read(through: "two")
    try old.send(answer("one"))
    _ = try first.read(through: "one")
    let lines = try harness.end()
    #expect(lines.map { $0["upstream"] } == ["127.0.0.1:\(next.port)", "127.0.0.1:\(harness.upstream.port)"])
    #expect(limiter.occupancy == (0, 0))
  }

  @Test("Settings that leave the address alone close the idle connections too: they were made under the former ones")
  func sameAddress() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(get("/1"))
    let first = try harness.upstream.accept()
    _ = try first.head()
    try first.send(answer("1"))
    _ = try client.head()
    try eventually { harness.counters().idle.level == 1 }
    harness.reload { $0.limits.responseHeadBytes = 2_000 }
    #expect(try first.readToEnd() == "")
    try client.send(get("/2"))
    let second = try harness.upstream.accept()
    _ = try second.head()
    try second.send(answer("2", "X-Long: \(String(repeating: "x", count: 3_000))\r\n"))
    #expect(try client.readToEnd().contains("HTTP/1.1 502 "))
    #expect(harness.counters().idle.level == 0)
    _ = try harness.end()
  }

  @Test("A reload's limits hold on connections that clients keep, from the next request on")
  func keptClients() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(get("/" + String(repeating: "x", count: 100)))
    let server = try harness.upstream.accept()
    _ = try server.head()
    harness.reload { $0.limits.targetBytes = 50 }
    // The reload is in force once the connection, which was made before, is not kept.
    try server.send(answer("1"))
    _ = try client.read(through: "\r\n\r\n1")
    #expect(try server.readToEnd() == "")
    try client.send(get("/" + String(repeating: "x", count: 100)))
    #expect(try client.readToEnd().hasPrefix("HTTP/1.1 414 "))
    #expect(try harness.end().map(\.verdict) == ["ok -", "rejected upload"])
  }
}
