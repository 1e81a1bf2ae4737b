// Records one exchange: what its bytes say of its tokens, and when, until its record is submitted.
import Clocks
import HTTP
import HTTP1
import Measurement
import RecordLog
import SettingValues
import TokenWire

/// The recorder of one exchange. It gets bytes after they were sent, so that nothing that happens here delays or changes them.
///
/// It owns the reads that are still to be decoded: everything but `forwarded` has them decoded first, so that nobody sees a
/// state that lacks them. Confined to its worker's thread.
struct ExchangeRecorder: ~Copyable {
  private let state: UniqueBox<RecorderState>
  private let decoder: DeferredDecoder

  /// A recorder for a request of which nothing is known yet.
  init(client: String, received: WallAnchor, _ options: RecordingOptions, _ resources: RecordingResources) {
    state = UniqueBox(in: resources.states) {
      RecorderState(client: client, received: received, options, resources)
    }
    decoder = resources.decoder
  }

  /// Nothing may be decoded into memory that is gone.
  deinit {
    decoder.discard(state)
    if state.value.inflates { unsafe decoder.turns.remove(state.address) }
    state.value.dropRequest(decoder.scans)
  }

  /// The state, with all reads so far decoded: the only way to it.
  private var current: RecorderState {
    @inline(__always)
    _read {
      decoder.flush(state)
      yield state.value
    }
    @inline(__always)
    nonmutating _modify {
      decoder.flush(state)
      yield &state.value
    }
  }

  // MARK: The request

  /// The request's head is known.
  func request(
    _ head: RequestHead, _ metadata: RequestMetadata, from origin: RequestOrigin, decoderLimits: DecoderLimits
  ) {
    current.request(head, metadata, from: origin, decoderLimits: decoderLimits)
  }

  /// The request was refused, or its head was never whole: what it had asked for.
  func refused(_ request: PartialRequestLine) { current.partialRequestLine = request }

  /// Body bytes of the request have been sent on.
  func requestBody(_ ranges: BodyRanges, of bytes: RawSpan) { current.requestBody(ranges, of: bytes, decoder.scans) }

  /// Bytes of the request's body so far.
  var requestBytes: Int { current.requestBytes }

  /// The whole request has been sent on. A token that came before has no time of its own: times count from here.
  /// - Parameter last: the last of its body's bytes: all of it, where it came in one read; then it is read where it stands.
  func requestCompleted(last: BodyRanges, of bytes: RawSpan, at: Instant) {
    current.meter.requestComplete(at: at)
    current.readRequest(last: last, of: bytes, decoder.context, decoder.scans)
  }

  /// A connection to upstream is there.
  /// - Parameter countInFlight: counts the exchange among those in flight; called once, however often it connects.
  func connected(startedAt: Instant, at: Instant, reused: Bool, countInFlight: () -> Int) {
    current.connected(startedAt: startedAt, at: at, reused: reused, countInFlight: countInFlight)
  }

  /// Whether the exchange was counted among those in flight.
  var isInFlight: Bool { current.inFlight != nil }

  // MARK: The response

  /// The final head has been sent on.
  func responseHead(_ head: ResponseHead, _ metadata: ResponseMetadata, firstByteAt: Instant, completeAt: Instant) {
    current.responseHead(head, metadata, firstByteAt: firstByteAt, completeAt: completeAt)
    if let codings = metadata.body.coding.codings, current.decoder != nil {
      current.inflates(with: unsafe ResponseInflation(codings, decoder.turns, for: state.address))
    }
  }

  /// The times that a stream is held to. Call it behind `responseHead`.
  func heldTo(_ levels: Settings.ServiceLevels) { current.heldTo(levels) }

  /// The 101 has been sent on: what follows is not HTTP, and is not decoded.
  func switchedProtocols(_ head: ResponseHead, firstByteAt: Instant, completeAt: Instant) {
    current.switchedProtocols(head, firstByteAt: firstByteAt, completeAt: completeAt)
  }

  /// The tunnel has ended: its bytes are the exchange's bodies.
  func tunnelled(_ count: TunnelCount) { current.tunnelled(count) }

  /// The client was sent a reply of the proxy's own.
  func replied(status: Int) { current.status = status }

  /// A read's body bytes have been sent to the client; they are decoded later, together with others.
  /// - Parameters:
  ///   - ranges: where they stand in `bytes`.
  ///   - undelivered: how many bytes the client's socket has to take before it has these; nil where it has them.
  ///   - isLast: whether the body ends with them: then there is nothing to wait for.
  func forwarded(
    _ ranges: BodyRanges, of bytes: RawSpan, _ arrival: Arrival, undelivered: UInt64?, isLast: Bool
  ) {
    let deliveredAt: Instant? = undelivered == nil ? .now() : nil
    if isLast, state.value.pendingReads == nil {
      state.value.decode(ranges, of: bytes, arrival, deliveredAt: deliveredAt, decoder.context)
    } else {
      decoder.enqueue(ranges, of: bytes, arrival, deliveredAt: deliveredAt, for: state)
    }
    if let undelivered { state.value.undelivered = undelivered }
  }

  /// The client's socket has taken `sent` bytes since it was accepted.
  func clientFlushed(sent: UInt64) {
    guard let undelivered = state.value.undelivered, sent >= undelivered else { return }
    current.undelivered = nil
    current.meter.delivered(at: .now())
  }

  /// The client has ended its side, and is still answered.
  func clientEndedSide() { current.meter.clientEndedSide() }

  /// Upstream is not read from now on, because the client is slow.
  func readingPaused(at: Instant) { current.paused(at: at) }

  /// Upstream is read again.
  func readingResumed(at: Instant) {
    current.pauseEnded(at: at)
    current.meter.readingResumed(at: at)
  }

  /// How far the response has come.
  var progress: ResponseProgress {
    let undelivered = current.undelivered
    let hasEnded = current.meter.sawTerminator || current.meter.errorKind != nil
    return ResponseProgress(hasOutput: current.hasOutput, isTerminatorDelivered: hasEnded && undelivered == nil)
  }

  /// Whether tokens are timed as they come, and more may come.
  var awaitsTokens: Bool { current.awaitsTokens() }

  /// When the newest token came; nil before the first, and where tokens are not timed.
  var newestTokenAt: Instant? { current.meter.newestTokenAt }

  /// The record that the exchange has if the process is killed now; nil where it leaves none.
  func openRecord(
    _ upstream: String, _ configuration: ConfigurationSnapshot, tunnel: TunnelCount?, _ encoder: inout RecordEncoder
  ) -> OpenRecord? {
    guard current.metadata?.isSkipped != true else { return nil }
    var record = ExchangeRecord()
    current.fillProvisionally(&record, upstream, configuration, tunnel: tunnel)
    return OpenRecord(&record, &encoder)
  }

  // MARK: The end

  /// The response has ended, whole or not; the first call counts.
  func responseEnded(at: @autoclosure () -> Instant, complete: Bool) {
    current.responseEnded(at: at(), complete: complete, decoder.context)
  }

  /// Whether all that has come is read. Where it is not, compressed bytes wait for their turn (`InflationTurns`), and the record
  /// should wait for them.
  var isDecoded: Bool {
    get { current.isDecoded }
  }

  /// The exchange has ended: the times that depend on it are fixed.
  func ended() {
    current.pauseEnded(at: .now())
    current.responseEnded(at: .now(), complete: false, decoder.context)
  }

  /// Submits the exchange's record, and counts it. Call it once, behind `ended`.
  /// - Parameters:
  ///   - termination: how it ended; nil where everything was forwarded, and what was decoded says it.
  ///   - upstream: the address of the server that the request was for.
  func submit(
    _ termination: Termination?, upstream: String, _ configuration: ConfigurationSnapshot,
    _ resources: RecordingResources
  ) {
    current.pauseEnded(at: .now())
    current.responseEnded(at: .now(), complete: false, decoder.context)
    current.stopInflating(decoder.context)
    current.endRequest(isComplete: current.meter.isRequestComplete, decoder.context, decoder.scans)
    if current.isTooLong { resources.counters.hit(.measuredBytes) }
    guard current.metadata?.isSkipped != true else {
      resources.counters.recordsSkipped.add()
      var record = ExchangeRecord()
      return fill(&record, termination, upstream, configuration, resources)
    }
    resources.writer.submit { fill(&$0, termination, upstream, configuration, resources) }
  }

  /// Fills the exchange's record, and counts it.
  private func fill(
    _ record: inout ExchangeRecord, _ termination: Termination?, _ upstream: String,
    _ configuration: ConfigurationSnapshot, _ resources: RecordingResources
  ) {
    let counters = resources.counters
    let termination = termination ?? current.measuredTermination()
    let failure = termination.failure ?? current.remark()
    current.fill(&record, termination, failure, upstream, configuration, counters)
    counters.exchanges.add(record.outcome, record.stage)
    if let failure { counters.failures.add(failure.kind) }
    if let status = current.status { counters.responses.add(status) }
    resources.models.count(record, &current.meter, unread: current.requestObstacle)
    resources.users?.count(record)
  }
}
