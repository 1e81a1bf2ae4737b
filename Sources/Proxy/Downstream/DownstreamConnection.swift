// A client's connection: one request after the other, each an exchange. What comes ahead of its turn waits.
import Clocks
import HTTP
import HTTP1
import Measurement
import Transport

/// One client connection, confined to its worker's thread.
final class DownstreamConnection: StreamDelegate {
  /// How a connection is closed once everything is sent.
  enum ClosingManner {
    /// The proxy's side ends; what the client still sends is read and dropped for a moment.
    case lingering
    case plain
    case reset
  }

  enum Phase {
    /// A PROXY header is awaited.
    case introduced(ProxyHeaderParser)
    case open
    /// There is no room for this client: it gets a reply as soon as it sends something, or is closed at `until`.
    case rejecting(ConnectionRejection, until: Instant)
    /// To be closed once the queue is empty.
    case closing(ClosingManner)
    /// The proxy's side has ended; what the client sends is dropped until this instant.
    case lingering(until: Instant)
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

  private static let lingerNanoseconds: Int64 = 2_000_000_000
  /// How long a client for whom there is no room may take to send something, so that it can get its reply.
  private static let rejectingNanoseconds: Int64 = 500_000_000
  /// How long a kept connection may be idle while draining. A client that asks within it is told to close with its response;
  /// closing at once would meet requests that are on their way.
  static let drainIdleNanoseconds: Int64 = 1_000_000_000

  // What each write touches stands first, as in SocketStream.
  let worker: Worker
  let stream: any ByteStream
  /// Bytes ever written to the client.
  private(set) var writtenBytes: UInt64 = 0
  /// The client's address as text: the peer's, or the one that a PROXY header names.
  private(set) var peer: String
  /// Owned by the worker.
  var accounting = ConnectionAccounting()
  let parser: MessageParser
  private let headCache: HeadCache<RequestHead, CachedRequest>
  private(set) var exchange: Exchange?
  private(set) var phase = Phase.open
  /// What came behind the present request.
  private var pipelined = PipelinedBytes()
  private var isConsuming = false
  /// Whether a client that ended its side (FIN) still gets its response.
  private let finishesHalfClosed: Bool
  /// Whether the client has ended its side, and still gets its response.
  private var hasEnded = false
  /// When the present request's first byte came.
  private var received: WallAnchor?
  /// When the present request's first byte was parsed: later than it came where an exchange before it was under way.
  private(set) var parsingStartedAt: Instant?
  private(set) var activeAt = Instant.now()
  /// How long a client that is being sent its last bytes has taken none.
  var stallDetector = StallDetector(at: Instant(nanoseconds: 0))
  /// Whether the last request was complete and nothing has come behind it.
  private var expectsNoMore = false

  init(worker: Worker, stream: any ByteStream) {
    self.worker = worker
    self.stream = stream
    peer = stream.peer?.host ?? ""
    let settings = worker.configuration.settings
    headCache = worker.headCaches.requests
    parser = MessageParser(.request, limits: settings.requestLimits, ranges: worker.ranges)
    finishesHalfClosed = settings.finishesHalfClosed
    // After its FIN nothing else tells that a client is gone.
    if finishesHalfClosed { stream.detectsReset = true }
    if settings.awaitsProxyHeader { phase = .introduced(ProxyHeaderParser()) }
    stream.delegate = self
    stream.startReading()
  }

  /// Serves this client no request.
  func reject(_ rejection: ConnectionRejection) {
    phase = .rejecting(rejection, until: Instant.now().advanced(byNanoseconds: Self.rejectingNanoseconds))
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
    pauseReading()
  }
  /// A FIN is noticed during a pause only where it means that the client has left.
  private func pauseReading() { stream.pauseReading(detectingClose: !finishesHalfClosed) }
  /// Reads the request again.
  func resumeUpload() { if !stream.isClosed { stream.startReading() } }

  /// Hands the client's stream to a tunnel, with what came behind the request, and whether the client has ended its side. The
  /// stream is closed by `exchangeEnded(.close)`.
  func handOver() -> (stream: any ByteStream, pipelined: [UInt8], hasEnded: Bool) {
    defer { pipelined = PipelinedBytes() }
    return (stream, pipelined.bytes, hasEnded)
  }

  /// The exchange is over and recorded.
  /// - Parameter answersHead: whether its request was a HEAD: a reply has no body then.
  func exchangeEnded(_ ending: ClientEnding, answersHead: Bool) {
    if let exchange { activeAt = max(activeAt, exchange.activeAt) }
    expectsNoMore = exchange?.isRequestComplete == true && pipelined.isEmpty
    exchange = nil
    leave(ending, answersHead: answersHead)
  }

  private func leave(_ ending: ClientEnding, answersHead: Bool = false) {
    switch ending {
    case .keep:
      expectsNoMore = false
      parser.reset()
      received = nil
      stream.startReading()
      consumePipelined()
    case .close(let reset): close(reset: reset)
    case .closeLingering: beginClosing(.lingering)
    case .truncate(let reset): beginClosing(reset ? .reset : .plain)
    case .reply(let failure):
      let retryAfter = worker.configuration.settings.retryAfter
      let reply = LocalReply.bytes(for: failure, answersHead: answersHead, retryAfter: retryAfter)
      _ = unsafe reply.withUnsafeBytes { unsafe write($0.bytes) }
      beginClosing(.lingering)
    }
  }

  /// Closes once everything is sent.
  private func beginClosing(_ manner: ClosingManner) {
    stream.startReading()
    phase = .closing(manner)
    stallDetector = StallDetector(at: activeAt)
    if stream.queuedBytes == 0 { finishClosing(manner) }
  }

  private func finishClosing(_ manner: ClosingManner) {
    switch manner {
    case .plain: return close()
    case .reset: return close(reset: true)
    case .lingering: break
    }
    if hasEnded { return close() }
    stream.shutdownWriting()
    // Nothing more is expected of such a client; and of rejected ones there may be few at a time.
    let isBrief = accounting.isRejected || worker.isDraining && expectsNoMore
    phase = .lingering(until: Instant.now().advanced(byNanoseconds: isBrief ? 0 : Self.lingerNanoseconds))
  }

  func close(reset: Bool = false) {
    guard !stream.isClosed else { return }
    stream.close(reset: reset)
    worker.forget(self)
  }

  // MARK: Reading

  func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival) {
    worker.counters.downstreamReads.add()
    worker.counters.downstreamReadBytes.add(bytes.byteCount)
    switch phase {
    case .open: receive(bytes, at: arrival.readAt)
    case .introduced: readProxyHeader(bytes, at: arrival.readAt)
    case .rejecting(let rejection, _): replyRejected(rejection, at: arrival.readAt)
    // What a client sends while its connection closes is dropped.
    case .closing, .lingering: return
    }
  }

  private func receive(_ bytes: RawSpan, at: Instant) {
    activeAt = at
    if isConsuming || exchange?.isRequestComplete == true { return enqueue(bytes, at: at) }
    worker.read(bytes, at: at, by: self)
    consumePipelined()
  }

  /// Reads the PROXY header that precedes the first request.
  private func readProxyHeader(_ bytes: RawSpan, at: Instant) {
    guard case .introduced(var parser) = phase else { return }
    do throws(ProxyHeaderError) {
      let header = try parser.parse(bytes)
      guard let header else { return phase = .introduced(parser) }
      phase = .open
      peer = header.client?.host ?? peer
      worker.tally(self)
      guard header.consumed < bytes.byteCount else { return }
      if case .rejecting(let rejection, _) = phase { return replyRejected(rejection, at: at) }
      receive(bytes.extracting(header.consumed..<bytes.byteCount), at: at)
    } catch {
      rejectProxyHeader(.proxyHeader, error.reason)
    }
  }

  /// Closes a connection that does not begin with a PROXY header. Nobody knows who is there, so nobody gets a reply.
  func rejectProxyHeader(_ limit: Limit, _ reason: String) {
    worker.counters.hit(limit)
    worker.proxy.logOnce(limit, "closed a connection from \(peer): \(reason)")
    close()
  }

  /// Keeps what came ahead of its turn; pauses a client that has sent as much as is kept.
  private func enqueue(_ bytes: RawSpan, at: Instant) {
    // Changed in a local variable: in place, each access would be checked for a second one.
    var grown = pipelined
    pipelined = PipelinedBytes()
    grown.append(bytes, at: at)
    pipelined = grown
    guard grown.isFull else { return }
    worker.counters.hit(.pipelinedBytes)
    pauseReading()
  }

  /// Goes on with the requests that came behind the one that has ended: in a loop and not by recursion, as there may be many.
  private func consumePipelined() {
    guard !isConsuming else { return }
    isConsuming = true
    defer { isConsuming = false }
    while case .open = phase, !pipelined.isEmpty, exchange?.isRequestComplete != true, !stream.isClosed {
      let taken = pipelined
      pipelined = PipelinedBytes()
      unsafe taken.bytes.withUnsafeBytes { unsafe worker.read($0.bytes, at: .now(), from: taken, by: self) }
    }
    // What is missing will not come.
    if hasEnded, case .open = phase, exchange?.isRequestComplete != true, !stream.isClosed { clientLeft() }
  }

  /// Parses at most one request, or the next part of one. Called by the worker, which owns `output`.
  /// - Parameters:
  ///   - waited: where the bytes had to wait: all that waited.
  ///   - output: empty; what of the request goes to upstream is put together there.
  func consume(_ bytes: RawSpan, at: Instant, from waited: PipelinedBytes?, into output: OutputBuffer) {
    let (worker, parser) = (worker, parser)
    if received == nil {
      received = worker.wallAnchor(at: waited?.firstAt ?? at)
      parsingStartedAt = at
    }
    var rest = bytes
    while true {
      if exchange == nil, let found = headCache.lookup(rest, for: parser) {
        rest = rest.extracting(found.head.fields.bytes.count..<rest.byteCount)
        let upstream = worker.upstreams.route(found.head)
        guard begin(found.head, CachedRequest.of(found, upstream), at: at, into: output) else { return }
      }
      let (consumed, progress) = parser.parse(rest)
      switch progress {
      case .needsMore:
        // Empty lines before a request are not its first bytes.
        if !parser.hasBegun { received = nil }
        exchange?.forward(parser, rest, at: at, into: output)
        return
      case .headComplete:
        rest = rest.extracting(consumed..<rest.byteCount)
        guard begin(at: at, into: output) else { return }
      case .messageComplete:
        let last = rest.extracting(0..<consumed)
        let exchange = exchange
        exchange?.forward(parser, last, at: at, into: output)
        let behind = rest.extracting(consumed..<rest.byteCount)
        if let waited {
          pipelined = waited.dropping(bytes.byteCount - behind.byteCount)
        } else if !behind.isEmpty {
          enqueue(behind, at: at)
        }
        // An exchange whose body was refused is over.
        if self.exchange === exchange { exchange?.requestCompleted(last: parser.ranges, of: last, at: at) }
        return
      case .failed(let error):
        guard let exchange else { return reject(error) }
        return exchange.requestBroke(error)
      }
    }
  }

  /// Makes an exchange of the head that `parser` has completed.
  /// - Returns: whether there is one, and the rest is its body.
  private func begin(at: Instant, into output: OutputBuffer) -> Bool {
    do throws(HTTPParseError) {
      let head = try RequestHead(parser, refusingVia: worker.configuration.settings.forwarding.via)
      let cached = CachedRequest(head, worker.upstreams.route(head), worker.configuration, worker)
      headCache.insert(head, cached, from: parser)
      return begin(head, cached, at: at, into: output)
    } catch {
      reject(error)
      return false
    }
  }

  /// Makes an exchange of a head.
  /// - Returns: false where it is over already, as for a server that cannot be reached.
  private func begin(_ head: RequestHead, _ cached: CachedRequest, at: Instant, into output: OutputBuffer) -> Bool {
    let worker = worker
    let configuration = worker.configuration
    let exchange = Exchange(
      downstream: self, head: head, configuration: consume configuration, upstream: cached.upstream,
      client: cached.metadata.isForwarded ? worker.clientAddress(peer: peer, head) : peer, received: received ?? .now(),
      at: at)
    self.exchange = exchange
    exchange.start(head, cached, clientAddress: peer, into: output)
    return self.exchange === exchange
  }

  /// Refuses a request whose head is invalid.
  private func reject(_ error: HTTPParseError) {
    worker.counters.refused(error, from: .downstream)
    replyUnstarted(.rejected, ExchangeFailure(request: error))
  }

  /// Replies to a client for whom there is no room, whatever it asks for.
  private func replyRejected(_ rejection: ConnectionRejection, at: Instant) {
    received = worker.wallAnchor(at: at)
    replyUnstarted(.rejected, rejection.failure)
  }

  /// Records a request that never became an exchange, and replies to it.
  func replyUnstarted(_ outcome: Outcome, _ failure: ExchangeFailure) {
    recordUnstarted(outcome, failure, status: LocalReply.status(for: failure.kind))
    leave(.reply(failure))
  }

  /// Records a request that never became an exchange: its head was refused, or never complete.
  func recordUnstarted(_ outcome: Outcome, _ failure: ExchangeFailure?, status: Int? = nil) {
    let termination = Termination(outcome: outcome, stage: .upload, failure: failure)
    let recorder = ExchangeRecorder(
      client: peer, received: received ?? .now(), keepsTimeline: false, worker.recording)
    if let status { recorder.replied(status: status) }
    recorder.refused(PartialRequestLine(parser.fields))
    recorder.submit(
      termination, upstream: worker.upstreams.all[0].authority, worker.configuration, worker.recording)
  }

  // MARK: The rest of the stream's life

  func streamDidConnect(_ stream: any ByteStream) {}

  func streamDidFlush(_ stream: any ByteStream) {
    activeAt = .now()
    exchange?.clientFlushed()
    if case .closing(let manner) = phase, stream.queuedBytes == 0, !stream.isClosed { finishClosing(manner) }
  }

  func streamDidEnd(_ stream: any ByteStream) {
    // Its request is complete, and it may still read (Documentation.docc/HTTPCases.md, case 45).
    if finishesHalfClosed, exchange?.isRequestComplete == true { hasEnded = true } else { clientLeft() }
  }

  func streamDidFail(_ stream: any ByteStream, _ error: TransportError) {
    // What is still queued can reach nobody.
    if case .closing = phase { close() } else { clientLeft() }
  }

  /// The client ended its side, or its connection: it has cancelled (Documentation.docc/HTTPCases.md, case 45).
  private func clientLeft() {
    if let exchange { return exchange.clientLeft() }
    // Where only its side has ended, what is queued is still sent.
    if case .closing = phase, stream.queuedBytes > 0, !stream.isClosed { return }
    if case .introduced(let header) = phase, header.hasBegun {
      return rejectProxyHeader(.proxyHeader, "it ended within its PROXY header")
    }
    if case .open = phase, parser.hasBegun {
      recordUnstarted(.clientCancelled, nil)
    }
    close()
  }
}
