// A client's connection: one request after the other, each an exchange.
import Clocks
import HTTP
import HTTP1
import Measurement
import Transport

/// One client connection, confined to its worker's thread. HTTP1's `ServerConnection` reads its requests, keeps what comes
/// ahead of its turn, and closes it.
final class DownstreamConnection: ServerConnectionDelegate, LinkedElement {
  /// What comes before the first request.
  enum Prelude {
    case none
    /// A PROXY header is awaited.
    case proxyHeader(ProxyHeaderParser)
    /// There is no room for this client: it gets a reply as soon as it sends something, or is closed at `until`.
    case rejection(ConnectionRejection, until: Instant)
  }

  /// In which counts a client's connection is.
  struct ConnectionAccounting {
    /// In that of the clients that are served, and have a share of the descriptors.
    var isServed = false
    /// In that of the clients for whom there is no room.
    var isRejected = false
    /// In that of the connections of this address, where they are bounded.
    var client: String?
  }

  /// How long a client for whom there is no room may take to send something, so that it can get its reply.
  private static let rejectingNanoseconds: Int64 = 500_000_000
  /// How long a kept connection may be idle while draining. A client that asks within it is told to close with its response;
  /// closing at once would meet requests that are on their way.
  static let drainIdleDuration = Duration.seconds(1)

  // What each write touches stands first, as in SocketStream.
  let worker: Worker
  private let stream: any ByteStream
  /// Bytes ever written to the client.
  private(set) var writtenBytes: UInt64 = 0
  /// The client's address as text: the peer's, or the one that a PROXY header names.
  private(set) var peer: String
  /// Owned by the worker.
  var accounting = ConnectionAccounting()
  /// The queue's of the worker's `ClientList` that it is in, by what the client does.
  var links = LinkedQueue<DownstreamConnection>.Links()
  var activity = ClientList.Activity.busy
  let connection: ServerConnection
  private var headCache: HeadCache<RequestHead, CachedRequest>
  /// Under which the present request began; a reload takes effect with the next one.
  private var configuration: ConfigurationSnapshot
  /// The cache entry of the head that was found last, until the exchange begins.
  private var found: CachedRequest?
  private(set) var exchange: Exchange?
  private(set) var prelude = Prelude.none
  /// The origin of the web page that sent the present request, where its browser may be told of a reply of the proxy's own.
  private var origin: String?
  /// How long a client that is being sent its last bytes has taken none.
  var stallDetector = StallDetector(at: Instant(nanoseconds: 0))

  /// - Parameter output: where what goes to upstream is put together, while a read of this client is parsed.
  init(worker: Worker, stream: any ByteStream, output: OutputBuffer) {
    self.worker = worker
    self.stream = stream
    peer = stream.peer?.host ?? ""
    configuration = worker.configuration
    headCache = worker.headCaches.requests
    var options = Self.options(configuration)
    if configuration.requiresProxyHeader {
      prelude = .proxyHeader(ProxyHeaderParser())
      options.hasPrelude = true
    }
    connection = ServerConnection(stream, options, ranges: worker.ranges, output: output)
    connection.start(self)
  }

  private static func options(_ configuration: ConfigurationSnapshot) -> ServerConnection.Options {
    var options = ServerConnection.Options(limits: configuration.requestLimits)
    options.answersHalfClosed = configuration.finishesHalfClosed
    options.acceptsAnyTarget = configuration.settings.forwarding.targets == .lenient
    return options
  }

  /// Serves this client no request.
  func reject(_ rejection: ConnectionRejection) {
    prelude = .rejection(rejection, until: Instant.now().advanced(byNanoseconds: Self.rejectingNanoseconds))
    connection.beginPrelude()
  }

  // MARK: What exchanges ask for

  /// Bytes that the client's socket has not taken.
  var queuedBytes: Int { stream.queuedBytes }
  /// Bytes that the client's socket has taken.
  var sentBytes: UInt64 { stream.sentBytes }

  /// Sends bytes.
  /// - Returns: whether the client's socket has taken them all.
  func write(_ bytes: RawSpan) -> Bool {
    writtenBytes &+= UInt64(bytes.byteCount)
    worker.counters.downstreamWrittenBytes.add(bytes.byteCount)
    return stream.write(bytes)
  }

  /// Sends what was put together.
  /// - Returns: as `write(_: RawSpan)`.
  func write(_ output: OutputBuffer) -> Bool { output.withBytes { write($0) } }

  /// Stops reading the request: upstream takes it more slowly than the client sends it.
  func pauseUpload() {
    worker.counters.uploadPauses.add()
    connection.pauseReading()
  }
  /// Reads the request again.
  func resumeUpload() { connection.resumeReading() }

  /// Hands the client's stream to a tunnel, with what came behind the request, and whether the client has ended its side. The
  /// stream is closed by `exchangeEnded(.close)`.
  func handOver() -> (stream: any ByteStream, pipelined: [UInt8], hasEnded: Bool) {
    let (stream, pipelined, hasEnded) = connection.handOver()
    return (stream, pipelined, hasEnded)
  }

  /// The exchange is over and recorded.
  /// - Parameter answersHead: whether its request was a HEAD: a reply has no body then.
  func exchangeEnded(_ ending: ClientEnding, answersHead: Bool) {
    exchange = nil
    leave(ending, answersHead: answersHead)
  }

  private func leave(_ ending: ClientEnding, answersHead: Bool = false) {
    switch ending {
    case .keep: connection.endReply(.keepAlive)
    case .close(let reset): close(reset: reset)
    case .closeLingering: beginClosing(.lingering)
    case .truncate(let reset): beginClosing(reset ? .reset : .plain)
    case .reply(let failure):
      send(LocalReply(for: failure, origin: origin), answersHead: answersHead)
    }
  }

  private func send(_ reply: LocalReply, answersHead: Bool = false) {
    let retryAfter = worker.configuration.settings.timeouts.retryAfter
    let bytes = reply.bytes(answersHead: answersHead, retryAfter: retryAfter)
    _ = unsafe bytes.withUnsafeBytes { unsafe write($0.bytes) }
    beginClosing(.lingering)
  }

  /// Closes once everything is sent.
  private func beginClosing(_ closing: ServerConnectionState.Closing) {
    stallDetector = StallDetector(at: .now())
    connection.endReply(.close(closing))
  }

  func close(reset: Bool = false) { connection.close(reset: reset) }

  /// See `ByteStream.adjustUserTimeout`.
  /// - Parameter isIdle: whether it will not be called for a while.
  func adjustUserTimeout(isIdle: Bool) {
    stream.adjustUserTimeout(isIdle: isIdle)
    if !isIdle { exchange?.adjustUserTimeout() }
  }

  // MARK: Before the first request

  func serverConnection(_ connection: ServerConnection, willRead byteCount: Int) {
    if activity != .busy { worker.clients.heard(self) }
    worker.counters.downstreamReads.add()
    worker.counters.downstreamReadBytes.add(byteCount)
  }

  func serverConnection(_ connection: ServerConnection, didReadPrelude bytes: RawSpan, at: Instant) -> Int? {
    switch prelude {
    case .none: return 0
    case .rejection(let rejection, _):
      replyRejected(rejection, at: at, to: bytes)
      return nil
    case .proxyHeader(var parser):
      do throws(ProxyHeaderError) {
        let header = try parser.parse(bytes)
        guard let header else {
          prelude = .proxyHeader(parser)
          return nil
        }
        return proxyHeaderEnded(header, bytes, at: at)
      } catch {
        rejectProxyHeader(.proxyHeader, error.reason)
        return nil
      }
    }
  }

  /// - Returns: how many bytes the header takes, if requests may follow it.
  private func proxyHeaderEnded(_ header: ProxyHeader, _ bytes: RawSpan, at: Instant) -> Int? {
    prelude = .none
    peer = header.client?.host ?? peer
    worker.countByAddress(self)
    guard case .rejection(let rejection, _) = prelude else { return header.consumed }
    if header.consumed < bytes.byteCount {
      replyRejected(rejection, at: at, to: bytes.extracting(header.consumed..<bytes.byteCount))
    }
    return nil
  }

  /// Closes a connection that does not begin with a PROXY header. Nobody knows who is there, so nobody gets a reply.
  func rejectProxyHeader(_ limit: Limit, _ reason: String) {
    worker.counters.hit(limit)
    worker.proxy.logOnce(limit, "closed a connection from \(peer): \(reason)")
    close()
  }

  // MARK: Requests

  func serverConnection(_ connection: ServerConnection, cachedHeadIn bytes: RawSpan) -> RequestHead? {
    if configuration !== worker.configuration {
      configuration = worker.configuration
      headCache = worker.headCaches.requests
      connection.adopt(Self.options(configuration))
    }
    connection.pseudonym = configuration.forwarding.via
    guard let match = headCache.lookup(bytes, for: connection.parser) else { return nil }
    found = CachedRequest.of(match, worker.upstreams.route(match.head))
    return match.head
  }

  func serverConnection(
    _ connection: ServerConnection, didReceive head: RequestHead, at: Instant, into output: OutputBuffer
  ) {
    let worker = worker
    if let found = found.take() { return begin(head, found, at: at, into: output) }
    let cached = CachedRequest(head, worker.upstreams.route(head), worker.configuration, worker)
    headCache.insert(head, cached, from: connection.parser)
    begin(head, cached, at: at, into: output)
  }

  /// Makes an exchange of a head.
  private func begin(_ head: RequestHead, _ cached: CachedRequest, at: Instant, into output: OutputBuffer) {
    let worker = worker
    let configuration = worker.configuration
    origin = configuration.settings.forwarding.corsErrors ? WebOrigin.text(of: head) : nil
    let exchange = Exchange(
      downstream: self, head: head, configuration: consume configuration, upstream: cached.upstream,
      client: cached.metadata.isForwarded ? worker.clientAddress(peer: peer, head) : peer,
      received: worker.wallAnchor(at: connection.receivedAt ?? at), at: at)
    self.exchange = exchange
    exchange.start(head, cached, clientAddress: peer, into: output)
  }

  func serverConnection(
    _ connection: ServerConnection, didReceiveBody ranges: BodyRanges, of bytes: RawSpan, at: Instant,
    into output: OutputBuffer
  ) {
    exchange?.forward(ranges, by: connection.parser, of: bytes, at: at, into: output)
  }

  func serverConnection(
    _ connection: ServerConnection, didCompleteRequestWith last: BodyRanges, of bytes: RawSpan, at: Instant
  ) {
    exchange?.requestCompleted(last: last, of: bytes, at: at)
  }

  func serverConnection(_ connection: ServerConnection, didFailWith error: HTTPParseError) {
    if let exchange { exchange.requestBroke(error) } else { reject(error) }
  }

  func serverConnectionDidPausePipelining(_ connection: ServerConnection) { worker.counters.hit(.pipelinedBytes) }

  // MARK: Requests that never become an exchange

  /// Refuses a request whose head is invalid.
  private func reject(_ error: HTTPParseError) {
    worker.counters.refused(error, from: .downstream)
    replyUnstarted(.rejected, ExchangeFailure(request: error), naming: error.word)
  }

  /// Replies to a client for whom there is no room, whatever it asks for.
  private func replyRejected(_ rejection: ConnectionRejection, at: Instant, to bytes: RawSpan) {
    replyUnstarted(
      .rejected, rejection.failure, receivedAt: at, head: unsafe bytes.withUnsafeBytes { unsafe Array($0) })
  }

  /// Records a request that never became an exchange, and replies to it.
  /// - Parameters:
  ///   - word: the word of the request that was not understood, for the client alone.
  ///   - head: what has come of the request's head, if the parser does not have it.
  func replyUnstarted(
    _ outcome: Outcome, _ failure: ExchangeFailure, receivedAt: Instant? = nil, naming word: String? = nil,
    head: [UInt8]? = nil
  ) {
    recordUnstarted(outcome, failure, status: LocalReply.status(for: failure.kind), receivedAt: receivedAt)
    let tellsOrigin = worker.configuration.settings.forwarding.corsErrors
    let origin = tellsOrigin ? WebOrigin.text(inHead: head ?? connection.parser.fields.bytes) : nil
    send(LocalReply(for: failure, naming: word, origin: origin))
  }

  /// Records a request that never became an exchange: its head was refused, or never complete.
  func recordUnstarted(
    _ outcome: Outcome, _ failure: ExchangeFailure?, status: Int? = nil, receivedAt: Instant? = nil
  ) {
    let termination = Termination(outcome: outcome, stage: .upload, failure: failure)
    let received = worker.wallAnchor(at: receivedAt ?? connection.receivedAt ?? .now())
    let recorder = ExchangeRecorder(client: peer, received: received, RecordingOptions(), worker.recording)
    if let status { recorder.replied(status: status) }
    recorder.refused(PartialRequestLine(connection.parser.fields))
    recorder.submit(
      termination, upstream: worker.upstreams.all[0].authority, worker.configuration, worker.recording)
  }

  // MARK: The end

  func serverConnectionDidFlush(_ connection: ServerConnection) { exchange?.clientFlushed() }

  /// The client ended its side, or its connection: it has cancelled (Documentation.docc/HTTPCases.md, case 45).
  func serverConnectionDidLoseClient(_ connection: ServerConnection) {
    let failure = connection.clientError.flatMap { ExchangeFailure(client: $0) }
    if let exchange { return exchange.clientLeft(failure) }
    if case .proxyHeader(let header) = prelude, header.hasBegun {
      rejectProxyHeader(.proxyHeader, "it ended within its PROXY header")
    } else if connection.isReadingHead {
      recordUnstarted(.clientCancelled, failure)
    }
  }

  /// It may still read: what comes from here on is told apart, for the case that it does not.
  func serverConnectionClientDidEndSide(_ connection: ServerConnection) { exchange?.recorder.clientEndedSide() }

  func serverConnectionWillLinger(_ connection: ServerConnection) -> Int64 {
    // Nothing more is expected of such a client; and of rejected ones there may be few at a time.
    if accounting.isRejected || worker.isDraining && connection.isClientSilent { return 0 }
    worker.clientLingers(self)
    return worker.configuration.settings.timeouts.linger.wholeNanoseconds
  }

  func serverConnectionDidClose(_ connection: ServerConnection) { worker.forget(self) }
}
