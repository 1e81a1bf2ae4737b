// One connection to an upstream server: opened, lent to one exchange at a time, kept in the pool or closed.
import Clocks
import HTTP
import HTTP1
import Transport

/// One upstream connection, confined to its worker's thread.
final class UpstreamConnection: StreamDelegate {
  // What each read touches stands first, as in SocketStream.
  private let worker: Worker
  /// The server that it leads to.
  private let upstream: Upstream
  private let counters: UpstreamCounters
  private var exchange: Exchange?
  /// Reads this connection's responses.
  let parser: MessageParser
  private var stream: (any ByteStream)?
  private let headCache: HeadCache<ResponseHead, ResponseMetadata>
  /// The head that was found in the cache last, until the exchange has it.
  private var found: HeadCache<ResponseHead, ResponseMetadata>.Found?
  /// The pending question to the resolver, and then the pending race of connection attempts.
  private var query: Resolver.QueryID?
  private var connector: Connector?
  /// What is to be sent once the connection is open.
  private var early: [UInt8] = []

  /// The configuration in force when it was made.
  let configuration: ConfigurationSnapshot
  /// Whether it has carried an exchange before.
  private(set) var isReused = false
  /// Whether it has been closed.
  private(set) var isClosed = false
  /// Whether it is open.
  private(set) var isOpen = false
  private var isPaused = false
  /// When it last became idle.
  private(set) var idleAt = Instant.now()

  init(to upstream: Upstream, of worker: Worker) {
    self.worker = worker
    self.upstream = upstream
    counters = upstream.counters
    configuration = upstream.configuration
    headCache = worker.headCaches.responses
    parser = MessageParser(.response, limits: configuration.responseLimits)
  }

  /// Parses while a response's head has not come; behind it, `parser` is to be used.
  ///
  /// Never inlined: the check for a second access to the cache was hoisted to every read of a body, 76 instructions each.
  @inline(never)
  func parseHead(_ bytes: RawSpan, into ranges: BodyRanges) -> (consumed: Int, progress: MessageParser.Progress) {
    found = headCache.lookup(bytes, for: parser)
    guard let found else { return parser.parse(bytes, into: ranges) }
    return (found.head.fields.bytes.count, .headComplete)
  }

  /// The head that `parseHead` has completed, with what follows from it under `configuration`.
  func completedHead(
    _ configuration: ConfigurationSnapshot
  ) throws(HTTPParseError) -> (ResponseHead, ResponseMetadata) {
    if let found = found.take() { return (found.head, ResponseMetadata.of(found)) }
    let head = try ResponseHead(parser)
    let metadata = ResponseMetadata(head, configuration)
    headCache.insert(head, metadata, from: parser)
    return (head, metadata)
  }

  /// Bytes that the upstream socket has not taken.
  var queuedBytes: Int { early.count + (stream?.queuedBytes ?? 0) }

  /// Bytes that the upstream socket has taken.
  var sentBytes: UInt64 { stream?.sentBytes ?? 0 }

  // MARK: What exchanges and the pool ask for

  /// Serves one exchange, until `end`.
  func begin(_ exchange: Exchange, answersHead: Bool) {
    self.exchange = exchange
    parser.answersHead = answersHead
  }

  /// Resolves and connects; `Exchange.upstreamConnected` or `upstreamFailed` follows.
  func connect() {
    query = upstream.resolver.resolve(upstream.settings.resolving) { [self] result in
      query = nil
      guard !isClosed else { return }
      switch result {
      case .success(let addresses): race(addresses)
      case .failure(let error): fail(error)
      }
    }
  }

  /// Connects to whichever address answers first.
  private func race(_ addresses: [SocketAddress], hasGivenUp: Bool = false) {
    let connector = Connector(
      loop: worker.loop, addresses: addresses, preferring: upstream.preferredFamily,
      options: upstream.settings.happyEyeballs, budget: upstream.attemptBudget)
    self.connector = connector
    connector.start { [self] result in
      counters.failed.add(connector.failures)
      self.connector = nil
      switch result {
      case .success(let stream):
        connected(stream)
      case .failure(let error):
        if error.isOutOfDescriptors {
          worker.counters.hit(.descriptors)
          if !hasGivenUp, worker.upstreams.evictOldest() { return race(addresses, hasGivenUp: true) }
        }
        fail(error)
      }
    }
  }

  private func connected(_ stream: any ByteStream) {
    self.stream = stream
    stream.delegate = self
    isOpen = true
    counters.opened.add()
    upstream.rememberFamily(of: stream.peer)
    let early = early
    self.early = []
    _ = unsafe early.withUnsafeBytes { unsafe stream.write($0.bytes) }
    stream.startReading()
    exchange?.upstreamConnected(reused: false, at: .now())
    // All that waited may have been sent at once: no flush follows then.
    exchange?.upstreamFlushed()
  }

  /// Sends bytes, or keeps them until the connection is open.
  func send(_ bytes: RawSpan) {
    counters.writtenBytes.add(bytes.byteCount)
    if isOpen, let stream {
      stream.write(bytes)
    } else {
      // The array grows in a local variable: changed in place, each access to it would be checked for exclusivity.
      var grown = early
      early = []
      unsafe bytes.withUnsafeBytes { unsafe grown.append(contentsOf: $0) }
      early = grown
    }
  }

  /// Sends what a buffer holds.
  func send(_ output: OutputBuffer) { output.withBytes { send($0) } }

  /// Sends an array.
  func send(_ bytes: [UInt8]) { unsafe bytes.withUnsafeBytes { unsafe send($0.bytes) } }

  /// Stops reading: the client is slower than upstream.
  func pause() {
    isPaused = true
    stream?.pauseReading(detectingClose: false)
  }
  /// Reads again.
  func resume() {
    isPaused = false
    stream?.startReading()
  }

  /// Gives the stream to a tunnel, which closes it before it calls `close`.
  func handOver() -> (any ByteStream)? {
    exchange = nil
    return stream
  }

  /// Lets go of its exchange.
  func end() { exchange = nil }

  /// Makes it ready for the pool.
  func markIdle(at: Instant) {
    isReused = true
    idleAt = at
    parser.reset()
    if isPaused { resume() }
  }

  /// Whether the server's name still has the address that it is connected to.
  var isCurrent: Bool {
    let resolver = upstream.resolver
    return resolver.isLiteral || stream?.peer.map { resolver.isCurrent($0) } ?? false
  }

  /// Whether upstream has closed it, or has sent bytes that no request asked for.
  var isStale: Bool { stream?.isStale() ?? true }

  /// Closes at once. Safe to call twice.
  func close() {
    if isOpen { counters.closed.add() }
    isClosed = true
    isOpen = false
    exchange = nil
    if let query { upstream.resolver.cancel(query) }
    query = nil
    connector?.cancel()
    connector = nil
    stream?.close()
    stream = nil
  }

  // MARK: The stream's life

  func streamDidConnect(_ stream: any ByteStream) {}

  func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival) {
    counters.reads.add()
    counters.readBytes.add(bytes.byteCount)
    if let exchange { worker.read(bytes, arrival, from: self, by: exchange) } else { drop() }
  }

  func streamDidFlush(_ stream: any ByteStream) { exchange?.upstreamFlushed() }

  func streamDidEnd(_ stream: any ByteStream) {
    if let exchange { exchange.upstreamEnded(at: .now()) } else { drop() }
  }

  func streamDidFail(_ stream: any ByteStream, _ error: TransportError) {
    fail(error)
  }

  private func fail(_ error: TransportError) {
    if let exchange { exchange.upstreamFailed(error) } else { drop() }
  }

  /// Leaves the pool and closes: whatever comes on an idle connection, no request asked for it (HTTPCases.md, case 37).
  private func drop() {
    close()
    upstream.pool.remove(self)
  }
}
