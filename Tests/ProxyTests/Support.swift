// A proxy between two ends that one test holds. A test goes on when bytes, an end or a record is there; it never sleeps.
import Foundation
import SettingValues
import TestSupport
import Testing
import Transport

@testable import Measurement
@testable import Proxy
@testable import RecordLog

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

/// The proxy did not end within 30 s.
struct ProxyHangs: Error {}

/// A proxy on threads of its own, with one upstream and a log.
final class ProxyHarness {
  let upstream: ScriptedUpstream
  let server: ProxyServer
  /// What it was started with.
  let settings: Settings
  private let writer: RecordWriter
  private let folder: TemporaryFolder
  private var hasEnded = false

  /// - Parameters:
  ///   - others: further servers, to which `router` may send requests.
  init(
    upstream: ScriptedUpstream? = nil, others: [ScriptedUpstream] = [], router: Router = Router(),
    _ adjust: (inout Settings) -> Void = { _ in }
  ) throws {
    let upstream = try upstream ?? ScriptedUpstream()
    self.upstream = upstream
    folder = try TemporaryFolder()
    writer = try RecordWriter(RecordWriter.Settings(path: folder.file("log"), instance: "test"))
    var settings = Settings(upstream: UpstreamAddress(host: "127.0.0.1", port: upstream.port))
    settings.listen = ListenAddress(host: "127.0.0.1", port: 0)
    settings.timeouts.drain = .seconds(60)
    adjust(&settings)
    self.settings = settings
    let ports = others.map(\.port)
    let configuration = ConfigurationSnapshot(settings) { first in
      [first]
        + ports.enumerated().map { number, port in
          var other = first
          other.name = "other \(number)"
          other.address = UpstreamAddress(host: "127.0.0.1", port: port)
          return other
        }
    }
    server = try ProxyServer(
      ProxyState(
        configuration, router: router, writer: writer, secret: KeySecret(bytes: [1, 2, 3]), log: .standardError))
  }

  deinit {
    if !hasEnded { server.shutDown() }
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
    guard ended.wait(timeout: .now() + 30) == .success else { throw ProxyHangs() }
    #expect(writer.close(timeoutMilliseconds: 5_000) == 0)
    let text = try folder.text(of: "log")
    return try text.split(separator: "\n").map {
      Line(values: try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]))
    }
  }

  /// Waits until so many records are written: what a client cannot see.
  func awaitRecords(_ count: Int) throws {
    for _ in 0..<2_000 where writer.statistics.written < count { _ = poll(nil, 0, 5) }
    guard writer.statistics.written >= count else { throw SocketFailure.timedOut }
  }

  /// Starts anew with other settings, as a SIGHUP does.
  func reload(_ adjust: (inout Settings) -> Void) {
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
  guard condition() else { throw SocketFailure.timedOut }
}

/// Sends zeros until the other end has taken none for half a second.
func fill(_ peer: SocketPeer) {
  let piece = [UInt8](repeating: 0, count: 16 * 1024)
  while peer.isReady(POLLOUT, milliseconds: 500) {
    _ = piece.withUnsafeBytes { Glibc.send(peer.descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT)) }
  }
}
