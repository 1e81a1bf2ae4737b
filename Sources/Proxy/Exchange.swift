// One exchange as it is driven: requests go up, responses come down, and every byte is sent before it is looked at.
// It must not decide (ExchangeState does), nor measure (Tap does).
import Clocks
import HTTPWire
import Measure
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
  private let inner: Held<Inner>
  // What each token touches stands first and close together, as in Stream.
  /// When something last happened, for deadlines.
  private(set) var activeAt: Instant
  private var headStartedAt: Instant?
  private var responseFraming = BodyFraming.none
  /// What reads brought and the client's socket has not taken yet: up to which of its bytes, and the last such read.
  private var undelivered: UInt64?
  /// Its reads that have been forwarded and not looked at; the lookout keeps it.
  var heldReads: Lookout.Chain?
  /// Whether a 101 has been passed on, and the tunnel is to begin behind it.
  private var isSwitching = false
  private var isUpstreamPaused = false

  /// The settings that it is held to: those in force when it began, or when it asked for its last connection.
  private var rules: Rules
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
  private var place = Place()
  /// The request's head, kept while it may have to be sent twice.
  private var repeatable: [UInt8]?
  private var connectStartedAt: Instant
  /// Bytes of the 1xx heads so far.
  private var interimBytes = 0
  private var isCounted = false
  private var pausedAt: Instant?

  /// Begins an exchange whose head is known.
  init(
    downstream: DownstreamConnection, head: RequestHead, rules: Rules, client: String, received: WallAnchor, at: Instant
  ) {
    let worker = downstream.worker
    let state = ExchangeState(isRepeatable: head.method.isSafe && head.framing.isEmpty)
    inner = Held(in: worker.exchangeBlocks) {
      Inner(state: state, tap: Tap(client: client, received: received, rules, worker))
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
    offer = head.asksToSwitch ? head.offer(of: rules.settings.forwarding.tunnels) : nil
    self.rules = rules
    self.worker = worker
    self.downstream = downstream
  }

  /// What is used at every read: in one place, and in place.
  struct Inner: ~Copyable {
    var state: ExchangeState
    var tap: Tap
  }

  private(set) var state: ExchangeState {
    _read { yield inner.value.state }
    _modify { yield &inner.value.state }
  }

  private var tap: Tap {
    _read { yield inner.value.tap }
    _modify { yield &inner.value.tap }
  }

  // MARK: Upwards

  /// Takes a connection to upstream and sends it the head.
  func start(_ head: RequestHead, _ kind: RequestKind, clientAddress: String) {
    let worker = worker
    worker.counters.exchangesBegun.add()
    tap.request(head, kind.notes, decoderLimits: rules.settings.decoderLimits)
    if case .length(let bytes) = requestFraming, refusesBody(of: bytes) { return }
    worker.uplink.removeAll()
    if offer != nil || !kind.write(head, to: worker.uplink) {
      head.write(
        to: worker.uplink, defaultHost: rules.upstreamAuthority, policy: rules.settings.forwarding,
        client: clientAddress, offer: offer)
    }
    if state.isRepeatable { repeatable = worker.uplink.bytes }
    enter()
  }

  /// Takes a place at upstream, or waits for one, where they are counted.
  private func enter() {
    guard let limit = rules.settings.inFlight else { return connectFirst(at: connectStartedAt) }
    switch place.enter(limit: limit, queue: rules.settings.queue, worker) {
    case .admitted:
      connectFirst(at: connectStartedAt)
    case .queued(let ticket):
      worker.counters.hit(.inFlight)
      worker.exchangeWaits(self, ticket)
      _ = state.handle(.queued)
    case .full:
      worker.counters.hit(.queueLength)
      perform(state.handle(.turnedAway("too many requests wait for the server")))
    }
  }

  /// Its turn has come.
  func placeGranted() {
    let now = Instant.now()
    place.grant()
    activeAt = now
    stepAt = now
    // The connection that comes now is made under these, perhaps to another server.
    rules = worker.rules
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
    if !worker.uplink.isEmpty {
      if state.isQueued { held += worker.uplink.bytes } else { upstream?.send(worker.uplink) }
    }
    worker.uplink.removeAll()
    guard (upstream?.queuedBytes ?? held.count) > rules.settings.highWatermark else { return }
    downstream.pauseUpload()
  }

  private func connect(fresh: Bool, at: Instant) {
    let worker = worker
    _ = state.handle(.connecting)
    stepAt = at
    let connection = worker.pool.take(fresh: fresh, for: worker)
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
    guard let limit = rules.settings.requestBodyBytes, bytes > UInt64(limit) else { return false }
    let error = WireError(413, "request body larger than \(limit) bytes", beyond: .body)
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
    let spans = parser.spans
    activeAt = at
    if rules.settings.requestBodyBytes != nil, requestFraming == .chunked, !spans.isEmpty,
      refusesBody(of: UInt64(tap.requestBytes + spans.byteCount))
    {
      return
    }
    BodyWriter.append(parser, of: bytes, framing: requestFraming, to: worker.uplink)
    flushRequest()
    if !parser.isComplete { tap.requestBody(spans, of: bytes, limit: rules.settings.inspectedBodyBytes) }
  }

  /// The whole request has come in, and has been forwarded: this is t0.
  /// - Parameter last: the last of its body's bytes.
  func requestCompleted(last: BodySpans, of bytes: RawSpan, at: Instant) {
    let worker = worker
    if !state.isQueued, !state.isConnecting { stepAt = at }
    // A token that came before the request was whole has no time of its own, whenever it is looked at.
    worker.lookout.look(self)
    tap.meter.requestComplete(at: at)
    // What comes next may begin another request, for which the same memory is used.
    tap.readRequest(last: last, of: bytes, limit: rules.settings.inspectedBodyBytes, worker.eventParser)
    perform(state.handle(.requestCompleted))
  }

  // MARK: What upstream does

  /// A connection stands; what was sent to it meanwhile goes out by itself.
  func upstreamConnected(reused: Bool, at: Instant) {
    let worker = worker
    activeAt = at
    stepAt = at
    let inFlight = isCounted ? nil : worker.shared.began()
    isCounted = true
    tap.connected(startedAt: connectStartedAt, at: at, reused: reused, inFlight: inFlight)
    perform(state.handle(.connected(reused: reused)))
  }

  /// The upstream socket took (some of) what waited for it.
  func upstreamFlushed() {
    guard let upstream else { return }
    // Once the request is whole, what the client's side still has is not ours to ask for.
    if !state.isRequestComplete, upstream.queuedBytes <= rules.settings.lowWatermark { downstream.resumeUpload() }
  }

  /// Bytes from upstream: sent on first, looked at afterwards.
  func upstreamRead(_ connection: UpstreamConnection, _ bytes: RawSpan, _ arrival: Arrival) {
    let (worker, parser) = (worker, connection.parser)
    activeAt = arrival.readAt
    if headStartedAt == nil {
      headStartedAt = arrival.at
      _ = state.handle(.upstreamSpoke)
    }
    worker.output.removeAll()
    var rest = bytes
    var failure: WireError?
    var isComplete = false
    parsing: while true {
      let (consumed, progress) = parser.parse(rest)
      switch progress {
      case .headComplete:
        do throws(WireError) {
          try passHead(parser, arrival)
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
      return breakOff(.responseInvalid(failure))
    }
    if isComplete { responseCompleted(at: arrival.at) }
  }

  private func passHead(_ parser: MessageParser, _ arrival: Arrival) throws(WireError) {
    let worker = worker
    let head = try ResponseHead.completed(by: parser)
    if head.status == 101 { return try passSwitch(head, arrival) }
    if head.isInformational {
      // Together they may be as long as one head: there is no other end to them.
      interimBytes += head.fields.bytes.count
      guard interimBytes <= rules.settings.responseLimits.headBytes else {
        throw WireError(502, "too many interim responses")
      }
      if head.status == 100 { awaitsContinue = false }
      if client11 {
        head.write(to: worker.output, client11: true, closing: false, policy: rules.settings.forwarding)
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
    let notes = ResponseNotes.of(head, rules)
    notes.write(head, client11: client11, closing: closesClient, to: worker.output)
    perform(state.handle(.responseBegan))
    repeatable = nil
    tap.responseHead(head, notes, firstByteAt: headStartedAt ?? arrival.at, completeAt: arrival.at)
  }

  /// Sends what one read gave, and has it looked at later, together with others.
  /// - Parameters:
  ///   - bytes: what `parser` took last of it; behind a head, which is put together already.
  ///   - isBroken: whether the body is broken off behind the last span that was found.
  private func deliver(_ bytes: RawSpan, of parser: MessageParser, isBroken: Bool, _ arrival: Arrival) {
    let worker = worker
    let hasResponded = state.hasResponded
    let isTaken: Bool
    if worker.output.isEmpty, !isBroken, parser.isAsWritten, responseFraming == .chunked {
      // Nothing has to be put together: the read itself is what would come of it.
      isTaken = downstream.write(bytes)
    } else {
      if hasResponded, isBroken {
        BodyWriter.append(parser.spans, of: bytes, framing: responseFraming, to: worker.output)
      } else if hasResponded {
        BodyWriter.append(parser, of: bytes, framing: responseFraming, to: worker.output)
      }
      isTaken = worker.output.isEmpty ? undelivered == nil : worker.sendOutput(to: downstream)
    }
    if hasResponded {
      let deliveredAt: Instant? = isTaken ? .now() : nil
      // With an end that is there already nothing is waited for.
      if parser.isComplete, heldReads == nil {
        look(parser.spans, of: bytes, arrival, deliveredAt: deliveredAt)
      } else {
        worker.lookLater(at: bytes, of: self, arrival, deliveredAt: deliveredAt)
      }
      if !isTaken { undelivered = downstream.writtenBytes }
    }
    if !isTaken, downstream.queuedBytes > rules.settings.highWatermark { pauseUpstream() }
  }

  /// Looks at the body bytes of a read that has been forwarded.
  func look(_ body: RawSpan, _ arrival: Arrival, deliveredAt: Instant?) {
    tap.read(arrival, deliveredAt: deliveredAt)
    decode(body)
  }

  /// The same where they stand in the read.
  private func look(_ spans: BodySpans, of bytes: RawSpan, _ arrival: Arrival, deliveredAt: Instant?) {
    tap.read(arrival, deliveredAt: deliveredAt)
    for index in 0..<spans.count { decode(bytes.extracting(spans[index])) }
  }

  private func decode(_ body: RawSpan) {
    if !body.isEmpty, tap.decode(body, worker.eventParser) { _ = state.handle(.outputBegan) }
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
    worker.lookout.look(self)
    tap.meter.readingResumed(at: now)
    // What upstream said meanwhile is still to be read: its silence counts from here.
    activeAt = now
    stepAt = now
    upstream?.resume()
  }

  private func noteStall(until now: @autoclosure () -> Instant) {
    guard let pausedAt else { return }
    tap.meter.clientStalled(nanoseconds: now().nanoseconds(since: pausedAt))
    self.pausedAt = nil
  }

  /// Upstream ended its side: the end of a body that only the close delimits, a loss otherwise.
  func upstreamEnded(at: Instant) {
    guard state.hasResponded, !state.isResponseComplete, isCloseDelimited else { return breakOff(.upstreamEnded) }
    worker.output.removeAll()
    BodyWriter.appendEnd(framing: responseFraming, trailers: Fields(), to: worker.output)
    if !worker.output.isEmpty { _ = worker.sendOutput(to: downstream) }
    upstreamKeepsAlive = false
    responseCompleted(at: at)
  }

  /// Upstream was refused, reset or lost.
  func upstreamFailed(_ error: TransportError) {
    breakOff(state.isConnecting ? .connectFailed(error.description) : .upstreamFailed(error.description))
  }

  private func responseCompleted(at: Instant) {
    let worker = worker
    worker.lookout.look(self)
    tap.responseEnded(at: at, complete: true, worker.eventParser)
    perform(state.handle(.responseCompleted))
    // A server that answered before it took the whole request may never take the rest.
    releaseUpstream(reuse: upstreamKeepsAlive && state.isRequestComplete && upstream?.queuedBytes == 0)
    place.leave(worker)
    if downstream.queuedBytes == 0 { perform(state.handle(.delivered)) }
  }

  // MARK: Switching protocols

  /// Passes on a 101 that takes up what the client offered; any other is no answer to its request.
  private func passSwitch(_ head: ResponseHead, _ arrival: Arrival) throws(WireError) {
    guard head.takesUp(offer), state.isRequestComplete else {
      throw WireError(502, "upstream switched protocols unasked")
    }
    head.write(to: worker.output, client11: true, closing: false, policy: rules.settings.forwarding)
    isSwitching = true
    tap.switchedProtocols(head, firstByteAt: headStartedAt ?? arrival.at, completeAt: arrival.at)
  }

  /// From here on it is bytes both ways: what upstream sent behind its 101, and the client behind its request, go first.
  private func beginTunnel(_ behind: RawSpan, _ arrival: Arrival) {
    guard let above = upstream?.handOver() else { return }
    _ = state.handle(.switchedProtocols)
    unsafe behind.withUnsafeBytes { unsafe worker.output.append($0) }
    _ = worker.sendOutput(to: downstream)
    let (client, early, hasEnded) = downstream.handOver()
    let count = TunnelCount(fromClient: early.count, fromUpstream: behind.byteCount)
    worker.counters.tunnelsOpened.add()
    tunnel = Tunnel(
      worker, client: client, upstream: above, early: early, count: count, settings: rules.settings, at: arrival.readAt
    ) { [unowned self] end in
      worker.counters.tunnelsClosed.add()
      tunnel = nil
      releaseUpstream(reuse: false)
      tap.tunnelled(end.count)
      record(end.verdict)
      downstream.exchangeEnded(.gone(reset: end.reset))
    }
    if hasEnded { tunnel?.streamDidEnd(client) }
  }

  // MARK: What the client and the clock do

  /// The client's socket took (some of) what waited for it.
  func clientFlushed() {
    if let offset = undelivered, downstream.acceptedBytes >= offset {
      worker.lookout.look(self)
      undelivered = nil
      tap.meter.delivered(at: .now())
    }
    if downstream.queuedBytes <= rules.settings.lowWatermark { resumeUpstream() }
    if downstream.queuedBytes == 0 { perform(state.handle(.delivered)) }
  }

  /// The client closed or reset its connection.
  func clientLeft() { breakOff(.clientLeft) }

  /// The request's body is not what its framing promised.
  func requestBroke(_ error: WireError) { breakOff(.requestInvalid(error)) }

  /// Ends an exchange that has waited longer than it may.
  func checkDeadlines(_ now: Instant) {
    if let tunnel { return tunnel.checkDeadline(now) }
    guard let overrun = deadlines.overrun(sight(), rules.settings, at: now) else { return }
    worker.counters.hit(overrun.limit)
    breakOff(overrun.event)
  }

  private func sight() -> Deadlines.Sight {
    var sight = Deadlines.Sight(state: state, activeAt: activeAt, stepAt: stepAt, headStartedAt: headStartedAt)
    sight.uploadedBytes = tap.requestBytes
    if let upstream { sight.upstream = (upstream.queuedBytes, upstream.acceptedBytes) }
    sight.client = (downstream.queuedBytes, downstream.acceptedBytes)
    sight.isPaused = isUpstreamPaused
    guard rules.settings.betweenTokensTimeout != nil || rules.settings.firstTokenTimeout != nil else { return sight }
    worker.lookout.look(self)
    sight.awaitsTokens = tap.awaitsTokens()
    sight.tokenAt = tap.meter.newestTokenAt.map { max($0, stepAt) }
    return sight
  }

  /// The drain's deadline has come.
  func shutDown() {
    worker.counters.hit(.drainTimeout)
    if let tunnel { return tunnel.shutDown() }
    breakOff(.shutDown)
  }

  // MARK: Doing what the state machine says

  /// Something has ended the exchange before its time: how far it had come is what all its reads tell.
  private func breakOff(_ event: ExchangeState.Event) {
    worker.lookout.look(self)
    perform(state.handle(event))
  }

  private func perform(_ action: ExchangeState.Action) {
    switch action {
    case .none:
      return
    case .retry:
      retry()
    case .answer(let status, let verdict):
      releaseUpstream(reuse: false)
      tap.status = status
      record(verdict)
      downstream.answer(status: status, reason: verdict.error ?? verdict.outcome.rawValue, answersHead: answersHead)
    case .cut(let verdict):
      releaseUpstream(reuse: false)
      record(verdict)
      // Only a reset tells a client whose body the close delimits that this was not its end.
      downstream.exchangeEnded(.cut(reset: responseFraming == .untilClose))
    case .abandon(let verdict):
      releaseUpstream(reuse: false)
      record(verdict)
      downstream.exchangeEnded(.gone(reset: true))
    case .leave(let verdict):
      releaseUpstream(reuse: false)
      // Clients of a stream leave at its terminator, often before HTTP's own end has come: they lack nothing.
      record(tap.sawTerminator && undelivered == nil ? nil : verdict)
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
    rules = worker.rules
    connect(fresh: true, at: .now())
    if let repeatable { upstream?.send(repeatable) }
  }

  /// Gives the upstream connection back, or ends it: at once, so that the server stops generating.
  private func releaseUpstream(reuse: Bool) {
    guard let connection = upstream.take() else { return }
    connection.end()
    if reuse { worker.keep(connection, at: activeAt) } else { connection.close() }
  }

  private func record(_ verdict: Verdict?) {
    let worker = worker
    noteStall(until: .now())
    if isCounted { worker.shared.ended() }
    isCounted = false
    place.leave(worker)
    tap.responseEnded(at: .now(), complete: false, worker.eventParser)
    worker.counters.exchangesEnded.add()
    tap.submit(verdict, rules, worker)
  }
}
