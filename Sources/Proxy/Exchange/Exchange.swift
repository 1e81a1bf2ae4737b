// One exchange as it is driven: requests go up, responses come down, and every byte is sent before it is looked at.
// It must not decide (ExchangeState does), nor measure (ExchangeRecorder does).
import Clocks
import HTTP
import HTTP1
import Measurement
import TokenWire
import Transport

/// One request and its response between a client's connection and an upstream one. Confined to its worker's thread.
final class Exchange {
  /// Taken into a constant by what runs for every request: what a constant holds is lent, where `worker.x` would be
  /// counted in and out at each use.
  let worker: Worker
  /// The client's connection, which lets go of this exchange when it ends.
  private let downstream: DownstreamConnection
  private(set) var upstream: UpstreamConnection?
  private let hot: UniqueBox<HotState>
  // What each token touches stands first and close together, as in SocketStream.
  /// When something last happened, for deadlines.
  private(set) var activeAt: Instant
  private var headStartedAt: Instant?
  private var responseFraming = BodyFraming.none
  /// What reads brought and the client's socket has not taken yet: up to which of its bytes, and the last such read.
  private var undelivered: UInt64?
  /// Its reads that have been forwarded and not looked at; the deferredDecoder keeps it.
  var pendingReads: DeferredDecoder.PendingReads?
  /// Whether a 101 has been passed on, and the tunnel is to begin behind it.
  private var isSwitching = false
  private var isUpstreamPaused = false

  /// The settings that it is held to: those in force when it began, or when it asked for its last connection.
  private var configuration: ConfigurationSnapshot
  /// When what it waits for now began to be waited for.
  private var stepAt: Instant
  private var deadlines: Deadlines
  private let client11: Bool
  private let answersHead: Bool
  private let requestFraming: BodyFraming
  private let clientKeepsAlive: Bool
  /// The protocols that upstream may switch to.
  private let offer: UpgradeOffer?
  private var tunnel: Tunnel?
  /// Whether the client asked for a 100 that has not come.
  private var awaitsContinue: Bool
  /// Whether the response's body ends with upstream's connection.
  private var isCloseDelimited = false
  private var upstreamKeepsAlive = false
  private var closesClient = false
  /// What has come of the request while it waits for a place at upstream.
  private var held: [UInt8] = []
  private var permit = Permit()
  /// The request's head, kept while it may have to be sent twice.
  private var repeatable: [UInt8]?
  private var connectStartedAt: Instant
  /// Bytes of the 1xx heads so far.
  private var interimBytes = 0
  private var isCounted = false
  private var pausedAt: Instant?

  /// Begins an exchange whose head is known.
  init(
    downstream: DownstreamConnection, head: RequestHead, configuration: ConfigurationSnapshot, client: String,
    received: WallAnchor, at: Instant
  ) {
    let worker = downstream.worker
    let state = ExchangeState(isRepeatable: head.method.isSafe && head.framing.isEmpty)
    hot = UniqueBox(in: worker.exchangeStates) {
      HotState(state: state, recorder: ExchangeRecorder(client: client, received: received, configuration, worker))
    }
    activeAt = at
    stepAt = at
    deadlines = Deadlines(at: at)
    connectStartedAt = at
    client11 = head.isVersion11
    clientKeepsAlive = head.keepsAlive
    answersHead = head.method == .head
    requestFraming = head.framing
    awaitsContinue = head.expectsContinue
    offer = head.asksToSwitch ? head.offer(of: configuration.settings.forwarding.tunnels) : nil
    self.configuration = configuration
    self.worker = worker
    self.downstream = downstream
  }

  /// What is used at every read: in one place, and in place.
  struct HotState: ~Copyable {
    var state: ExchangeState
    var recorder: ExchangeRecorder
  }

  private(set) var state: ExchangeState {
    _read { yield hot.value.state }
    _modify { yield &hot.value.state }
  }

  private var recorder: ExchangeRecorder {
    _read { yield hot.value.recorder }
    _modify { yield &hot.value.recorder }
  }

  // MARK: Upwards

  /// Takes a connection to upstream and sends it the head.
  func start(_ head: RequestHead, _ cached: CachedRequest, clientAddress: String) {
    let worker = worker
    worker.counters.exchangesBegun.add()
    recorder.request(head, cached.metadata, decoderLimits: configuration.settings.decoderLimits)
    if case .length(let bytes) = requestFraming, refusesBody(of: bytes) { return }
    worker.upstreamBuffer.removeAll()
    if offer != nil || !cached.write(head, to: worker.upstreamBuffer) {
      head.write(
        to: worker.upstreamBuffer, defaultHost: configuration.upstreamAuthority,
        policy: configuration.settings.forwarding,
        client: clientAddress, offer: offer)
    }
    if state.isRepeatable { repeatable = worker.upstreamBuffer.bytes }
    acquirePermit()
  }

  /// Takes a place at upstream, or waits for one, where they are counted.
  private func acquirePermit() {
    guard let limit = configuration.settings.inFlight else { return connectFirst(at: connectStartedAt) }
    switch permit.acquire(limit: limit, queue: configuration.settings.queue, worker) {
    case .admitted:
      connectFirst(at: connectStartedAt)
    case .queued(let waiter):
      worker.counters.hit(.inFlight)
      worker.addWaiter(self, waiter)
      _ = state.handle(.queued)
    case .full:
      worker.counters.hit(.queueLength)
      perform(state.handle(.queueFull("too many requests wait for the server")))
    }
  }

  /// Its turn has come.
  func permitAdmitted() {
    let now = Instant.now()
    permit.admitted()
    activeAt = now
    stepAt = now
    // The connection that comes now is made under these, perhaps to another server.
    configuration = worker.configuration
    let held = held
    self.held = []
    connectFirst(at: now)
    upstream?.send(held)
    upstreamFlushed()
  }

  /// A connection that may become a tunnel never carries anything else.
  private func connectFirst(at: Instant) { connect(fresh: offer != nil, at: at) }

  /// Sends what was put together of the request.
  private func flushRequest() {
    let worker = worker
    if !worker.upstreamBuffer.isEmpty {
      if state.isQueued { held += worker.upstreamBuffer.bytes } else { upstream?.send(worker.upstreamBuffer) }
    }
    worker.upstreamBuffer.removeAll()
    guard (upstream?.queuedBytes ?? held.count) > configuration.settings.highWatermark else { return }
    downstream.pauseUpload()
  }

  private func connect(fresh: Bool, at: Instant) {
    let worker = worker
    _ = state.handle(.connecting)
    stepAt = at
    let connection = worker.pool.lease(fresh: fresh, for: worker)
    connection.begin(self, answersHead: answersHead)
    let isReused = connection.isReused
    upstream = consume connection
    guard isReused else { upstream?.connect(); return }
    worker.counters.upstreamReuses.add()
    upstreamConnected(reused: true, at: at)
  }

  /// Refuses a body that is larger than it may be, by what its head says or by what has come of it.
  /// - Returns: whether it did.
  private func refusesBody(of bytes: UInt64) -> Bool {
    guard let limit = configuration.settings.requestBodyBytes, bytes > UInt64(limit) else { return false }
    let error = HTTPParseError(413, "request body larger than \(limit) bytes", beyond: .body)
    worker.counters.refused(error, from: .downstream)
    requestBroke(error)
    return true
  }

  /// Sends on what one read gave of the request: its head, where that is put together already, body bytes and the body's
  /// end in one piece, for a server that reads each alone would be woken for each. Keeps a bounded copy of them to be
  /// looked at; of the last none is needed, for `requestCompleted` follows.
  /// - Parameter bytes: what `parser` took last.
  func forward(_ parser: MessageParser, _ bytes: RawSpan, at: Instant) {
    let worker = worker
    let ranges = parser.ranges
    activeAt = at
    if configuration.settings.requestBodyBytes != nil, requestFraming == .chunked, !ranges.isEmpty,
      refusesBody(of: UInt64(recorder.requestBytes + ranges.byteCount))
    {
      return
    }
    BodyEncoder.append(parser, of: bytes, framing: requestFraming, to: worker.upstreamBuffer)
    flushRequest()
    if !parser.isComplete { recorder.requestBody(ranges, of: bytes, limit: configuration.settings.inspectedBodyBytes) }
  }

  /// The whole request has come in, and has been forwarded: this is t0.
  /// - Parameter last: the last of its body's bytes.
  func requestCompleted(last: BodyRanges, of bytes: RawSpan, at: Instant) {
    let worker = worker
    if !state.isQueued, !state.isConnecting { stepAt = at }
    // A token that came before the request was whole has no time of its own, whenever it is looked at.
    worker.deferredDecoder.flush(self)
    recorder.meter.requestComplete(at: at)
    // What comes next may begin another request, for which the same memory is used.
    recorder.readRequest(
      last: last, of: bytes, limit: configuration.settings.inspectedBodyBytes, worker.decodingContext)
    perform(state.handle(.requestCompleted))
  }

  // MARK: What upstream does

  /// A connection stands; what was sent to it meanwhile goes out by itself.
  func upstreamConnected(reused: Bool, at: Instant) {
    let worker = worker
    activeAt = at
    stepAt = at
    let inFlight = isCounted ? nil : worker.proxy.began()
    isCounted = true
    recorder.connected(startedAt: connectStartedAt, at: at, reused: reused, inFlight: inFlight)
    perform(state.handle(.connected(reused: reused)))
  }

  /// The upstream socket took (some of) what waited for it.
  func upstreamFlushed() {
    guard let upstream else { return }
    // Once the request is whole, what the client's side still has is not ours to ask for.
    if !state.isRequestComplete, upstream.queuedBytes <= configuration.settings.lowWatermark {
      downstream.resumeUpload()
    }
  }

  /// Bytes from upstream: sent on first, looked at afterwards.
  func upstreamRead(_ connection: UpstreamConnection, _ bytes: RawSpan, _ arrival: Arrival) {
    let (worker, parser) = (worker, connection.parser)
    activeAt = arrival.readAt
    if headStartedAt == nil {
      headStartedAt = arrival.at
      _ = state.handle(.upstreamSpoke)
    }
    worker.downstreamBuffer.removeAll()
    var rest = bytes
    var failure: HTTPParseError?
    var isComplete = false
    parsing: while true {
      let (consumed, progress) = state.hasResponded ? parser.parse(rest) : connection.parseHead(rest)
      switch progress {
      case .headComplete:
        do throws(HTTPParseError) {
          try forwardHead(connection, arrival)
        } catch {
          failure = error
          break parsing
        }
        rest = rest.extracting(consumed..<rest.byteCount)
        if isSwitching { return beginTunnel(rest, arrival) }
      case .messageComplete where !state.hasResponded:
        // A 1xx is a message of its own; the final head follows.
        headStartedAt = consumed < rest.byteCount ? arrival.at : nil
        parser.reset()
        parser.answersHead = answersHead
        rest = rest.extracting(consumed..<rest.byteCount)
      case .needsMore:
        break parsing
      case .messageComplete:
        isComplete = true
        // What comes behind a response was asked for by nobody: such a connection is not used again.
        if consumed < rest.byteCount { upstreamKeepsAlive = false }
        rest = rest.extracting(0..<consumed)
        break parsing
      case .failed(let error):
        failure = error
        break parsing
      }
    }
    deliver(rest, of: parser, isBroken: failure != nil, arrival)
    if let failure {
      worker.counters.refused(failure, from: .upstream)
      return abort(.responseInvalid(failure))
    }
    if isComplete { responseCompleted(at: arrival.at) }
  }

  private func forwardHead(_ connection: UpstreamConnection, _ arrival: Arrival) throws(HTTPParseError) {
    let worker = worker
    let (head, metadata) = try connection.completedHead(configuration)
    if head.status == 101 { return try forwardSwitchingProtocols(head, arrival) }
    if head.isInformational {
      // Together they may be as long as one head: there is no other end to them.
      interimBytes += head.fields.bytes.count
      guard interimBytes <= configuration.settings.responseLimits.headBytes else {
        throw HTTPParseError(502, "too many interim responses")
      }
      if head.status == 100 { awaitsContinue = false }
      if client11 {
        head.write(
          to: worker.downstreamBuffer, client11: true, closing: false, policy: configuration.settings.forwarding)
      }
      return
    }
    responseFraming = head.framing(forVersion11: client11)
    isCloseDelimited = head.framing == .untilClose
    // A server that need not have read the body, or could have switched protocols, may take what comes next for that.
    upstreamKeepsAlive = head.keepsAlive && !awaitsContinue && offer == nil
    // A client that has not sent all of its request will not be believed about where the next one begins.
    closesClient =
      !clientKeepsAlive || !state.isRequestComplete || responseFraming == .untilClose || worker.isDraining
    metadata.write(head, client11: client11, closing: closesClient, to: worker.downstreamBuffer)
    perform(state.handle(.responseBegan))
    repeatable = nil
    recorder.responseHead(head, metadata, firstByteAt: headStartedAt ?? arrival.at, completeAt: arrival.at)
  }

  /// Sends what one read gave, and has it looked at later, together with others.
  /// - Parameters:
  ///   - bytes: what `parser` took last of it; behind a head, which is put together already.
  ///   - isBroken: whether the body is broken off behind the last span that was found.
  private func deliver(_ bytes: RawSpan, of parser: MessageParser, isBroken: Bool, _ arrival: Arrival) {
    let worker = worker
    let hasResponded = state.hasResponded
    let isTaken: Bool
    if worker.downstreamBuffer.isEmpty, !isBroken, parser.isCanonical, responseFraming == .chunked {
      // Nothing has to be put together: the read itself is what would come of it.
      isTaken = downstream.write(bytes)
    } else {
      if hasResponded, isBroken {
        BodyEncoder.append(parser.ranges, of: bytes, framing: responseFraming, to: worker.downstreamBuffer)
      } else if hasResponded {
        BodyEncoder.append(parser, of: bytes, framing: responseFraming, to: worker.downstreamBuffer)
      }
      isTaken = worker.downstreamBuffer.isEmpty ? undelivered == nil : worker.sendOutput(to: downstream)
    }
    if hasResponded {
      let deliveredAt: Instant? = isTaken ? .now() : nil
      // With an end that is there already nothing is waited for.
      if parser.isComplete, pendingReads == nil {
        decodeBody(parser.ranges, of: bytes, arrival, deliveredAt: deliveredAt)
      } else {
        worker.decodeLater(at: bytes, of: self, arrival, deliveredAt: deliveredAt)
      }
      if !isTaken { undelivered = downstream.writtenBytes }
    }
    if !isTaken, downstream.queuedBytes > configuration.settings.highWatermark { pauseUpstream() }
  }

  /// Looks at the body bytes of a read that has been forwarded.
  func decodeBody(_ body: RawSpan, _ arrival: Arrival, deliveredAt: Instant?) {
    recorder.read(arrival, deliveredAt: deliveredAt)
    decode(body)
  }

  /// The same where they stand in the read.
  private func decodeBody(_ ranges: BodyRanges, of bytes: RawSpan, _ arrival: Arrival, deliveredAt: Instant?) {
    recorder.read(arrival, deliveredAt: deliveredAt)
    for index in 0..<ranges.count { decode(bytes.extracting(ranges[index])) }
  }

  private func decode(_ body: RawSpan) {
    if !body.isEmpty, recorder.decode(body, worker.decodingContext) { _ = state.handle(.outputBegan) }
  }

  private func pauseUpstream() {
    guard !isUpstreamPaused, let upstream else { return }
    isUpstreamPaused = true
    worker.counters.upstreamPauses.add()
    pausedAt = .now()
    upstream.pause()
  }

  private func resumeUpstream() {
    guard isUpstreamPaused else { return }
    isUpstreamPaused = false
    let now = Instant.now()
    noteStall(until: now)
    worker.deferredDecoder.flush(self)
    recorder.meter.readingResumed(at: now)
    // What upstream said meanwhile is still to be read: its silence counts from here.
    activeAt = now
    stepAt = now
    upstream?.resume()
  }

  private func noteStall(until now: @autoclosure () -> Instant) {
    guard let pausedAt else { return }
    recorder.meter.clientStalled(nanoseconds: now().nanoseconds(since: pausedAt))
    self.pausedAt = nil
  }

  /// Upstream ended its side: the end of a body that only the close delimits, a loss otherwise.
  func upstreamEnded(at: Instant) {
    guard state.hasResponded, !state.isResponseComplete, isCloseDelimited else { return abort(.upstreamEnded) }
    worker.downstreamBuffer.removeAll()
    BodyEncoder.appendEnd(framing: responseFraming, trailers: Fields(), to: worker.downstreamBuffer)
    if !worker.downstreamBuffer.isEmpty { _ = worker.sendOutput(to: downstream) }
    upstreamKeepsAlive = false
    responseCompleted(at: at)
  }

  /// Upstream was refused, reset or lost.
  func upstreamFailed(_ error: TransportError) {
    abort(state.isConnecting ? .connectFailed(error.description) : .upstreamFailed(error.description))
  }

  private func responseCompleted(at: Instant) {
    let worker = worker
    worker.deferredDecoder.flush(self)
    recorder.responseEnded(at: at, complete: true, worker.decodingContext)
    perform(state.handle(.responseCompleted))
    // A server that answered before it took the whole request may never take the rest.
    releaseUpstream(reuse: upstreamKeepsAlive && state.isRequestComplete && upstream?.queuedBytes == 0)
    permit.release(worker)
    if downstream.queuedBytes == 0 { perform(state.handle(.delivered)) }
  }

  // MARK: Switching protocols

  /// Passes on a 101 that takes up what the client offered; any other is no answer to its request.
  private func forwardSwitchingProtocols(_ head: ResponseHead, _ arrival: Arrival) throws(HTTPParseError) {
    guard head.takesUp(offer), state.isRequestComplete else {
      throw HTTPParseError(502, "upstream switched protocols unasked")
    }
    head.write(to: worker.downstreamBuffer, client11: true, closing: false, policy: configuration.settings.forwarding)
    isSwitching = true
    recorder.switchedProtocols(head, firstByteAt: headStartedAt ?? arrival.at, completeAt: arrival.at)
  }

  /// From here on it is bytes both ways: what upstream sent behind its 101, and the client behind its request, go first.
  private func beginTunnel(_ behind: RawSpan, _ arrival: Arrival) {
    guard let above = upstream?.handOver() else { return }
    _ = state.handle(.switchedProtocols)
    unsafe behind.withUnsafeBytes { unsafe worker.downstreamBuffer.append($0) }
    _ = worker.sendOutput(to: downstream)
    let (client, early, hasEnded) = downstream.handOver()
    let count = TunnelCount(fromClient: early.count, fromUpstream: behind.byteCount)
    worker.counters.tunnelsOpened.add()
    tunnel = Tunnel(
      worker, client: client, upstream: above, early: early, count: count, settings: configuration.settings,
      at: arrival.readAt
    ) { [unowned self] end in
      worker.counters.tunnelsClosed.add()
      tunnel = nil
      releaseUpstream(reuse: false)
      recorder.tunnelled(end.count)
      record(end.termination)
      downstream.exchangeEnded(.gone(reset: end.reset))
    }
    if hasEnded { tunnel?.streamDidEnd(client) }
  }

  // MARK: What the client and the clock do

  /// The client's socket took (some of) what waited for it.
  func clientFlushed() {
    if let offset = undelivered, downstream.sentBytes >= offset {
      worker.deferredDecoder.flush(self)
      undelivered = nil
      recorder.meter.delivered(at: .now())
    }
    if downstream.queuedBytes <= configuration.settings.lowWatermark { resumeUpstream() }
    if downstream.queuedBytes == 0 { perform(state.handle(.delivered)) }
  }

  /// The client closed or reset its connection.
  func clientLeft() { abort(.clientLeft) }

  /// The request's body is not what its framing promised.
  func requestBroke(_ error: HTTPParseError) { abort(.requestInvalid(error)) }

  /// Ends an exchange that has waited longer than it may.
  func checkDeadlines(_ now: Instant) {
    if let tunnel { return tunnel.checkDeadline(now) }
    guard let expired = deadlines.expired(snapshot(), configuration.settings, at: now) else { return }
    worker.counters.hit(expired.limit)
    abort(expired.event)
  }

  private func snapshot() -> Deadlines.Snapshot {
    var snapshot = Deadlines.Snapshot(state: state, activeAt: activeAt, stepAt: stepAt, headStartedAt: headStartedAt)
    snapshot.uploadedBytes = recorder.requestBytes
    if let upstream { snapshot.upstream = (upstream.queuedBytes, upstream.sentBytes) }
    snapshot.client = (downstream.queuedBytes, downstream.sentBytes)
    snapshot.isPaused = isUpstreamPaused
    guard configuration.settings.betweenTokensTimeout != nil || configuration.settings.firstTokenTimeout != nil else {
      return snapshot
    }
    worker.deferredDecoder.flush(self)
    snapshot.awaitsTokens = recorder.awaitsTokens()
    snapshot.tokenAt = recorder.meter.newestTokenAt.map { max($0, stepAt) }
    return snapshot
  }

  /// The drain's deadline has come.
  func shutDown() {
    worker.counters.hit(.drainTimeout)
    if let tunnel { return tunnel.shutDown() }
    abort(.shutDown)
  }

  // MARK: Doing what the state machine says

  /// Something has ended the exchange before its time: how far it had come is what all its reads tell.
  private func abort(_ event: ExchangeState.Event) {
    worker.deferredDecoder.flush(self)
    perform(state.handle(event))
  }

  private func perform(_ action: ExchangeState.Action) {
    switch action {
    case .none:
      return
    case .retry:
      retry()
    case .answer(let status, let termination):
      releaseUpstream(reuse: false)
      recorder.status = status
      record(termination)
      downstream.answer(
        status: status, reason: termination.error ?? termination.outcome.rawValue, answersHead: answersHead)
    case .truncate(let termination):
      releaseUpstream(reuse: false)
      record(termination)
      // Only a reset tells a client whose body the close delimits that this was not its end.
      downstream.exchangeEnded(.truncate(reset: responseFraming == .untilClose))
    case .abandon(let termination):
      releaseUpstream(reuse: false)
      record(termination)
      downstream.exchangeEnded(.gone(reset: true))
    case .leave(let termination):
      releaseUpstream(reuse: false)
      // Clients of a stream leave at its terminator, often before HTTP's own end has come: they lack nothing.
      record(recorder.sawTerminator && undelivered == nil ? nil : termination)
      downstream.exchangeEnded(.gone(reset: false))
    case .finish:
      record(nil)
      if !state.isRequestComplete {
        downstream.exchangeEnded(.closeLingering)
      } else {
        downstream.exchangeEnded(closesClient ? .closeLingering : .keep)
      }
    }
  }

  private func retry() {
    worker.counters.retries.add()
    releaseUpstream(reuse: false)
    headStartedAt = nil
    // The connection that comes now is made under these, perhaps to another server.
    configuration = worker.configuration
    connect(fresh: true, at: .now())
    if let repeatable { upstream?.send(repeatable) }
  }

  /// Gives the upstream connection back, or ends it: at once, so that the server stops generating.
  private func releaseUpstream(reuse: Bool) {
    guard let connection = upstream.take() else { return }
    connection.end()
    if reuse { worker.keep(connection, at: activeAt) } else { connection.close() }
  }

  private func record(_ termination: Termination?) {
    let worker = worker
    noteStall(until: .now())
    if isCounted { worker.proxy.ended() }
    isCounted = false
    permit.release(worker)
    recorder.responseEnded(at: .now(), complete: false, worker.decodingContext)
    worker.counters.exchangesEnded.add()
    recorder.submit(termination, configuration, worker)
  }
}
