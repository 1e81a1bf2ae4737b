// One connection to an upstream server: made, lent to one exchange at a time, kept in the pool or closed.
import Clocks
import HTTP
import HTTP1
import Transport

/// One upstream connection, confined to its worker's thread. HTTP1's `ClientConnection` carries the exchanges, and tells each
/// what is read; while none is under way it tells this connection, which then leaves the pool.
final class UpstreamConnection: ClientConnectionDelegate, LinkedElement {
  private enum Phase {
    case unconnected
    /// The server's name is being resolved; nil while the resolver has not returned.
    case resolving(Resolver.QueryID?)
    case connecting(Connector)
    case open(ClientConnection)
    case closed
  }

  private let worker: Worker
  /// The server that it leads to.
  private let upstream: Upstream
  private let counters: UpstreamCounters
  /// The configuration in force when it was made.
  let configuration: ConfigurationSnapshot
  private let headCache: HeadCache<ResponseHead, ResponseMetadata>
  /// The head that was found in the cache last, until the exchange has it.
  private var found: HeadCache<ResponseHead, ResponseMetadata>.Found?
  private var phase = Phase.unconnected
  /// Who waits for it to be open.
  private var onConnect: ((TransportError?) -> Void)?
  /// The pool's.
  var links = LinkedQueue<UpstreamConnection>.Links()
  /// When it last became idle.
  private(set) var idleAt = Instant.now()
  /// How long it may be idle by what the server's last head said (`Keep-Alive: timeout=`); nil where it said nothing.
  private(set) var announcedIdle: Duration?
  /// How long it was idle before it was leased, and when that was.
  private var lease: (idleDuration: Duration, at: Instant)?
  /// How soon behind its lease a connection ends that the server had closed while it was idle: a request's way there and back.
  private static let raceDuration = Duration.seconds(1)

  init(to upstream: Upstream, of worker: Worker) {
    self.worker = worker
    self.upstream = upstream
    counters = upstream.counters
    configuration = upstream.configuration
    headCache = worker.headCaches.responses
  }

  // MARK: What its owners ask

  private var client: ClientConnection? { if case .open(let client) = phase { client } else { nil } }
  /// Whether it has carried an exchange before the present one.
  var isReused: Bool { client?.isReused ?? false }
  /// Whether it is open.
  var isOpen: Bool { client != nil }
  /// Whether it has been closed.
  var isClosed: Bool { if case .closed = phase { true } else { false } }
  /// Bytes that the upstream socket has not taken.
  var queuedBytes: Int { client?.stream.queuedBytes ?? 0 }
  /// Bytes that the upstream socket has taken.
  var sentBytes: UInt64 { client?.stream.sentBytes ?? 0 }
  /// Whether the server's name still has the address that it is connected to.
  var isCurrent: Bool {
    let resolver = upstream.resolver
    return resolver.isLiteral || client?.stream.peer.map { resolver.isCurrent($0) } ?? false
  }
  /// Whether upstream has closed it, or has sent bytes that no request asked for.
  var isStale: Bool { client?.stream.isStale() ?? true }

  // MARK: Connecting

  /// Resolves and connects.
  /// - Parameter completion: called once it is open, or with the error; not after `close`. It may be called before this returns.
  func connect(_ completion: @escaping (TransportError?) -> Void) {
    onConnect = completion
    phase = .resolving(nil)
    let query = upstream.resolver.resolve(upstream.settings.resolving) { [self] result in
      guard case .resolving = phase else { return }
      switch result {
      case .success(let addresses): race(addresses)
      case .failure(let error): fail(error)
      }
    }
    if case .resolving(nil) = phase { phase = .resolving(query) }
  }

  /// Connects to whichever address answers first.
  private func race(_ addresses: [SocketAddress], hasGivenUp: Bool = false) {
    let connector = Connector(
      loop: worker.loop, addresses: addresses, preferring: upstream.preferredFamily,
      options: upstream.settings.happyEyeballs, budget: upstream.attemptBudget)
    phase = .connecting(connector)
    connector.start { [self] result in
      counters.failed.add(connector.failures)
      switch result {
      case .success(let stream):
        connected(stream)
      case .failure(let error):
        if error.isOutOfDescriptors {
          worker.counters.hit(.descriptors)
          if !hasGivenUp, worker.upstreams.evictOldest() || worker.clients.evictIdle(for: nil) {
            return race(addresses, hasGivenUp: true)
          }
        }
        fail(error)
      }
    }
  }

  private func connected(_ stream: any ByteStream) {
    let client = ClientConnection(
      stream, limits: configuration.responseLimits, ranges: worker.ranges, output: worker.responseOutput)
    phase = .open(client)
    counters.opened.add()
    upstream.rememberFamily(of: stream.peer)
    client.start()
    onConnect.take()?(nil)
  }

  private func fail(_ error: TransportError) { onConnect.take()?(error) }

  // MARK: What exchanges and the pool ask for

  /// Serves one exchange, until `markIdle` or `close`. It is open.
  /// - Parameter exchange: is told of the response.
  func begin(_ exchange: any ClientConnectionDelegate, answersHead: Bool) {
    client?.beginExchange(exchange, answersHead: answersHead)
  }

  /// The head that `bytes` begin with, if it is in the cache.
  func cachedHead(in bytes: RawSpan, for parser: MessageParser) -> ResponseHead? {
    found = headCache.lookup(bytes, for: parser)
    return found?.head
  }

  /// What follows from a head that was received, under `configuration`.
  func metadata(
    of head: ResponseHead, from parser: MessageParser, _ configuration: ConfigurationSnapshot
  ) -> ResponseMetadata {
    let metadata: ResponseMetadata
    if let found = found.take() {
      metadata = ResponseMetadata.of(found)
    } else {
      metadata = ResponseMetadata(head, configuration)
      headCache.insert(head, metadata, from: parser)
    }
    announcedIdle = metadata.usableIdle
    return metadata
  }

  /// Sends bytes. The connection is open.
  func send(_ bytes: RawSpan) {
    counters.writtenBytes.add(bytes.byteCount)
    client?.write(bytes)
  }

  /// Sends what a buffer holds.
  func send(_ output: OutputBuffer) { output.withBytes { send($0) } }

  /// Sends an array.
  func send(_ bytes: [UInt8]) { unsafe bytes.withUnsafeBytes { unsafe send($0.bytes) } }

  /// See `ByteStream.adjustUserTimeout`.
  func adjustUserTimeout() { client?.stream.adjustUserTimeout(isIdle: false) }

  /// Stops reading: the client is slower than upstream.
  func pause() { client?.stream.pauseReading(detectingClose: false) }

  /// Reads again.
  func resume() { if let stream = client?.stream, !stream.isClosed { stream.startReading() } }

  /// Gives the stream to a tunnel, which closes it before it calls `close`.
  func handOver() -> (any ByteStream)? { client?.stream }

  /// Makes it ready for the pool: its exchange has ended.
  func markIdle(at: Instant) {
    client?.endExchange(nextDelegate: self)
    idleAt = at
  }

  /// Whether it is in the pool.
  var isPooled: Bool { links.isLinked }

  /// It is lent to an exchange, having been idle.
  func leased(after idleDuration: Duration, at: Instant) { lease = (idleDuration, at) }

  /// The server has ended it before anything came for the present exchange: where it was in the pool a moment ago, the server
  /// closed it as idle.
  func endedUnanswered() {
    guard isReused, let lease, Instant.now().duration(since: lease.at) <= Self.raceDuration else { return }
    upstream.pool.serverClosed(after: lease.idleDuration, at: lease.at)
  }

  /// Closes at once. Safe to call twice.
  func close() {
    onConnect = nil
    let former = phase
    phase = .closed
    switch former {
    case .unconnected, .resolving(nil), .closed: return
    case .resolving(let query?): upstream.resolver.cancel(query)
    case .connecting(let connector): connector.cancel()
    case .open(let client):
      counters.closed.add()
      client.close()
    }
  }

  // MARK: While it is idle

  func clientConnection(_ connection: ClientConnection, willRead byteCount: Int, _ arrival: Arrival) {
    counters.reads.add()
    counters.readBytes.add(byteCount)
  }

  func clientConnection(
    _ connection: ClientConnection, didReceive head: ResponseHead, _ arrival: Arrival, into output: OutputBuffer
  ) {}

  func clientConnection(
    _ connection: ClientConnection, didReadBody ranges: BodyRanges, of bytes: RawSpan,
    _ outcome: ClientConnection.ReadOutcome, _ arrival: Arrival, into output: OutputBuffer
  ) {}

  func clientConnection(_ connection: ClientConnection, serverDidEnd end: ClientConnectionState.ServerEnd) { drop() }

  func clientConnection(_ connection: ClientConnection, didFailWith error: TransportError) {
    drop(isServersDoing: !error.isPeerVanished)
  }

  func clientConnectionDidReadUnexpectedly(_ connection: ClientConnection) { drop() }

  /// Leaves the pool and closes: whatever comes on an idle connection, no request asked for it (HTTPCases.md, case 37).
  private func drop(isServersDoing: Bool = true) {
    close()
    upstream.pool.remove(self)
    guard isServersDoing else { return }
    let now = Instant.now()
    upstream.pool.serverClosed(after: now.duration(since: idleAt), at: now)
  }
}
