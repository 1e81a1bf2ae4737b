// A client's connection: request after request, each an exchange; what comes too pipelined waits.
// It must not know about upstream connections or tokens.
import Clocks
import HTTP
import HTTP1
import Measurement
import Transport

/// One client connection, confined to its worker's thread.
final class DownstreamConnection: StreamDelegate {
  /// How a connection is closed once all is sent.
  private enum ClosingManner {
    /// Our side ends, and what the client still sends is read and dropped for a moment.
    case lingering
    case plain
    case reset
  }

  private enum Phase {
    /// A proxy in front says first whom it connects for.
    case introduced(ProxyHeaderParser)
    case open
    /// There is no room for this client: it is told so when it has sent something, or closed if it does not by then.
    case rejecting(ConnectionRejection, until: Instant)
    /// Closing once the queue is empty.
    case closing(ClosingManner)
    /// Our side has ended; the client's last bytes are thrown away until this instant.
    case lingering(until: Instant)
  }

  /// What a client's connection counts as while it is there.
  struct ConnectionAccounting {
    /// Among the clients that are served, and have a share of the descriptors.
    var isServed = false
    /// Among those that are told that there is no room.
    var isRejected = false
    /// Among the connections of this address, where they are bounded.
    var client: String?
  }

  private static let lingerNanoseconds: Int64 = 2_000_000_000
  /// How long a client for whom there is no room may take to say something, and so to be told.
  private static let rejectingNanoseconds: Int64 = 500_000_000
  /// How long a client whose connection is kept may stay away while draining: one that asks within it is told with the
  /// answer, where closing at once would meet requests that are on their way.
  private static let drainIdleNanoseconds: Int64 = 1_000_000_000

  // What each write touches stands first, as in SocketStream.
  let worker: Worker
  private let stream: any ByteStream
  /// Bytes ever written to the client.
  private(set) var writtenBytes: UInt64 = 0
  /// The client's address as text: the peer's, or the one that a PROXY header named.
  private(set) var peer: String
  /// What it counts as; the worker keeps it.
  var accounting = ConnectionAccounting()
  private let parser: MessageParser
  private let headCache: HeadCache<RequestHead, CachedRequest>
  private var exchange: Exchange?
  private var phase = Phase.open
  /// Bytes behind the present request.
  private var pipelined = PipelinedBytes()
  private var isConsuming = false
  /// Whether a client that ends its side (FIN) is still answered.
  private let finishesHalfClosed: Bool
  /// Whether the client has ended its side, and is still answered.
  private var hasEnded = false
  /// When the present request's first byte came.
  private var received: WallAnchor?
  /// When the present request's first byte was looked at: later where an exchange before it was under way.
  private var takenUpAt: Instant?
  private var activeAt = Instant.now()
  /// How long a client that is being sent its last bytes has taken none.
  private var stallDetector = StallDetector(at: Instant(nanoseconds: 0))
  /// Whether nothing has come behind the last request, and that was whole.
  private var hasSaidAll = false

  init(worker: Worker, stream: any ByteStream) {
    self.worker = worker
    self.stream = stream
    peer = stream.peer?.host ?? ""
    let settings = worker.configuration.settings
    headCache = worker.headCaches.requests
    parser = MessageParser(.request, limits: settings.requestLimits, ranges: worker.ranges)
    finishesHalfClosed = settings.finishesHalfClosed
    // Behind its FIN nothing else tells that it is gone.
    if finishesHalfClosed { stream.detectsReset = true }
    if settings.awaitsProxyHeader { phase = .introduced(ProxyHeaderParser()) }
    stream.delegate = self
    stream.startReading()
  }

  /// Serves nobody here.
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

  /// The same, of an array.
  func write(_ bytes: [UInt8]) -> Bool { unsafe bytes.withUnsafeBytes { unsafe write($0.bytes) } }

  /// Upstream takes the body more slowly than the client sends it.
  func pauseUpload() {
    worker.counters.uploadPauses.add()
    pauseReading()
  }
  /// A FIN is seen behind a pause where it means that the client has left; where it does not, it waits for its turn.
  private func pauseReading() { stream.pauseReading(detectingClose: !finishesHalfClosed) }
  /// Upstream has caught up.
  func resumeUpload() { if !stream.isClosed { stream.startReading() } }

  /// Gives the client's stream to a tunnel, with what came behind the request, and whether that was all. It comes back to
  /// be closed by `exchangeEnded(.close)`.
  func handOver() -> (stream: any ByteStream, pipelined: [UInt8], hasEnded: Bool) {
    defer { pipelined = PipelinedBytes() }
    return (stream, pipelined.bytes, hasEnded)
  }

  /// The exchange is over and recorded.
  /// - Parameter answersHead: whether its request was a HEAD: a reply to it has no body.
  func exchangeEnded(_ ending: ClientEnding, answersHead: Bool) {
    if let exchange { activeAt = max(activeAt, exchange.activeAt) }
    hasSaidAll = exchange?.isRequestComplete == true && pipelined.isEmpty
    exchange = nil
    leave(ending, answersHead: answersHead)
  }

  private func leave(_ ending: ClientEnding, answersHead: Bool = false) {
    switch ending {
    case .keep:
      hasSaidAll = false
      parser.reset()
      received = nil
      stream.startReading()
      consumePipelined()
    case .close(let reset): close(reset: reset)
    case .closeLingering: beginClosing(.lingering)
    case .truncate(let reset): beginClosing(reset ? .reset : .plain)
    case .reply(let failure):
      let retryAfter = worker.configuration.settings.retryAfter
      _ = write(LocalReply.bytes(for: failure, answersHead: answersHead, retryAfter: retryAfter))
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
    // A drain does not wait for what nobody is expected to say, and others wait for the place of one that is refused.
    let isBrief = accounting.isRejected || worker.isDraining && hasSaidAll
    phase = .lingering(until: Instant.now().advanced(byNanoseconds: isBrief ? 0 : Self.lingerNanoseconds))
  }

  private func close(reset: Bool = false) {
    guard !stream.isClosed else { return }
    stream.close(reset: reset)
    worker.forget(self)
  }

  // MARK: Reading

  func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival) {
    worker.counters.downstreamReads.add()
    worker.counters.downstreamReadBytes.add(bytes.byteCount)
    switch phase {
    case .open: take(bytes, at: arrival.readAt)
    case .introduced: readProxyHeader(bytes, at: arrival.readAt)
    case .rejecting(let rejection, _): replyRejected(rejection, at: arrival.readAt)
    // What a client sends while its connection closes is thrown away.
    case .closing, .lingering: return
    }
  }

  private func take(_ bytes: RawSpan, at: Instant) {
    activeAt = at
    if isConsuming || exchange?.isRequestComplete == true { return keep(bytes, at: at) }
    consume(bytes, at: at)
    consumePipelined()
  }

  /// Before the first request, where that is asked for.
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
      take(bytes.extracting(header.consumed..<bytes.byteCount), at: at)
    } catch {
      rejectProxyHeader(.proxyHeader, error.reason)
    }
  }

  /// Closes a connection whose first words were no PROXY header: nobody knows who is there, so nobody is answered.
  private func rejectProxyHeader(_ limit: Limit, _ reason: String) {
    worker.counters.hit(limit)
    worker.proxy.logOnce(limit, "closed a connection from \(peer): \(reason)")
    close()
  }

  private func keep(_ bytes: RawSpan, at: Instant) {
    // They grow outside: were they changed in place, each look at them would be checked for a second access.
    var grown = pipelined
    pipelined = PipelinedBytes()
    grown.append(bytes, at: at)
    pipelined = grown
    guard grown.isFull else { return }
    worker.counters.hit(.pipelinedBytes)
    pauseReading()
  }

  /// Goes on with requests that came behind the one that has ended: a loop, not a recursion, however many there are.
  private func consumePipelined() {
    guard !isConsuming else { return }
    isConsuming = true
    defer { isConsuming = false }
    while case .open = phase, !pipelined.isEmpty, exchange?.isRequestComplete != true, !stream.isClosed {
      let taken = pipelined
      pipelined = PipelinedBytes()
      unsafe taken.bytes.withUnsafeBytes { unsafe consume($0.bytes, at: .now(), from: taken) }
    }
    // Nobody will send what is missing.
    if hasEnded, case .open = phase, exchange?.isRequestComplete != true, !stream.isClosed { left() }
  }

  /// - Parameter waited: what `bytes` are of, where they had to wait.
  private func consume(_ bytes: RawSpan, at: Instant, from waited: PipelinedBytes? = nil) {
    let (worker, parser) = (worker, parser)
    if received == nil {
      received = worker.wallAnchor(at: waited?.firstAt ?? at)
      takenUpAt = at
    }
    // A request that was refused in the read of its head leaves that head behind: it must not go anywhere else.
    defer { worker.upstreamBuffer.removeAll() }
    var rest = bytes
    while true {
      if exchange == nil, let found = headCache.lookup(rest, for: parser) {
        rest = rest.extracting(found.head.fields.bytes.count..<rest.byteCount)
        let upstream = worker.upstreams.route(found.head)
        guard begin(found.head, CachedRequest.of(found, upstream), at: at) else { return }
      }
      let (consumed, progress) = parser.parse(rest)
      switch progress {
      case .needsMore:
        // Empty lines before a request are not its first bytes.
        if !parser.hasBegun { received = nil }
        exchange?.forward(parser, rest, at: at)
        return
      case .headComplete:
        rest = rest.extracting(consumed..<rest.byteCount)
        guard begin(at: at) else { return }
      case .messageComplete:
        let last = rest.extracting(0..<consumed)
        let exchange = exchange
        exchange?.forward(parser, last, at: at)
        let behind = rest.extracting(consumed..<rest.byteCount)
        if let waited {
          pipelined = waited.dropping(bytes.byteCount - behind.byteCount)
        } else if !behind.isEmpty {
          keep(behind, at: at)
        }
        // One whose body was refused is over.
        if self.exchange === exchange { exchange?.requestCompleted(last: parser.ranges, of: last, at: at) }
        return
      case .failed(let error):
        guard let exchange else { return reject(error) }
        return exchange.requestBroke(error)
      }
    }
  }

  /// Makes an exchange of the head that `parser` has completed.
  /// - Returns: whether there is one, and the rest is to be read.
  private func begin(at: Instant) -> Bool {
    do throws(HTTPParseError) {
      let head = try RequestHead(parser, refusingVia: worker.configuration.settings.forwarding.via)
      let cached = CachedRequest(head, worker.upstreams.route(head), worker.configuration, worker)
      headCache.insert(head, cached, from: parser)
      return begin(head, cached, at: at)
    } catch {
      reject(error)
      return false
    }
  }

  /// Makes an exchange of a head.
  private func begin(_ head: RequestHead, _ cached: CachedRequest, at: Instant) -> Bool {
    let worker = worker
    let configuration = worker.configuration
    let exchange = Exchange(
      downstream: self, head: head, configuration: consume configuration, upstream: cached.upstream,
      client: cached.metadata.isForwarded ? worker.clientAddress(peer: peer, head) : peer, received: received ?? .now(),
      at: at)
    self.exchange = exchange
    exchange.start(head, cached, clientAddress: peer)
    // A server that cannot be reached may have been answered for already.
    return self.exchange === exchange
  }

  /// Refuses a request of which nothing was sent on.
  private func reject(_ error: HTTPParseError) {
    worker.counters.refused(error, from: .downstream)
    replyUnstarted(.rejected, ExchangeFailure(request: error))
  }

  /// Answers a client for whom there is no room, whatever it asked for.
  private func replyRejected(_ rejection: ConnectionRejection, at: Instant) {
    received = worker.wallAnchor(at: at)
    replyUnstarted(.rejected, rejection.failure)
  }

  /// Records a request that never became an exchange, and tells the client why.
  private func replyUnstarted(_ outcome: Outcome, _ failure: ExchangeFailure) {
    recordUnstarted(outcome, failure, status: LocalReply.status(for: failure.kind))
    leave(.reply(failure))
  }

  /// Records a request that never became an exchange: its head was refused, or never whole.
  private func recordUnstarted(_ outcome: Outcome, _ failure: ExchangeFailure?, status: Int? = nil) {
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
    // It has said all it wants to, and may still listen (Documentation.docc/HTTPCases.md, case 45).
    if finishesHalfClosed, exchange?.isRequestComplete == true { hasEnded = true } else { left() }
  }

  func streamDidFail(_ stream: any ByteStream, _ error: TransportError) {
    // Nothing that is still queued can reach anybody.
    if case .closing = phase { close() } else { left() }
  }

  /// The client closed its side, or all of it: that is an abort (Documentation.docc/HTTPCases.md, case 45).
  private func left() {
    if let exchange { return exchange.clientLeft() }
    // What is still to be sent to a client that only closed its side goes out first.
    if case .closing = phase, stream.queuedBytes > 0, !stream.isClosed { return }
    if case .introduced(let header) = phase, header.hasBegun {
      return rejectProxyHeader(.proxyHeader, "it ended within its PROXY header")
    }
    if case .open = phase, parser.hasBegun {
      recordUnstarted(.clientCancelled, nil)
    }
    close()
  }

  /// Closes, or ends the exchange, where something has taken too long.
  func checkDeadlines(_ now: Instant) {
    if let exchange { return exchange.checkDeadlines(now) }
    let waited = now.nanoseconds(since: activeAt)
    switch phase {
    case .introduced(let header) where worker.isDraining && !header.hasBegun:
      if waited > Self.drainIdleNanoseconds, !stream.isStale() { close() }
    case .introduced:
      guard waited > worker.configuration.settings.requestHeadTimeout ?? .max else { return }
      rejectProxyHeader(.proxyHeaderTimeout, "its PROXY header did not come in time")
    case .rejecting(_, let until), .lingering(let until):
      if now >= until { close() }
    case .closing:
      let still = stallDetector.stalledNanoseconds(stream.sentBytes, isAwaited: true, at: now)
      guard still > worker.configuration.settings.clientStalledTimeout ?? .max else { return }
      worker.counters.hit(.clientStalledTimeout)
      close(reset: true)
    case .open where parser.hasBegun:
      guard let begun = takenUpAt, let limit = worker.configuration.settings.requestHeadTimeout else { return }
      if now.nanoseconds(since: begun) > limit { headTimedOut() }
    case .open:
      let limit = worker.configuration.settings.idleTimeout ?? .max
      // A request that waits in the socket is served: closing over it would reset a client that did nothing wrong.
      guard waited > (worker.isDraining ? min(limit, Self.drainIdleNanoseconds) : limit), !stream.isStale() else {
        return
      }
      worker.counters.hit(.idleTimeout)
      close()
    }
  }

  private func headTimedOut() {
    worker.counters.hit(.requestHeadTimeout)
    replyUnstarted(.timeout, ExchangeFailure(.requestHeadTimeout, "the request's head did not come in time"))
  }

  /// Ends whatever is left, now.
  func shutDown() {
    if let exchange {
      exchange.shutDown()
    } else if case .open = phase, parser.hasBegun {
      recordUnstarted(.timeout, ExchangeFailure(.shutDown, "shut down before the request's head was whole"))
    }
    if !stream.isClosed { close(reset: false) }
  }
}
