// A worker whose loop the test runs, step by step.
import Clocks
import HTTP
import HTTP1
import Logging
import SettingValues
import Synchronization
import TestSupport
import Testing
import Transport

@testable import Measurement
@testable import Proxy
@testable import RecordLog

/// A name whose address a test can change.
final class MovingName: Sendable {
  private let port = Mutex<UInt16?>(nil)

  func move(to port: UInt16) { self.port.withLock { $0 = port } }

  var lookup: Resolver.Lookup {
    { [self] _, port in
      SocketAddress(literal: "127.0.0.1", port: self.port.withLock { $0 } ?? port).map { .success([$0]) }
        ?? .failure(TransportError(.resolve, code: -22))
    }
  }
}

/// Waits for a response's end.
private final class WholeResponse: ClientConnectionDelegate {
  private(set) var isComplete = false
  unowned var connection: UpstreamConnection?

  func clientConnection(
    _ connection: ClientConnection, didReceive head: ResponseHead, _ arrival: Arrival, into output: OutputBuffer
  ) {
    guard let upstream = self.connection else { return }
    _ = upstream.metadata(of: head, from: connection.parser, upstream.configuration)
  }

  func clientConnection(
    _ connection: ClientConnection, didReadBody ranges: BodyRanges, of bytes: RawSpan,
    _ outcome: ClientConnection.ReadOutcome, _ arrival: Arrival, into output: OutputBuffer
  ) {
    if outcome == .complete { isComplete = true }
  }

  func clientConnection(_ connection: ClientConnection, serverDidEnd end: ClientConnectionState.ServerEnd) {}
  func clientConnection(_ connection: ClientConnection, didFailWith error: TransportError) {}
  func clientConnectionDidReadUnexpectedly(_ connection: ClientConnection) {}
}

/// A worker that serves nobody: the test runs its loop.
final class IdleWorker {
  let servers: [ScriptedUpstream]
  let worker: Worker
  let proxy: ProxyState
  private let folder = try? TemporaryFolder()
  private let writer: RecordWriter
  private let mailbox: Mailbox<WorkerCommand>
  /// The servers' ends, which stay open until a test closes them.
  private var peers: [SocketPeer] = []

  /// - Parameter name: makes the server one with a name.
  init(
    servers count: Int = 1, name: MovingName? = nil, _ adjust: (inout Settings) -> Void = { _ in }
  ) throws {
    servers = try (0..<count).map { _ in try ScriptedUpstream() }
    writer = try RecordWriter(RecordWriter.Settings(path: try #require(folder).file("log"), instance: "test"))
    var settings = Settings(upstream: UpstreamAddress(host: "127.0.0.1", port: servers[0].port))
    adjust(&settings)
    let ports = servers.map(\.port)
    let configuration = ConfigurationSnapshot(settings) { first in
      ports.enumerated().map { index, port in
        var upstream = first
        upstream.name = "\(index)"
        upstream.address = UpstreamAddress(host: name == nil ? "127.0.0.1" : "llm.test", port: port)
        if let name { upstream.lookup = name.lookup }
        return upstream
      }
    }
    proxy = ProxyState(configuration, writer: writer, secret: KeySecret(bytes: [1]), log: .standardError)
    let address = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
    worker = try Worker(proxy: proxy, number: 0, sockets: [ListeningSocket(address)])
    mailbox = try worker.openMailbox()
  }

  deinit {
    mailbox.post(.shutDown)
    worker.run()
    writer.close(timeoutMilliseconds: 1_000)
  }

  func upstream(_ index: Int = 0) -> Upstream { worker.upstreams.all[index] }

  /// A connection that is open, and the server's end of it.
  func connection(_ index: Int = 0, answer text: String = answer("")) throws -> (UpstreamConnection, SocketPeer) {
    let connection = upstream(index).lease(fresh: true, for: worker)
    connection.connect { _ in }
    // The address of a name comes from another thread.
    try eventually {
      _ = worker.loop.runOnce()
      return connection.isOpen
    }
    let peer = try servers[index].accept()
    peers.append(peer)
    try #require(connection.isOpen)
    try exchange(on: connection, peer, text)
    return (connection, peer)
  }

  /// A whole exchange, behind which the connection may be kept.
  func exchange(on connection: UpstreamConnection, _ peer: SocketPeer, _ text: String = answer("")) throws {
    let response = WholeResponse()
    response.connection = connection
    connection.begin(response, answersHead: false)
    try peer.send(text)
    try eventually {
      _ = worker.loop.runOnce()
      return response.isComplete
    }
  }

  /// The same settings with a change, as a reload takes them over.
  func apply(_ adjust: (inout Settings) -> Void) {
    var settings = proxy.configuration.settings
    adjust(&settings)
    mailbox.post(.apply(ConfigurationSnapshot(settings)))
    for _ in 0..<10 { _ = worker.loop.runOnce() }
  }

  func runLoop() { for _ in 0..<10 { _ = worker.loop.runOnce() } }
}
