// Bodies larger than every buffer, slow ends, and the proxy's own end.
// It must not depend on time, but for how long a stuck sender waits before it says so.
import Foundation
import Logging
import RecordLog
import SettingValues
import Synchronization
import TestSupport
import Testing
import Transport

@testable import Measurement
@testable import Proxy

/// Bytes that repeat only after a prime, so that a lost, doubled or moved piece shows.
enum Pattern {
  static let period = 999_983
  static let bytes: [UInt8] = (0..<period * 2).map { UInt8(truncatingIfNeeded: ($0 % period) &* 2_654_435_761 >> 7) }

  static func piece(at offset: Int, count: Int) -> ArraySlice<UInt8> {
    let start = offset % period
    return bytes[start..<start + min(count, period)]
  }
}

/// Sends a head and a pattern from a thread of its own, and knows when the other end takes no more.
final class Flood: Sendable {
  private let sent = Atomic<Int>(0)
  private let stuckAt = Promise<Int>()
  private let thread = Mutex<WorkerThread?>(nil)

  init(_ peer: SocketPeer, head: String, bytes: Int) throws {
    nonisolated(unsafe) let peer = peer
    let thread = try WorkerThread(name: "flood") { [self] in
      do {
        try peer.send(head)
        try run(peer, bytes)
      } catch SocketFailure.reset {
        stuckAt.fulfill(sent.load(ordering: .relaxed))
      } catch {
        Issue.record("flood: \(error)")
        stuckAt.fulfill(.max)
      }
    }
    self.thread.withLock { $0 = thread }
  }

  private func run(_ peer: SocketPeer, _ bytes: Int) throws {
    var offset = 0
    while offset < bytes {
      if !peer.isReady(POLLOUT, milliseconds: 500) { stuckAt.fulfill(offset) }
      guard peer.isReady(POLLOUT, milliseconds: 20_000) else { throw SocketFailure.timedOut }
      let count = Pattern.piece(at: offset, count: min(64 * 1024, bytes - offset)).withUnsafeBytes {
        Glibc.send(peer.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
      }
      if count < 0, errno == EAGAIN { continue }
      guard count > 0 else { throw SocketFailure.reset }
      offset += count
      sent.store(offset, ordering: .relaxed)
    }
    stuckAt.fulfill(offset)
  }

  /// Waits until the other end has taken nothing for half a second, or all.
  /// - Returns: how many bytes of the body had been taken.
  func untilStuck() -> Int { stuckAt.wait() }

  func join() { taken()?.join() }

  /// Where nobody waits for the end, the thread itself is the last to hold on to this.
  deinit { taken()?.detach() }

  private func taken() -> WorkerThread? {
    thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
  }
}

private func isSame(_ a: UnsafeBufferPointer<UInt8>, _ b: UnsafeBufferPointer<UInt8>) -> Bool {
  guard let start = a.baseAddress, let other = b.baseAddress else { return a.count == b.count }
  return a.count == b.count && memcmp(start, other, a.count) == 0
}

/// Reads a pattern of `count` bytes and compares it.
func expectPattern(_ peer: SocketPeer, count: Int) throws {
  var offset = 0
  while offset < count {
    let next = try peer.receive()
    try #require(!next.isEmpty, "ended after \(offset) bytes")
    var done = 0
    while done < next.count {
      let expected = Pattern.piece(at: offset, count: next.count - done)
      let got = next[done..<done + expected.count]
      let isEqual = got.withUnsafeBufferPointer { got in expected.withUnsafeBufferPointer { isSame(got, $0) } }
      try #require(isEqual, "wrong bytes after \(offset)")
      offset += expected.count
      done += expected.count
    }
  }
  #expect(offset == count)
}

@Suite("Flow and the end")
struct FlowTests {
  static let large = 64 << 20

  @Test("A client that does not read holds upstream up, and then gets every byte")
  func slowReader() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect(receiveBuffer: 64 * 1024)
    try client.send(get("/"))
    let server = try harness.upstream.accept()
    _ = try server.head()
    let head = "HTTP/1.1 200 OK\r\nContent-Length: \(Self.large)\r\n\r\n"
    let flood = try Flood(server, head: head, bytes: Self.large)
    // The kernel's buffers may hold a few megabytes; the proxy may not add more than its watermark.
    #expect(flood.untilStuck() < 32 << 20)
    #expect(try client.head() == head)
    try expectPattern(client, count: Self.large)
    flood.join()
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == ["ok -"])
    #expect(lines.first?.int("response_bytes") == Self.large)
    #expect((lines.first?.double("client_stalled_ms") ?? 0) > 0)
  }

  @Test("A server that does not read holds the upload up, and then gets every byte")
  func slowUpstream() throws {
    let harness = try ProxyHarness(upstream: ScriptedUpstream(receiveBuffer: 64 * 1024))
    let client = try harness.connect()
    let head = "POST /up HTTP/1.1\r\nHost: llm\r\nContent-Length: \(Self.large)\r\n\r\n"
    let flood = try Flood(client, head: head, bytes: Self.large)
    let server = try harness.upstream.accept()
    #expect(flood.untilStuck() < 32 << 20)
    #expect(try server.head() == head)
    try expectPattern(server, count: Self.large)
    flood.join()
    try server.send(answer("thanks"))
    #expect(try client.read(through: "thanks") == answer("thanks"))
    let lines = try harness.end()
    #expect(lines.map(\.verdict) == ["ok -"])
    #expect(lines.first?.int("request_bytes") == Self.large)
  }

  @Test("A client that stops reading in the middle of one stream does not hold up another")
  func others() throws {
    let harness = try ProxyHarness()
    let slow = try harness.connect(receiveBuffer: 4_096)
    try slow.send(get("/slow"))
    let slowServer = try harness.upstream.accept()
    _ = try slowServer.head()
    let flood = try Flood(
      slowServer, head: "HTTP/1.1 200 OK\r\nContent-Length: \(Self.large)\r\n\r\n", bytes: Self.large)
    _ = flood.untilStuck()
    let client = try harness.connect()
    try client.send(get("/quick"))
    let server = try harness.upstream.accept()
    _ = try server.head()
    try server.send(answer("quick"))
    #expect(try client.read(through: "quick") == answer("quick"))
    slow.reset()
    flood.join()
    #expect(try harness.end().map(\.verdict) == ["ok -", "client_cancelled streaming"])
  }

  @Test("A drain lets a stream end whole, closes idle connections, takes nobody new, and ends by itself")
  func drain() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    let idle = try harness.connect()
    try idle.send(get("/"))
    let pooled = try harness.upstream.accept()
    _ = try pooled.head()
    try pooled.send(answer("idle"))
    _ = try idle.read(through: "idle")
    try client.send(chatRequest())
    _ = try pooled.read(through: "[]}")
    try pooled.send(streamHead + chunk(token("a")))
    _ = try client.read(through: chunk(token("a")))
    harness.server.drain()
    #expect(try idle.readToEnd() == "")
    #expect(throws: SocketFailure.self) { _ = try harness.connect() }
    try pooled.send(chunk(token("b")) + chunk("data: [DONE]\n\n") + "0\r\n\r\n")
    #expect(try client.readToEnd() == chunk(token("b")) + chunk("data: [DONE]\n\n") + "0\r\n\r\n")
    try pooled.waitForEnd()
    client.close()
    let lines = try harness.records()
    #expect(lines.map(\.verdict) == ["ok -", "ok -"])
    #expect(lines.last?.int("events") == 2)
  }

  @Test("An answer that begins during the drain says that the connection closes")
  func drainSaysClose() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    let idle = try harness.connect()
    try idle.send(get("/"))
    let first = try harness.upstream.accept()
    _ = try first.head()
    try first.send(answer("idle"))
    _ = try idle.read(through: "idle")
    try client.send(get("/last"))
    _ = try first.head()
    harness.server.drain()
    _ = try idle.readToEnd()
    try first.send(answer("last"))
    #expect(try client.readToEnd() == closing(answer("last")))
    client.close()
    #expect(try harness.records().map(\.verdict) == ["ok -", "ok -"])
  }

  @Test("A drain's deadline cuts what is left, with a record")
  func drainDeadline() throws {
    let harness = try ProxyHarness { $0.timeouts.drain = .nanoseconds(1) }
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    harness.server.drain()
    #expect(try client.readToEnd().hasPrefix("HTTP/1.1 503 "))
    try server.waitForEnd()
    #expect(try harness.records().map(\.verdict) == ["timeout waiting"])
  }

  @Test("A shutdown cuts a stream so that it cannot look whole, with a record")
  func shutDown() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    try server.send(streamHead + chunk(token("a")))
    _ = try client.read(through: chunk(token("a")))
    harness.server.shutDown()
    #expect(try client.readToEnd() == "")
    try server.waitForEnd()
    let lines = try harness.records()
    #expect(lines.map(\.verdict) == ["timeout streaming"])
    #expect(lines.first?.int("events") == 1)
  }

  @Test("A request whose head is not whole at the shutdown leaves a record")
  func shutDownInTheHead() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    // Behind a whole request: once that is answered, what follows it has been read for certain.
    try client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET / HT")
    let server = try harness.upstream.accept()
    _ = try server.read(through: "\r\n\r\n")
    try server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    _ = try client.read(through: "\r\n\r\nok")
    harness.server.shutDown()
    #expect(try client.readToEnd() == "")
    #expect(try harness.records().map(\.verdict).last == "timeout upload")
  }

  @Test("Clients beyond the limit wait until one has left, or has nothing more to ask for", arguments: [true, false])
  func connectionLimit(_ leaves: Bool) throws {
    let harness = try ProxyHarness { $0.limits.connections = 1 }
    let first = try harness.connect()
    try first.send(get("/1"))
    let server = try harness.upstream.accept()
    #expect(try server.head() == get("/1"))
    let second = try harness.connect()
    try second.send(get("/2"))
    #expect(!server.isReady(1, milliseconds: 300))
    try server.send(answer("one"))
    _ = try first.read(through: "one")
    if leaves { first.close() } else { #expect(try first.readToEnd() == "") }
    #expect(try server.head() == get("/2"))
    try server.send(answer("two"))
    #expect(try second.read(through: "two") == answer("two"))
    #expect(try harness.end().map { $0["path"] } == ["/1", "/2"])
  }

  @Test("Several workers share one port, and all of them end")
  func workers() throws {
    let harness = try ProxyHarness { $0.workers = 3 }
    for _ in 0..<12 {
      let client = try harness.connect()
      try client.send(get("/", "Connection: close\r\n"))
      let server = try harness.upstream.accept()
      _ = try server.head()
      try server.send(answer("done"))
      #expect(try client.readToEnd() == closing(answer("done")))
    }
    #expect(try harness.end().count == 12)
  }

  @Test("A request that waits in its socket when the drain begins is served")
  func drainServesWaiting() throws {
    let upstream = try ScriptedUpstream()
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("drain-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let writer = try RecordWriter(RecordWriter.Settings(path: path, instance: "test"))
    var settings = Settings(upstream: UpstreamAddress(host: "127.0.0.1", port: upstream.port))
    settings.timeouts.drain = .nanoseconds(20_000_000_000)
    // Made here, then only touched by the worker's thread: so the drain is there before the first turn of its loop.
    let state = ProxyState(
      ConfigurationSnapshot(settings), writer: writer, secret: KeySecret(bytes: [1]), log: .standardError)
    let address = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
    let socket = try ListeningSocket(address)
    nonisolated(unsafe) let worker = try Worker(proxy: state, number: 0, sockets: [socket])
    let mailbox = try worker.openMailbox()
    let client = try SocketPeer(connectingTo: socket.address.port)
    try client.send(get("/waiting"))
    mailbox.post(.drain(until: .now().advanced(byNanoseconds: 20_000_000_000)))
    let thread = try WorkerThread(name: "worker") { worker.run() }
    let server = try upstream.accept()
    #expect(try server.head() == get("/waiting"))
    try server.send(answer("served"))
    #expect(try client.readToEnd().hasSuffix("\r\n\r\nserved"))
    client.close()
    thread.join()
    #expect(writer.close(timeoutMilliseconds: 5_000) == 0)
  }
}
