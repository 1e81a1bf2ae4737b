// A proxy between two ends that one test holds: plain blocking sockets, each wait bounded by poll().
// It must not sleep: a test goes on when bytes, an end or a record is there.
import Foundation
import Synchronization
import Testing
import Transport

@testable import Measurement
@testable import Proxy
@testable import RecordLog

enum SocketPeerFailure: Error {
  case refused
  /// Nothing came for ten seconds.
  case silent
  case reset
  /// The end came first; what had come before it.
  case ended(String)
  case proxyHangs
}

/// One end of a TCP connection.
final class SocketPeer {
  private(set) var descriptor: Int32
  private var pending: [UInt8] = []

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  convenience init(connectingTo port: UInt16, receiveBuffer: Int32? = nil) throws {
    self.init(socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    if var size = receiveBuffer {
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    let result = withLoopback(port) { Glibc.connect(descriptor, $0, $1) }
    guard result == 0 else { throw SocketPeerFailure.refused }
  }

  deinit { close() }

  func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  /// Closes so that the peer sees RST.
  func reset() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    close()
  }

  /// Ends this side (FIN).
  func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

  func isReady(_ events: Int32, milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    return poll(&entry, 1, milliseconds) > 0
  }

  func send(_ text: String) throws { try send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      guard isReady(POLLOUT, milliseconds: 10_000) else { throw SocketPeerFailure.silent }
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
      }
      if count < 0, errno == EAGAIN { continue }
      guard count > 0 else { throw SocketPeerFailure.reset }
      sent += count
    }
  }

  /// What comes next; empty at the end.
  func receive() throws -> [UInt8] {
    if !pending.isEmpty {
      defer { pending = [] }
      return pending
    }
    guard isReady(POLLIN, milliseconds: 10_000) else { throw SocketPeerFailure.silent }
    return try [UInt8](unsafeUninitializedCapacity: 256 * 1024) { buffer, filled in
      let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
      guard count >= 0 else { throw SocketPeerFailure.reset }
      filled = count
    }
  }

  /// Everything up to and with `mark`; what lies behind it is kept.
  func read(through mark: String) throws -> String {
    var bytes: [UInt8] = []
    while true {
      if let end = bytes.firstRange(of: Array(mark.utf8))?.upperBound {
        pending = Array(bytes[end...])
        return String(decoding: bytes[..<end], as: UTF8.self)
      }
      let next = try receive()
      guard !next.isEmpty else { throw SocketPeerFailure.ended(String(decoding: bytes, as: UTF8.self)) }
      bytes += next
    }
  }

  func head() throws -> String { try read(through: "\r\n\r\n") }

  /// Everything up to the end.
  func readToEnd() throws -> String {
    var bytes: [UInt8] = []
    while true {
      let next = try receive()
      if next.isEmpty { return String(decoding: bytes, as: UTF8.self) }
      bytes += next
    }
  }

  /// Waits for the end or a reset.
  /// - Returns: whether it was a reset.
  @discardableResult
  func departs() throws -> Bool {
    do {
      _ = try readToEnd()
      return false
    } catch SocketPeerFailure.reset {
      return true
    }
  }
}

private func withLoopback(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  return withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
  }
}

/// A port on which a test is the LLM server.
final class ScriptedUpstream {
  let port: UInt16
  private var descriptor: Int32

  init(receiveBuffer: Int32? = nil) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    if var size = receiveBuffer {
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    guard withLoopback(0, { [descriptor] in bind(descriptor, $0, $1) }) == 0, listen(descriptor, 64) == 0 else {
      throw SocketPeerFailure.refused
    }
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withUnsafeMutablePointer(to: &address) { [descriptor] in
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    port = UInt16(bigEndian: address.sin_port)
  }

  deinit { close() }

  func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  /// Whether somebody has connected and was not accepted yet.
  func hasVisitor(milliseconds: Int32 = 0) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, milliseconds) > 0
  }

  func accept() throws -> SocketPeer {
    guard hasVisitor(milliseconds: 10_000) else { throw SocketPeerFailure.silent }
    return SocketPeer(Glibc.accept(descriptor, nil, nil))
  }
}

/// One line of the log.
struct Line {
  let values: [String: Any]

  subscript(key: String) -> String? { values[key] as? String }
  func int(_ key: String) -> Int? { values[key] as? Int }
  func double(_ key: String) -> Double? { values[key] as? Double }
  func bool(_ key: String) -> Bool? { values[key] as? Bool }
  /// `outcome stage`, for one comparison.
  var verdict: String { "\(self["outcome"] ?? "-") \(self["stage"] ?? "-")" }
}

/// A proxy on threads of its own, with one upstream and a log.
final class ProxyHarness {
  let upstream: ScriptedUpstream
  let server: ProxyServer
  /// What it was started with.
  let settings: ProxySettings
  private let writer: RecordWriter
  private let folder: String
  private var hasEnded = false

  /// - Parameters:
  ///   - others: further servers, to which `router` may send requests.
  init(
    upstream: ScriptedUpstream? = nil, others: [ScriptedUpstream] = [], router: Router = Router(),
    _ adjust: (inout ProxySettings) -> Void = { _ in }
  ) throws {
    let upstream = try upstream ?? ScriptedUpstream()
    self.upstream = upstream
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("proxy-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    writer = try RecordWriter(RecordWriter.Settings(path: folder + "/log", instance: "test"))
    var settings = ProxySettings(
      upstreamHost: "127.0.0.1", upstreamPort: upstream.port, listenHost: "127.0.0.1", listenPort: 0)
    settings.drainTimeout = 60_000_000_000
    adjust(&settings)
    self.settings = settings
    let ports = others.map(\.port)
    let configuration = ConfigurationSnapshot(settings) { first in
      [first]
        + ports.enumerated().map { number, port in
          var other = first
          other.name = "other \(number)"
          other.port = port
          return other
        }
    }
    server = try ProxyServer(
      ProxyState(
        configuration, router: router, writer: writer, secret: KeySecret(bytes: [1, 2, 3]), log: .standardError))
  }

  deinit {
    if !hasEnded { server.shutDown() }
    try? FileManager.default.removeItem(atPath: folder)
  }

  func connect(receiveBuffer: Int32? = nil) throws -> SocketPeer {
    let port = try #require(server.address.split(separator: ":").last.flatMap { UInt16($0) })
    return try SocketPeer(connectingTo: port, receiveBuffer: receiveBuffer)
  }

  /// Waits until the proxy has ended by itself after a drain, and gives its records.
  func records() throws -> [Line] {
    hasEnded = true
    let server = server
    let ended = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      server.wait()
      ended.signal()
    }
    guard ended.wait(timeout: .now() + 30) == .success else { throw SocketPeerFailure.proxyHangs }
    #expect(writer.close(timeoutMilliseconds: 5_000) == 0)
    let text = try String(contentsOfFile: folder + "/log", encoding: .utf8)
    return try text.split(separator: "\n").map {
      Line(values: try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]))
    }
  }

  /// Waits until so many records are written: what a client cannot see.
  func awaitRecords(_ count: Int) throws {
    for _ in 0..<2_000 where writer.statistics.written < count { _ = poll(nil, 0, 5) }
    guard writer.statistics.written >= count else { throw SocketPeerFailure.silent }
  }

  /// Starts anew with other settings, as a SIGHUP does.
  func reload(_ adjust: (inout ProxySettings) -> Void) {
    var settings = settings
    adjust(&settings)
    server.apply(settings)
  }

  /// What was counted of an upstream, by its place.
  func counters(_ upstream: Int = 0) -> UpstreamCounters { server.state.upstreams[upstream].counters[0] }

  /// How often a limit was run into.
  func hits(_ limit: Limit) -> UInt64 { server.state.counters.reduce(0) { $0 + $1.limits.count(limit) } }

  /// Ends everything and gives the records.
  func end() throws -> [Line] {
    server.shutDown()
    return try records()
  }
}

/// A request for a streamed chat.
func chatRequest(_ body: String = #"{"model":"m","stream":true,"messages":[]}"#, _ more: String = "") -> String {
  "POST /v1/chat/completions HTTP/1.1\r\nHost: llm\r\n\(more)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
}

let streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

/// A chat event with one token.
func token(_ text: String) -> String { "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\(text)\"}}]}\n\n" }

/// A chunk.
func chunk(_ text: String) -> String { "\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n" }

func get(_ path: String, _ more: String = "") -> String { "GET \(path) HTTP/1.1\r\nHost: llm\r\n\(more)\r\n" }

func answer(_ body: String, _ more: String = "") -> String {
  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\(more)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
}

/// Runs `body` beside the test; what it throws is an issue.
func onThread(_ body: @escaping () throws -> Void) throws -> WorkerThread {
  // The test's own thread leaves what `body` holds alone until it has joined.
  nonisolated(unsafe) let body = body
  return try WorkerThread(name: "test") {
    do { try body() } catch { Issue.record("beside the test: \(error)") }
  }
}

/// A response as the client gets it whose connection ends with it.
func closing(_ response: String) -> String {
  response.replacingOccurrences(of: "\r\n\r\n", with: "\r\nConnection: close\r\n\r\n")
}

/// Waits until `condition` holds: for what no socket shows.
func eventually(_ condition: () -> Bool) throws {
  for _ in 0..<2_000 where !condition() { _ = poll(nil, 0, 5) }
  guard condition() else { throw SocketPeerFailure.silent }
}
