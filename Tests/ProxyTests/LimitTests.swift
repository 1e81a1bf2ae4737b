// Bounds on how many: exchanges at upstream, connections of a client, descriptors. Each with its answer and its record.
// It must not sleep: upstream lets one answer go after the other.
import Glibc
import SettingValues
import TestSupport
import Testing

@testable import Proxy

@Suite("How many at once")
struct LimitTests {
  @Test("One exchange at upstream at a time: the others wait in order, beyond the queue they are turned away")
  func inFlight() throws {
    let harness = try ProxyHarness {
      $0.limits.inFlight = 1
      $0.limits.queue = 2
    }
    let first = try harness.connect()
    try first.send(get("/1"))
    let server = try harness.upstream.accept()
    _ = try server.head()
    let second = try harness.connect()
    try second.send(get("/2"))
    // Whoever is answered 503 says that those before are in the queue.
    let third = try harness.connect()
    try third.send(get("/3"))
    var queueFull = 0
    while queueFull < 1 {
      let probe = try harness.connect()
      try probe.send(get("/probe"))
      if probe.isReady(1, milliseconds: 200) {
        #expect(try probe.readToEnd().hasPrefix("HTTP/1.1 503 "))
        queueFull += 1
      } else {
        probe.close()
      }
    }
    #expect(!harness.upstream.hasVisitor())
    try server.send(answer("one"))
    #expect(try first.read(through: "one").hasSuffix("one"))
    #expect(try server.head().hasPrefix("GET /2 "))
    try server.send(answer("two"))
    _ = try second.read(through: "two")
    #expect(try server.head().hasPrefix("GET /3 "))
    try server.send(answer("three"))
    _ = try third.read(through: "three")
    let lines = try harness.end()
    #expect(lines.filter { $0.verdict == "ok -" }.count == 3)
    #expect(lines.filter { $0.verdict == "rejected connecting" }.count == 1)
    #expect(lines.allSatisfy { ["ok -", "rejected connecting", "client_cancelled connecting"].contains($0.verdict) })
    #expect(lines.filter { $0.verdict == "ok -" }.allSatisfy { $0.int("in_flight") == 1 })
  }

  @Test("A client that leaves the queue is recorded, and its place goes to the next")
  func leavesQueue() throws {
    let harness = try ProxyHarness { $0.limits.inFlight = 1 }
    let first = try harness.connect()
    try first.send(get("/1"))
    let server = try harness.upstream.accept()
    _ = try server.head()
    let second = try harness.connect()
    try second.send(chatRequest())
    second.reset()
    try harness.awaitRecords(1)
    let third = try harness.connect()
    try third.send(get("/3"))
    first.reset()
    try server.waitForEnd()
    let other = try harness.upstream.accept()
    #expect(try other.head().hasPrefix("GET /3 "))
    try other.send(answer("three"))
    _ = try third.read(through: "three")
    let verdicts = try harness.end().map(\.verdict)
    #expect(verdicts == ["client_cancelled connecting", "client_cancelled waiting", "ok -"])
  }

  @Test("Whoever waits too long for a place may try again")
  func queueTimeout() throws {
    let harness = try ProxyHarness {
      $0.limits.inFlight = 1
      $0.timeouts.queue = .nanoseconds(1)
      $0.timeouts.retryAfter = .nanoseconds(2_500_000_000)
    }
    let first = try harness.connect()
    try first.send(get("/1"))
    let server = try harness.upstream.accept()
    _ = try server.head()
    let second = try harness.connect()
    try second.send(get("/2"))
    let refusal = try second.readToEnd()
    #expect(refusal.hasPrefix("HTTP/1.1 503 ") && refusal.contains("\r\nRetry-After: 3\r\n"))
    try server.send(answer("one"))
    _ = try first.read(through: "one")
    #expect(try harness.end().map(\.verdict) == ["timeout connecting", "ok -"])
  }

  /// Settings under which three stalled uploads of 40 KB are too much.
  private static func littleMemory(_ settings: inout Settings) {
    settings.limits.inFlight = 1
    settings.buffers.highWatermarkBytes = 50_000
    settings.buffers.lowWatermarkBytes = 10_000
    settings.buffers.waitingRequestsBytes = 100_000
  }

  /// Sends a request with a body of 40 KB that lacks its last `missing` bytes, and waits until the proxy has read it: a probe
  /// that it refuses was sent later.
  private func upload(_ harness: ProxyHarness, missing: Int) throws -> SocketPeer {
    let client = try harness.connect()
    let body = String(repeating: "b", count: 40_000 - missing)
    try client.send("POST /upload HTTP/1.1\r\nHost: llm\r\nContent-Length: 40000\r\n\r\n\(body)")
    let probe = try harness.connect()
    try probe.send("GET / HTTP/9.9\r\n\r\n")
    _ = try probe.readToEnd()
    return client
  }

  @Test(
    "Of the uploads that hold too much memory, the one that has been coming in for longest makes room, and no other")
  func stalledUploads() throws {
    let harness = try ProxyHarness(Self.littleMemory)
    let stalled = try (0..<2).map { _ in try upload(harness, missing: 1) }
    let third = try upload(harness, missing: 0)
    let refusal = try stalled[0].readToEnd()
    #expect(refusal.hasPrefix("HTTP/1.1 503 ") && refusal.contains("\r\nRetry-After: "))
    #expect(refusal.contains("take too much memory"))
    let server = try harness.upstream.accept()
    try server.send(answer("third", "Connection: close\r\n"))
    #expect(try third.read(through: "third").hasPrefix("HTTP/1.1 200 "))
    try stalled[1].send("b")
    let other = try harness.upstream.accept()
    try other.send(answer("second"))
    #expect(try stalled[1].read(through: "second").hasPrefix("HTTP/1.1 200 "))
    #expect(harness.hits(.waitingRequests) == 1)
    let lines = try harness.end().filter { $0["path"] == "/upload" }
    #expect(lines.map(\.verdict) == ["rejected upload", "ok -", "ok -"])
    #expect(lines.first?["error"]?.hasPrefix("waiting_requests_full: ") == true)
  }

  @Test("Where all that wait have come in whole, a newcomer that needs too much memory is refused, and they are served")
  func waitingMemory() throws {
    let harness = try ProxyHarness(Self.littleMemory)
    let clients = try (0..<3).map { _ in try upload(harness, missing: 0) }
    // The first has the place, and waits for nothing.
    let server = try harness.upstream.accept()
    let refused = try upload(harness, missing: 1)
    #expect(try refused.readToEnd().hasPrefix("HTTP/1.1 503 "))
    for client in clients {
      _ = try server.head()
      try server.send(answer("served"))
      #expect(try client.read(through: "served").hasPrefix("HTTP/1.1 200 "))
    }
    let verdicts = try harness.end().filter { $0["path"] == "/upload" }.map(\.verdict)
    #expect(verdicts == ["rejected upload", "ok -", "ok -", "ok -"])
  }

  @Test("What a request holds while it waits is given back, however it ends")
  func memoryIsGivenBack() throws {
    let harness = try ProxyHarness(Self.littleMemory)
    for _ in 0..<5 {
      let stalled = try upload(harness, missing: 1)
      stalled.reset()
    }
    let client = try upload(harness, missing: 0)
    let server = try harness.upstream.accept()
    try server.send(answer("served"))
    #expect(try client.read(through: "served").hasPrefix("HTTP/1.1 200 "))
    #expect(harness.hits(.waitingRequests) == 0)
    #expect(try harness.end().filter { $0.verdict == "client_cancelled upload" }.count == 5)
  }

  @Test("Uploads that only begin take no place: a complete request goes before them")
  func unfinishedUploads() throws {
    let harness = try ProxyHarness { $0.limits.inFlight = 2 }
    let slow = try (0..<4).map { _ in try harness.connect() }
    for client in slow { try client.send("POST /slow HTTP/1.1\r\nHost: llm\r\nContent-Length: 4\r\n\r\nab") }
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    #expect(try server.head().hasPrefix("POST /v1/chat/completions "))
    try server.send(answer("x", "Connection: close\r\n"))
    #expect(try client.head().hasPrefix("HTTP/1.1 200 "))
    #expect(!harness.upstream.hasVisitor(milliseconds: 100))
    try slow[0].send("cd")
    let late = try harness.upstream.accept()
    #expect(try late.read(through: "abcd").hasPrefix("POST /slow "))
    try late.send(answer("y", "Connection: close\r\n"))
    #expect(try slow[0].head().hasPrefix("HTTP/1.1 200 "))
    let lines = try harness.end()
    #expect(lines.filter { $0.verdict == "ok -" }.count == 2)
  }

  @Test("A body that comes while its exchange waits goes out whole, however large")
  func bodyWhileQueued() throws {
    let harness = try ProxyHarness {
      $0.limits.inFlight = 1
      $0.buffers.highWatermarkBytes = 10_000
      $0.buffers.lowWatermarkBytes = 1_000
    }
    let first = try harness.connect()
    try first.send(get("/1"))
    let server = try harness.upstream.accept()
    _ = try server.head()
    let second = try harness.connect()
    let body = String(repeating: "0123456789", count: 100_000)
    let sender = try onThread {
      try second.send("POST /up HTTP/1.1\r\nHost: llm\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body)
    }
    // Paused at the mark, it stays there.
    #expect(!harness.upstream.hasVisitor(milliseconds: 300))
    try server.send(answer("one"))
    _ = try first.read(through: "one")
    #expect(try server.head().hasPrefix("POST /up "))
    var received = 0
    while received < body.utf8.count { received += try server.receive().count }
    #expect(received == body.utf8.count)
    sender.join()
    try server.send(answer("two"))
    _ = try second.read(through: "two")
    #expect(try harness.end().map { $0.int("request_bytes") } == [0, body.utf8.count])
  }

  @Test("A large body that waits for its connection goes out whole")
  func bodyWhileConnecting() throws {
    let harness = try ProxyHarness {
      $0.buffers.highWatermarkBytes = 10_000
      $0.buffers.lowWatermarkBytes = 1_000
    }
    let client = try harness.connect()
    let body = String(repeating: "0123456789", count: 100_000)
    let sender = try onThread {
      try client.send("POST /up HTTP/1.1\r\nHost: llm\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body)
    }
    let server = try harness.upstream.accept()
    _ = try server.head()
    var received = 0
    while received < body.utf8.count { received += try server.receive().count }
    sender.join()
    try server.send(answer("done"))
    _ = try client.read(through: "done")
    let line = try #require(try harness.end().first)
    #expect(received == body.utf8.count)
    #expect(line.verdict == "ok -" && line.int("request_bytes") == body.utf8.count)
  }

  @Test("Over all workers no more are at upstream than may be, and each gets there")
  func workers() throws {
    let harness = try ProxyHarness {
      $0.workers = 4
      $0.limits.inFlight = 2
    }
    let clients = try (0..<12).map { _ in try harness.connect() }
    for client in clients { try client.send(get("/")) }
    var open = [try harness.upstream.accept(), try harness.upstream.accept()]
    #expect(!harness.upstream.hasVisitor(milliseconds: 100))
    for number in 0..<12 {
      let server = open.removeFirst()
      _ = try server.head()
      try server.send(answer("x", "Connection: close\r\n"))
      server.close()
      if number < 10 { open.append(try harness.upstream.accept()) }
    }
    for client in clients { _ = try client.read(through: "\r\n\r\nx") }
    let lines = try harness.end()
    #expect(lines.count == 12)
    #expect(lines.allSatisfy { $0.verdict == "ok -" && ($0.int("in_flight") ?? 9) <= 2 })
  }

  @Test("A client with too many connections is told so, over all workers, and served again once it has fewer")
  func connectionsPerClient() throws {
    let harness = try ProxyHarness {
      $0.workers = 3
      $0.limits.connectionsPerClient = 2
    }
    let held = [try harness.connect(), try harness.connect()]
    // They are counted when they are accepted.
    for (number, peer) in held.enumerated() {
      try peer.send(get("/\(number)"))
      let server = try harness.upstream.accept()
      _ = try server.head()
      try server.send(answer("x", "Connection: close\r\n"))
      server.close()
      _ = try peer.head()
    }
    let extra = try harness.connect()
    try extra.send(get("/extra"))
    let refusal = try extra.readToEnd()
    #expect(refusal.hasPrefix("HTTP/1.1 429 ") && refusal.contains("\r\nRetry-After: 1\r\n"))
    held[0].close()
    // The proxy learns of it by itself: until then it refuses.
    for _ in 0..<1_000 {
      let again = try harness.connect()
      try again.send(get("/again"))
      if harness.upstream.hasVisitor(milliseconds: 50) {
        let server = try harness.upstream.accept()
        _ = try server.head()
        try server.send(answer("x"))
        _ = try again.head()
        break
      }
    }
    let lines = try harness.end()
    #expect(lines.filter { $0.verdict == "ok -" }.count == 3)
    #expect(lines.filter { $0.verdict == "rejected upload" && $0.int("status") == 429 }.count >= 1)
  }

  @Test("Clients beyond the budget of descriptors are told so, and those inside are served")
  func descriptors() throws {
    let harness = try ProxyHarness {
      $0.limits.descriptors = 32
      $0.pool.idleConnections = 0
    }
    // (32 - 1 spare - 2 refusing) / 2
    let inside = try (0..<14).map { _ in try harness.connect() }
    for client in inside { try client.send(get("/")) }
    let servers = try inside.map { _ in try harness.upstream.accept() }
    let extra = try harness.connect()
    try extra.send(get("/extra"))
    let refusal = try extra.readToEnd()
    #expect(refusal.hasPrefix("HTTP/1.1 503 ") && refusal.contains("\r\nRetry-After: 1\r\n"))
    for server in servers {
      _ = try server.head()
      try server.send(answer("x"))
    }
    for client in inside { #expect(try client.head().hasPrefix("HTTP/1.1 200 ")) }
    let lines = try harness.end()
    #expect(lines.filter { $0.verdict == "ok -" }.count == 14)
    #expect(lines.filter { $0.int("status") == 503 && $0.verdict == "rejected upload" }.count == 1)
  }

  @Test("However many connections of one client are too many, they hold up nobody")
  func rejectedDoNotWait() throws {
    let harness = try ProxyHarness { $0.limits.connectionsPerClient = 1 }
    let first = try harness.connect()
    // More than are told so at a time: the others are closed at once, and the listener goes on.
    let silent = try (0..<80).map { _ in try harness.connect() }
    let last = try #require(silent.last)
    #expect(last.isReady(POLLIN, milliseconds: 400))
    #expect(try last.readToEnd() == "")
    try first.send(get("/"))
    let server = try harness.upstream.accept()
    _ = try server.head()
    try server.send(answer("x"))
    #expect(try first.head().hasPrefix("HTTP/1.1 200 "))
    _ = try harness.end()
  }

  @Test("Clients that are idle make room for newcomers, the longest idle first")
  func idleMakesRoom() throws {
    let harness = try ProxyHarness {
      $0.limits.descriptors = 9
      $0.pool.idleConnections = 0
    }
    // (9 - 1 refusing - …) / 2 is less than three.
    var clients: [SocketPeer] = []
    for number in 0..<6 {
      let client = try harness.connect()
      clients.append(client)
      try client.send(get("/\(number)"))
      let server = try harness.upstream.accept()
      _ = try server.head()
      try server.send(answer("x", "Connection: close\r\n"))
      server.close()
      #expect(try client.read(through: "\r\n\r\nx").hasPrefix("HTTP/1.1 200 "))
    }
    #expect(try clients[0].readToEnd() == "")
    #expect(try clients[1].readToEnd() == "")
    #expect(!clients[5].isReady(POLLIN, milliseconds: 50))
    #expect(try harness.end().map(\.verdict) == Array(repeating: "ok -", count: 6))
  }
}
