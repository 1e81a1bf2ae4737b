// Drives one exchange: hands events to the exchange machine, does what it says, and has every byte measured after it
// was sent. It must decide nothing about HTTP (ExchangeMachine does), nor measure (ExchangeRecorder does).
import Clocks
import HTTP
import HTTP1
import Measurement
import RecordLog
import TokenWire
import Transport

/// One request and its response between a client's connection and an upstream one. Confined to its worker's thread.
final class Exchange {
  /// Copied into a constant by what runs for every request: a constant is borrowed, where each use of `worker.x` would
  /// retain and release.
  let worker: Worker
  /// The client's connection, which lets go of this exchange when it ends.
  let downstream: DownstreamConnection
  /// The server that the router chose.
  private(set) var upstream: Upstream
  /// The connection to it; nil before there is one, and once the response is whole.
  private(set) var connection: UpstreamConnection?
  /// Of every `upstream` that has the same name.
  let upstreamCounters: UpstreamCounters
  private let machineBox: UniqueBox<ExchangeMachine>
  let recorder: ExchangeRecorder
  // What is used for each token comes first and lies close together, as in SocketStream.
  /// When something last happened, for deadlines.
  var activeAt: Instant

  /// The settings in force when it began, or when it last asked for a connection.
  private(set) var configuration: ConfigurationSnapshot
  /// When the present wait began: for a permit, for a connection, or for the answer to a complete request.
  private var stepAt: Instant
  private var deadlines: Deadlines
  /// The protocols that upstream may switch to.
  let offer: UpgradeOffer?
  var tunnel: Tunnel?
  var requestBuffer = RequestBuffer()
  private var permit = Permit()
  /// When it first asked for a permit or a connection.
  private var askedAt: Instant

  /// Begins an exchange whose head is known.
  init(
    downstream: DownstreamConnection, head: RequestHead, configuration: ConfigurationSnapshot, upstream: Upstream,
    client: String, received: WallAnchor, at: Instant
  ) {
    let worker = downstream.worker
    let offer = head.asksToSwitch ? head.offer(of: configuration.forwarding.tunnels) : nil
    let machine = ExchangeMachine(
      ExchangeMachine.RequestTraits(head, offersUpgrade: offer != nil),
      limits: ExchangeMachine.Limits(configuration, upstream))
    machineBox = UniqueBox(in: worker.machines) { machine }
    recorder = ExchangeRecorder(
      client: client, received: received, configuration.recordingOptions, worker.recording)
    activeAt = at
    stepAt = at
    deadlines = Deadlines(at: at)
    askedAt = at
    self.offer = offer
    self.configuration = configuration
    self.upstream = upstream
    upstreamCounters = upstream.counters
    self.worker = worker
    self.downstream = downstream
  }

  var machine: ExchangeMachine {
    _read { yield machineBox.value }
    _modify { yield &machineBox.value }
  }

  /// Whether the whole request has come in.
  var isRequestComplete: Bool { machine.isRequestComplete }

  // MARK: The request

  /// Puts the head together as upstream gets it, in `output`, and asks for a connection.
  func start(_ head: RequestHead, _ cached: CachedRequest, clientAddress: String, into output: OutputBuffer) {
    let worker = worker
    worker.counters.exchangesBegun.add()
    let claimed = cached.origin(of: head, worker.origins)
    let origin = configuration.trustsIdentityHeaders(of: clientAddress) ? claimed : claimed.withoutHeaders
    recorder.request(head, cached.metadata, from: origin, decoderLimits: configuration.decoderLimits)
    if offer != nil || !cached.write(head, to: output) {
      head.write(
        to: output, defaultHost: upstream.authority,
        policy: configuration.forwarding,
        client: clientAddress, offer: offer)
    }
    if machine.mayRetry { requestBuffer.keepHead(output) }
    perform(machine.begin())
  }

  /// Sends what one read brought of the request: head, body bytes and the body's end in one piece, since a server that reads
  /// each by itself would wake for each. The body is read once it was sent; its last bytes are left to `requestCompleted`,
  /// which follows.
  /// - Parameters:
  ///   - ranges: where `parser` found body bytes last.
  ///   - bytes: what it took last.
  ///   - output: the head, or nothing.
  func forward(
    _ ranges: BodyRanges, by parser: MessageParser, of bytes: RawSpan, at: Instant, into output: OutputBuffer
  ) {
    activeAt = at
    if case .refuseRequest(let error) = machine.requestBytes(total: recorder.requestBytes + ranges.byteCount) {
      return requestBroke(error)
    }
    BodyEncoder.append(ranges, by: parser, of: bytes, framing: machine.traits.framing, to: output)
    if !output.isEmpty {
      if machine.awaitsConnection { enqueue(output) } else { connection?.send(output) }
      output.removeAll()
      if machine.isEnded { return }
    }
    perform(machine.requestForwarded(queued: connection?.queuedBytes ?? requestBuffer.count))
    guard !parser.isComplete else { return }
    recorder.requestBody(ranges, of: bytes)
  }

  /// Keeps bytes until there is a connection. The exchange may end by it.
  private func enqueue(_ output: OutputBuffer) {
    requestBuffer.append(output)
    worker.requestMemory.add(output.bytes.count, to: self)
  }

  /// The requests that wait hold too much memory, and this one has to make room.
  func refuseForMemory() {
    worker.counters.hit(.waitingRequests)
    perform(machine.memoryRefused())
  }

  /// The whole request has come in, and has been forwarded: this is t0.
  /// - Parameter last: the last of its body's bytes.
  func requestCompleted(last: BodyRanges, of bytes: RawSpan, at: Instant) {
    if machine.awaitsConnection { worker.requestMemory.completed(&requestBuffer.share) } else { stepAt = at }
    recorder.requestCompleted(last: last, of: bytes, at: at)
    perform(machine.requestCompleted())
  }

  /// The request's body is not what its framing promised.
  func requestBroke(_ error: HTTPParseError) {
    worker.counters.refused(error, from: .downstream)
    perform(machine.requestInvalid(error))
  }

  // MARK: The way to upstream

  private func acquirePermit() {
    askedAt = activeAt
    stepAt = activeAt
    guard upstream.settings.inFlight != nil else { return perform(machine.permitGranted()) }
    switch permit.acquire(upstream.state.limiter, worker) {
    case .admitted:
      perform(machine.permitGranted())
    case .queued(let waiter):
      worker.counters.hit(.inFlight)
      worker.addWaiter(self, waiter)
      machine.permitQueued()
    case .full:
      worker.counters.hit(.queueLength)
      perform(machine.permitRefused())
    }
  }

  /// Its turn has come.
  func permitAdmitted() {
    permit.admitted()
    activeAt = .now()
    stepAt = activeAt
    adoptConfiguration()
    perform(machine.permitAdmitted(ExchangeMachine.Limits(configuration, upstream)))
  }

  /// The connection that comes now is made under the settings in force, perhaps to another server.
  private func adoptConfiguration() {
    configuration = worker.configuration
    upstream = worker.upstreams.current(upstream)
  }

  private func connect(fresh: Bool) {
    let worker = worker
    let connection = upstream.lease(fresh: fresh, for: worker)
    self.connection = connection
    guard connection.isReused else {
      return connection.connect { [self] error in
        if let error { upstreamFailed(error) } else { upstreamConnected(reused: false, at: .now()) }
      }
    }
    upstreamCounters.reuses.add()
    upstreamConnected(reused: true, at: stepAt)
  }

  /// An upstream connection is open.
  func upstreamConnected(reused: Bool, at: Instant) {
    let worker = worker
    activeAt = at
    stepAt = at
    connection?.begin(self, answersHead: machine.traits.isHead)
    recorder.connected(startedAt: askedAt, at: at, reused: reused) { worker.proxy.began() }
    perform(machine.connected(isReused: reused))
  }

  private func sendBufferedRequest() {
    guard requestBuffer.count > 0 else { return }
    worker.requestMemory.release(&requestBuffer.share)
    connection?.send(requestBuffer.takeAll())
    // All of it may have been sent at once: no flush follows then.
    upstreamFlushed()
  }

  private func retry() {
    upstreamCounters.retries.add()
    releaseUpstream(reuse: false)
    requestBuffer.restoreHead()
    adoptConfiguration()
    machine.adopt(ExchangeMachine.Limits(configuration, upstream))
    stepAt = .now()
    connect(fresh: true)
  }

  // MARK: What the client and the clock do

  /// The client's socket took bytes that waited for it.
  func clientFlushed() {
    recorder.clientFlushed(sent: downstream.sentBytes)
    perform(machine.clientFlushed(queued: downstream.queuedBytes))
  }

  /// The client closed or reset its connection, or has vanished.
  func clientLeft(_ failure: ExchangeFailure?) { perform(machine.clientLeft(recorder.progress, failure)) }

  /// See `ByteStream.adjustUserTimeout`.
  func adjustUserTimeout() { connection?.adjustUserTimeout() }

  /// Ends an exchange that has waited longer than it may.
  func checkDeadlines(_ now: Instant) {
    if let tunnel { return tunnel.checkDeadline(now) }
    guard let expired = deadlines.expired(snapshot(), configuration.settings, at: now) else { return }
    worker.counters.hit(expired.limit)
    perform(machine.deadlineExpired(expired.failure, recorder.progress))
  }

  private func snapshot() -> Deadlines.Snapshot {
    var snapshot = Deadlines.Snapshot(
      wait: machine.wait, awaitsHead: machine.awaitsHead, activeAt: activeAt, stepAt: stepAt)
    snapshot.uploadedBytes = recorder.requestBytes
    if let connection { snapshot.upstream = (connection.queuedBytes, connection.sentBytes) }
    snapshot.client = (downstream.queuedBytes, downstream.sentBytes)
    guard configuration.awaitsTokens else {
      return snapshot
    }
    snapshot.awaitsTokens = recorder.awaitsTokens
    snapshot.tokenAt = recorder.newestTokenAt.map { max($0, stepAt) }
    return snapshot
  }

  /// The drain's deadline has come.
  func shutDown() {
    worker.counters.hit(.drainTimeout)
    if let tunnel { return tunnel.shutDown() }
    perform(machine.shutDown(recorder.progress))
  }

  // MARK: Doing what the machine says

  func perform(_ action: ExchangeAction) {
    switch action {
    case .none: return
    case .acquirePermit: acquirePermit()
    case .connect(let fresh): connect(fresh: fresh)
    case .retry: retry()
    case .sendBufferedRequest: sendBufferedRequest()
    case .pauseUpload: downstream.pauseUpload()
    case .resumeUpload: downstream.resumeUpload()
    case .pauseUpstream: pauseUpstream()
    case .resumeUpstream: resumeUpstream()
    case .refuseRequest(let error): requestBroke(error)
    case .completeResponse(let completion): completeResponse(completion)
    case .end(let termination, let ending): end(termination, ending)
    }
  }

  private func pauseUpstream() {
    upstreamCounters.pauses.add()
    recorder.readingPaused(at: .now())
    connection?.pause()
  }

  private func resumeUpstream() {
    let now = Instant.now()
    recorder.readingResumed(at: now)
    // What upstream sent meanwhile is still to be read: its silence counts from here.
    activeAt = now
    stepAt = now
    connection?.resume()
  }

  private func completeResponse(_ completion: ResponseCompletion) {
    let worker = worker
    if let framing = completion.endsBody { sendBodyEnd(framing) }
    recorder.responseEnded(at: completion.at, complete: true)
    releaseUpstream(reuse: completion.reusesUpstream)
    if permit.isAsked { permit.release(worker) }
    perform(machine.clientFlushed(queued: downstream.queuedBytes))
  }

  private func sendBodyEnd(_ framing: BodyFraming) {
    let end = OutputBuffer(capacity: 16)
    BodyEncoder.appendEnd(framing: framing, trailers: Fields(), to: end)
    if !end.isEmpty { _ = downstream.write(end) }
  }

  /// Gives the upstream connection back, or ends it: at once, so that the server stops generating.
  private func releaseUpstream(reuse: Bool) {
    guard let connection = connection.take() else { return }
    if reuse { upstream.release(connection, at: activeAt) } else { connection.close() }
  }

  private func end(_ termination: Termination?, _ ending: ClientEnding) {
    releaseUpstream(reuse: false)
    if case .reply(let failure) = ending { recorder.replied(status: LocalReply.status(for: failure.kind)) }
    record(termination)
    downstream.exchangeEnded(ending, answersHead: machine.traits.isHead)
  }

  /// The record that it has if the process is killed now; nil where it leaves none.
  func openRecord(_ encoder: inout RecordEncoder) -> OpenRecord? {
    recorder.openRecord(upstream.authority, configuration, tunnel: tunnel?.count, &encoder)
  }

  private func record(_ termination: Termination?) {
    let worker = worker
    worker.requestMemory.release(&requestBuffer.share)
    if recorder.isInFlight { worker.proxy.ended() }
    if permit.isAsked { permit.release(worker) }
    worker.counters.exchangesEnded.add()
    recorder.ended()
    guard recorder.isDecoded else { return worker.recording.decoder.turns.submitLater(self, termination) }
    submitRecord(termination)
  }

  /// Submits the record: all that has come is read.
  func submitRecord(_ termination: Termination?) {
    let worker = worker
    recorder.submit(termination, upstream: upstream.authority, configuration, worker.recording)
  }
}
