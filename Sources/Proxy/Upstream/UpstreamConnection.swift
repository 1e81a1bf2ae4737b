// A connection to the LLM server: made, lent to one exchange at a time, kept or closed.
// It must not look into bodies.
import Clocks
import HTTP
import HTTP1
import Transport

/// One upstream connection, confined to its worker's thread.
final class UpstreamConnection: StreamDelegate {
  // What each read touches stands first, as in SocketStream.
  private let worker: Worker
  private var exchange: Exchange?
  /// Reads this connection's responses.
  let parser: MessageParser
  private var stream: (any ByteStream)?
  private let headCache: HeadCache<ResponseHead, ResponseMetadata>
  /// The head that was found in the cache last, until the exchange has it.
  private var found: HeadCache<ResponseHead, ResponseMetadata>.Found?
  /// What was asked of the resolver, and the race that its answer began.
  private var query: Resolver.QueryID?
  private var connector: Connector?
  /// What is to be sent once there is a socket.
  private var early: [UInt8] = []

  /// What it was made under.
  let configuration: ConfigurationSnapshot
  /// Where its addresses come from.
  private let resolver: Resolver
  /// Whether it has carried an exchange before.
  private(set) var isReused = false
  /// Whether it has been closed.
  private(set) var isClosed = false
  /// Whether the connection stands.
  private(set) var isOpen = false
  private var isPaused = false
  /// When it last became idle.
  private(set) var idleAt = Instant.now()

  init(worker: Worker) {
    self.worker = worker
    configuration = worker.configuration
    resolver = worker.resolver
    headCache = worker.headCaches.responses
    parser = MessageParser(.response, limits: configuration.settings.responseLimits, ranges: worker.ranges)
  }

  /// Parses while a response's head has not come; behind it, `parser` is to be used.
  func parseHead(_ bytes: RawSpan) -> (consumed: Int, progress: MessageParser.Progress) {
    found = headCache.lookup(bytes, for: parser)
    guard let found else { return parser.parse(bytes) }
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

  /// Lends the connection to an exchange.
  func begin(_ exchange: Exchange, answersHead: Bool) {
    self.exchange = exchange
    parser.answersHead = answersHead
  }

  /// Resolves and connects; `Exchange.upstreamConnected` or `upstreamFailed` follows.
  func connect() {
    query = resolver.resolve(configuration.settings.resolving) { [self] result in
      query = nil
      guard !isClosed else { return }
      switch result {
      case .success(let addresses): race(worker.inOrder(addresses))
      case .failure(let error): fail(error)
      }
    }
  }

  /// Connects to whichever address answers first.
  private func race(_ addresses: [SocketAddress], hasGivenUp: Bool = false) {
    let connector = Connector(
      loop: worker.loop, addresses: addresses, options: configuration.settings.happyEyeballs,
      budget: worker.attemptBudget)
    self.connector = connector
    connector.start { [self] result in
      worker.counters.connectionsFailed.add(.upstream, connector.failures)
      self.connector = nil
      switch result {
      case .success(let stream):
        connected(stream)
      case .failure(let error):
        if error.isOutOfDescriptors {
          worker.counters.hit(.descriptors)
          if !hasGivenUp, worker.pool.evictOldest() { return race(addresses, hasGivenUp: true) }
        }
        fail(error)
      }
    }
  }

  private func connected(_ stream: any ByteStream) {
    self.stream = stream
    stream.delegate = self
    isOpen = true
    worker.counters.connectionsOpened.add(.upstream)
    if !resolver.isLiteral { worker.rememberFamily(stream.peer) }
    let early = early
    self.early = []
    _ = unsafe early.withUnsafeBytes { unsafe stream.write($0.bytes) }
    stream.startReading()
    exchange?.upstreamConnected(reused: false, at: .now())
    // What waited may be gone: nothing else would tell.
    exchange?.upstreamFlushed()
  }

  /// Sends bytes, or keeps them until the connection stands.
  func send(_ bytes: RawSpan) {
    worker.counters.upstreamWrittenBytes.add(bytes.byteCount)
    if isOpen, let stream {
      stream.write(bytes)
    } else {
      // It grows outside: were it changed in place, each look at it would be checked for a second access.
      var grown = early
      early = []
      unsafe bytes.withUnsafeBytes { unsafe grown.append(contentsOf: $0) }
      early = grown
    }
  }

  /// The same, of what was put together.
  func send(_ output: OutputBuffer) { output.withBytes { send($0) } }

  /// The same, of an array.
  func send(_ bytes: [UInt8]) { unsafe bytes.withUnsafeBytes { unsafe send($0.bytes) } }

  /// The client takes less than upstream gives.
  func pause() {
    isPaused = true
    stream?.pauseReading(detectingClose: false)
  }
  /// The client has caught up.
  func resume() {
    isPaused = false
    stream?.startReading()
  }

  /// Gives the stream to a tunnel, which will have closed it before `close`.
  func handOver() -> (any ByteStream)? {
    exchange = nil
    return stream
  }

  /// The exchange is over for this connection.
  func end() { exchange = nil }

  /// Makes it ready for the pool.
  func markIdle(at: Instant) {
    isReused = true
    idleAt = at
    parser.reset()
    if isPaused { resume() }
  }

  /// Whether it leads to an address that the server still has.
  var isCurrent: Bool { resolver.isLiteral || stream?.peer.map { resolver.isCurrent($0) } ?? false }

  /// Whether upstream has closed it, or sent what nobody asked for.
  var isStale: Bool { stream?.isStale() ?? true }

  /// Closes at once. Safe to call twice.
  func close() {
    if isOpen { worker.counters.connectionsClosed.add(.upstream) }
    isClosed = true
    isOpen = false
    exchange = nil
    if let query { resolver.cancel(query) }
    query = nil
    connector?.cancel()
    connector = nil
    stream?.close()
    stream = nil
  }

  // MARK: The stream's life

  func streamDidConnect(_ stream: any ByteStream) {}

  func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival) {
    worker.counters.upstreamReads.add()
    worker.counters.upstreamReadBytes.add(bytes.byteCount)
    if let exchange { exchange.upstreamRead(self, bytes, arrival) } else { drop() }
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

  /// Leaves the pool: what an idle connection says, nobody asked for
  /// (Documentation.docc/HTTPCases.md, case 37).
  private func drop() {
    close()
    worker.pool.remove(self)
  }
}
