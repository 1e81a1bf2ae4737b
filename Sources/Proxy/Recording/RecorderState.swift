// What is known of one exchange for its record: instants, counts and words, and the decoder that finds its tokens.
import Clocks
import HTTP
import HTTP1
import Measurement
import SettingValues
import TokenWire

/// Everything about one exchange that its record needs and its forwarding does not. Only its recorder and the deferred decoder
/// reach it: what reads would tell may not be decoded yet.
struct RecorderState: ~Copyable {
  /// The status sent to the client.
  var status: Int?

  let id: ExchangeID
  var client: String?
  /// What follows from the request's head; nil where that was refused, or never whole.
  private(set) var metadata: RequestMetadata?
  /// Who sent it; nil as `metadata` is.
  private(set) var origin: RequestOrigin?
  /// What a request without metadata had asked for.
  var partialRequestLine: PartialRequestLine?
  var requestID: String?
  var traceID: String?
  private(set) var dialect: (any Dialect.Type)?
  var facts = RequestFacts()
  /// How the request's body is read.
  private enum RequestReading {
    /// There is none, or it is nobody's format.
    case none
    /// None of it has come.
    case expected
    case reading(RequestReader)
    case ended
  }
  private var requestReading = RequestReading.none
  /// How much of the request's body was read; nil where there was nothing to be read.
  private(set) var requestExtent: RequestExtent?
  /// Why not all of it was.
  private(set) var requestObstacle: RequestObstacle?
  /// Exchanges in flight when this one got its first connection, itself included; nil before.
  private(set) var inFlight: Int?
  /// Bytes of the request's body so far.
  private(set) var requestBytes = 0
  private var hasEnded = false
  /// Whether HTTP's framing said that the response was whole.
  private var endedWhole = false
  /// The response's content coding.
  private(set) var encoding: String?
  /// Since when upstream has not been read because the client is slow.
  private var pausedAt: Instant?
  /// Nil where nothing is measured. What each token touches is at its end, and at the meter's beginning.
  var decoder: ResponseDecoder?
  /// What inflates the response; nil where it is not compressed, or not measured.
  private var inflation: ResponseInflation?
  private(set) var isStream: Bool?
  /// Nothing that further bytes show changes what the body is.
  private var kindIsSettled = false
  /// Whether output has begun: the first token, or the first byte where tokens are not measured.
  private(set) var hasOutput = false
  private(set) var responseBytes: Int?
  /// How many of the bytes written to the client its socket has to take before all reads so far are delivered; nil where
  /// they are.
  var undelivered: UInt64?
  /// Its reads that have been forwarded and not decoded; the deferred decoder's.
  var pendingReads: DeferredDecoder.PendingReads?
  var meter: ExchangeMeter

  /// The state of a request of which nothing is known yet.
  init(client: String, received: WallAnchor, _ options: RecordingOptions, _ resources: RecordingResources) {
    id = resources.ids.value.next(realtimeNanoseconds: received.realtimeNanoseconds)
    self.client = client
    meter = ExchangeMeter(
      received: received, keepsTimeline: options.keepsTimeline, stallNanoseconds: options.stallNanoseconds,
      counters: resources.counters.delivery)
  }

  // MARK: The request

  /// The request's head is known.
  mutating func request(
    _ head: RequestHead, _ metadata: RequestMetadata, from origin: RequestOrigin, decoderLimits: DecoderLimits
  ) {
    self.metadata = metadata
    self.origin = origin
    if let place = metadata.requestID {
      requestID = RequestIDs.requestID(head.fields.bytes[head.fields.list[place].value])
    }
    if let place = metadata.trace { traceID = RequestIDs.traceID(head.value(at: place)) }
    dialect = metadata.dialect
    guard let format = metadata.format else { return }
    decoder = ResponseDecoder(dialect: format, isSettled: metadata.isSettled, limits: decoderLimits)
    if head.framing != .none { requestReading = .expected }
  }

  /// Reads body bytes of the request, which have been sent on.
  mutating func requestBody(_ ranges: BodyRanges, of bytes: RawSpan, _ scans: RequestScans) {
    requestBytes += ranges.byteCount
    guard ranges.byteCount > 0, let reader = requestReader(scans) else { return }
    for index in 0..<ranges.count { scans.read(bytes.extracting(ranges[index]), by: reader) }
  }

  private mutating func requestReader(_ scans: RequestScans) -> RequestReader? {
    switch requestReading {
    case .none, .ended: return nil
    case .reading(let reader): return reader
    case .expected:
      guard let metadata, let format = metadata.format else { return nil }
      let reader = scans.reader(format, metadata.bodyCoding)
      requestReading = .reading(reader)
      return reader
    }
  }

  /// Reads the last bytes of the request's body, which have been sent on.
  /// - Parameter last: all of the body, where it came in one read: then it is read where it stands.
  mutating func readRequest(last: BodyRanges, of bytes: RawSpan, _ context: DecodingContext, _ scans: RequestScans) {
    if case .expected = requestReading, last.count == 1, metadata?.bodyCoding == .identity,
      let format = metadata?.format, facts.read(bytes.extracting(last[0]), format, context)
    {
      requestBytes += last.byteCount
      requestExtent = .whole
      requestWasRead()
      return
    }
    requestBody(last, of: bytes, scans)
    switch requestReading {
    case .reading(let reader): if !reader.isWaiting { endRequest(isComplete: true, context, scans) }
    case .none, .expected: if facts.model == nil { facts.model = metadata?.modelInPath }
    case .ended: break
    }
  }

  /// How much of the request's body was read so far; nil where there is nothing to be read.
  var requestExtentSoFar: RequestExtent? {
    switch requestReading {
    case .none, .ended: requestExtent
    case .expected: requestExtent ?? (meter.isRequestComplete ? nil : .no)
    case .reading: .partly
    }
  }

  /// No more of the request's body is read.
  mutating func endRequest(isComplete: Bool, _ context: DecodingContext, _ scans: RequestScans) {
    // A body of which nothing came.
    if case .expected = requestReading, !isComplete { requestExtent = .no }
    guard case .reading(let reader) = requestReading else { return }
    scans.end(reader)
    requestExtent = reader.finish(isComplete: isComplete, &facts, context)
    requestObstacle = reader.obstacle
    requestWasRead()
  }

  private mutating func requestWasRead() {
    requestReading = .ended
    if facts.echo == true { meter.echoesPrompt = true }
    if facts.model == nil { facts.model = metadata?.modelInPath }
  }

  /// The record is not written: nothing is to be read any more.
  mutating func dropRequest(_ scans: RequestScans) {
    if case .reading(let reader) = requestReading { scans.end(reader) }
    requestReading = .ended
  }

  /// A connection to upstream is there.
  mutating func connected(startedAt: Instant, at: Instant, reused: Bool, countInFlight: () -> Int) {
    meter.connected(startedAt: startedAt, at: at, reused: reused)
    if inFlight == nil { inFlight = countInFlight() }
  }

  // MARK: The response

  /// The final head has been sent on.
  mutating func responseHead(
    _ head: ResponseHead, _ metadata: ResponseMetadata, firstByteAt: Instant, completeAt: Instant
  ) {
    answered(head.status, firstByteAt: firstByteAt, completeAt: completeAt)
    encoding = metadata.body.encoding
    if decoder != nil, let fields = metadata.serverTimes { meter.serverStated(fields.durations(in: head)) }
    decoder?.begin(metadata.body)
    noteKind()
  }

  /// The response is compressed.
  /// - Parameter inflation: what inflates it; nil where there is no memory for that.
  mutating func inflates(with inflation: ResponseInflation?) {
    guard let inflation else { return stopDecoding("no memory is left for it") }
    self.inflation = inflation
  }

  private mutating func stopDecoding(_ reason: String) {
    decoder?.stop(encoding: "content-encoding \(encoding ?? "other"): \(reason)")
    noteKind()
  }

  /// Whether all bytes of the bodies that have come have been read.
  var isDecoded: Bool {
    mutating get {
      if inflation?.isWaiting == true { return false }
      if case .reading(let reader) = requestReading { return !reader.isWaiting }
      return true
    }
  }

  /// Whether the response is inflated: then `InflationTurns` may know of this.
  var inflates: Bool { mutating get { inflation != nil } }

  /// The times that a stream is held to. A model that is not known yet has no objective of its own, nor another's.
  mutating func heldTo(_ levels: Settings.ServiceLevels) {
    if case .reading = requestReading, !levels.models.isEmpty { return }
    guard let level = levels.level(for: facts.model), let ttft = level.ttft, let tpot = level.tpot else { return }
    meter.heldTo(ttft: ttft.wholeNanoseconds, tpot: tpot.wholeNanoseconds)
  }

  /// The 101 has been sent on: what follows is not HTTP, and is not decoded.
  mutating func switchedProtocols(_ head: ResponseHead, firstByteAt: Instant, completeAt: Instant) {
    dialect = nil
    decoder = nil
    answered(head.status, firstByteAt: firstByteAt, completeAt: completeAt)
  }

  private mutating func answered(_ status: Int, firstByteAt: Instant, completeAt: Instant) {
    self.status = status
    responseBytes = 0
    meter.responseHead(firstByteAt: firstByteAt, completeAt: completeAt)
  }

  /// The tunnel has ended: its bytes are the exchange's bodies.
  mutating func tunnelled(_ count: TunnelCount) {
    requestBytes = count.fromClient
    responseBytes = count.fromUpstream
    meter.clientStalled(nanoseconds: count.stalledNanoseconds)
  }

  /// Upstream is not read from now on, because the client is slow.
  mutating func paused(at: Instant) { pausedAt = at }

  /// Such a pause has ended, if there was one.
  mutating func pauseEnded(at: @autoclosure () -> Instant) {
    guard let pausedAt else { return }
    meter.clientStalled(nanoseconds: at().nanoseconds(since: pausedAt))
    self.pausedAt = nil
  }

  /// Decodes the body bytes of one read, which have been sent on, and notes when the client's socket took them; nil where it
  /// has not yet.
  @inline(__always)
  mutating func decode(_ body: RawSpan, _ arrival: Arrival, deliveredAt: Instant?, _ context: DecodingContext) {
    read(arrival, deliveredAt: deliveredAt)
    if !body.isEmpty { decode(body, context) }
  }

  /// The same, where they stand in the read.
  mutating func decode(
    _ ranges: BodyRanges, of bytes: RawSpan, _ arrival: Arrival, deliveredAt: Instant?, _ context: DecodingContext
  ) {
    read(arrival, deliveredAt: deliveredAt)
    for index in 0..<ranges.count {
      let body = bytes.extracting(ranges[index])
      if !body.isEmpty { decode(body, context) }
    }
  }

  private mutating func read(_ arrival: Arrival, deliveredAt: Instant?) {
    if let deliveredAt { meter.read(arrival, deliveredAt: deliveredAt) } else { meter.beginRead(arrival) }
  }

  private mutating func decode(_ bytes: RawSpan, _ context: DecodingContext) {
    responseBytes = (responseBytes ?? 0) + bytes.byteCount
    if inflation != nil {
      inflate(bytes, context)
    } else if decoder != nil {
      Self.feed(&decoder, &meter, bytes, context, kindIsKnown: isStream == true)
      if !kindIsSettled { noteKind() }
    }
    if !hasOutput { hasOutput = dialect == nil || meter.hasOutput }
  }

  private mutating func inflate(_ bytes: RawSpan, _ context: DecodingContext) {
    guard let inflation, let arrivedAt = meter.readArrivedAt else { return }
    inflation.inflate(bytes, arrivedAt: arrivedAt) { feed(inflated: $0, context) }
    noteInflation(inflation)
  }

  /// Inflates a slice of what waits of the response.
  /// - Returns: whether something still waits.
  mutating func inflateMore(_ context: DecodingContext) -> Bool {
    guard let inflation, inflation.isWaiting else { return false }
    inflation.inflateMore { bytes, arrivedAt in
      meter.resumeRead(at: arrivedAt)
      feed(inflated: bytes, context)
    }
    noteInflation(inflation)
    if !hasOutput { hasOutput = dialect == nil || meter.hasOutput }
    if hasEnded, !inflation.isWaiting { finishDecoding(context) }
    return inflation.isWaiting
  }

  /// What waits of the response is not read any more.
  mutating func stopInflating(_ context: DecodingContext) {
    guard let inflation, inflation.isWaiting else { return }
    inflation.stop("not inflated in time")
    noteInflation(inflation)
    if hasEnded { finishDecoding(context) }
  }

  private mutating func feed(inflated bytes: RawSpan, _ context: DecodingContext) {
    Self.feed(&decoder, &meter, bytes, context, kindIsKnown: isStream == true)
    if !kindIsSettled { noteKind() }
  }

  private mutating func noteInflation(_ inflation: ResponseInflation) {
    if decoder?.hasStopped == true {
      inflation.stop("not decoded")
    } else if let problem = inflation.problem {
      stopDecoding(problem)
    }
  }

  private static func feed(
    _ decoder: inout ResponseDecoder?, _ meter: inout ExchangeMeter, _ bytes: RawSpan, _ context: DecodingContext,
    kindIsKnown: Bool
  ) {
    decoder?.feed(bytes, context: context) { observation in
      // Only streams have observations before their end: the kind that the first bytes showed is a stream.
      if !kindIsKnown { meter.measures(.stream) }
      meter.observe(observation)
    }
    if decoder?.hasPendingEvent == true { meter.eventPending() }
  }

  private static func finish(
    _ decoder: inout ResponseDecoder?, _ meter: inout ExchangeMeter, complete: Bool, _ context: DecodingContext
  ) {
    decoder?.finish(complete: complete, context: context) { meter.observe($0) }
  }

  /// The response has ended, whole or not; the first call counts.
  mutating func responseEnded(at: @autoclosure () -> Instant, complete: Bool, _ context: DecodingContext) {
    guard !hasEnded else { return }
    hasEnded = true
    endedWhole = complete
    meter.ended(at: at())
    if inflation?.isWaiting != true { finishDecoding(context) }
  }

  private mutating func finishDecoding(_ context: DecodingContext) {
    Self.finish(&decoder, &meter, complete: endedWhole, context)
    noteKind()
  }

  /// Notes in the meter what kind of body the decoder has found, and whether it has stopped.
  private mutating func noteKind() {
    guard decoder != nil else { return }
    let hasStopped = decoder?.hasStopped ?? false
    if let found = decoder?.dialect { dialect = found }
    let kind = decoder?.isStream
    if kind != isStream {
      isStream = kind
      if let kind, !hasStopped { meter.measures(kind ? .stream : .whole) }
    }
    if hasStopped { meter.measuringStopped() }
    kindIsSettled = hasStopped || (isStream == true && decoder?.isSettled == true)
  }

  /// Whether a body was too long to be measured.
  var isTooLong: Bool { mutating get { dialect != nil && decoder?.isTooLong == true } }

  /// Whether tokens are timed as they come, and more may come.
  mutating func awaitsTokens() -> Bool {
    isStream == true && dialect != nil && !meter.sawTerminator && decoder?.hasStopped == false
  }
}
