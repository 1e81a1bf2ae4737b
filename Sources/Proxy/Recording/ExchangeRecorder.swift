// The recorder on the pipe: what an exchange's bytes say of its tokens, kept until its record is written.
// It must not touch the forwarding: whatever happens here, the bytes have gone already.
import Clocks
import HTTP
import HTTP1
import Measurement
import TokenWire

/// Everything about one exchange that its record needs and its forwarding does not. A value: its exchange holds it in place.
struct ExchangeRecorder: ~Copyable {
  /// The status sent to the client.
  var status: Int?

  private let id: ExchangeID
  private var client: String?
  /// What follows from the request's head; nil where that was refused, or never whole.
  private var metadata: RequestMetadata?
  /// What a request without metadata had asked for.
  private var partialRequestLine: PartialRequestLine?
  private var requestID: String?
  private var traceID: String?
  private var dialect: (any Dialect.Type)?
  private var facts = RequestFacts()
  /// A bounded copy of the request's body; nil where none is wanted, or it grew beyond the bound.
  private var requestCopy: [UInt8]?
  /// Exchanges in flight when this one got its first connection, itself included; nil before.
  private(set) var inFlight: Int?
  private var requestIsTooLong = false
  /// Bytes of the request's body so far.
  private(set) var requestBytes = 0
  private var hasEnded = false
  /// Nil where nothing is measured. What each token touches is at its end, and at the meter's beginning.
  private var decoder: ResponseDecoder?
  private var isStream: Bool?
  /// Whether output has begun: the first token, or the first byte where tokens are not measured.
  private(set) var hasOutput = false
  private var responseBytes: Int?
  var meter: ExchangeMeter

  /// A recorder for a request of which nothing is known yet.
  init(client: String, received: WallAnchor, _ configuration: ConfigurationSnapshot, _ worker: Worker) {
    id = worker.ids.value.next(realtimeNanoseconds: received.realtimeNanoseconds)
    self.client = client
    meter = ExchangeMeter(
      received: received, keepsTimeline: configuration.settings.keepsTimeline, counters: worker.counters.delivery)
  }

  // MARK: The request

  /// The request's head is known.
  mutating func request(_ head: RequestHead, _ metadata: RequestMetadata, decoderLimits: DecoderLimits) {
    self.metadata = metadata
    if let place = metadata.requestID { requestID = RequestIDs.requestID(head.value(at: place)) }
    if let place = metadata.trace { traceID = RequestIDs.traceID(head.value(at: place)) }
    dialect = metadata.dialect
    guard let dialect else { return }
    decoder = ResponseDecoder(dialect: dialect, limits: decoderLimits)
    if head.framing != .none, metadata.bodyIsPlain { requestCopy = [] }
  }

  /// The request was refused, or its head was never whole: what it had asked for.
  mutating func refused(_ request: PartialRequestLine) { partialRequestLine = request }

  /// Body bytes that have been sent on.
  mutating func requestBody(_ ranges: BodyRanges, of bytes: RawSpan, limit: Int) {
    let count = ranges.byteCount
    requestBytes += count
    guard requestCopy != nil else { return }
    guard requestBytes <= limit else {
      requestCopy = nil
      requestIsTooLong = true
      return
    }
    for index in 0..<ranges.count {
      unsafe bytes.extracting(ranges[index]).withUnsafeBytes {
        unsafe requestCopy?.append(contentsOf: $0)
      }
    }
  }

  /// Looks at the request's body once it has gone, and lets the copy go.
  /// - Parameters:
  ///   - last: the last of its bytes: all of it, where it came in one read; then it is looked at where it stands.
  ///   - limit: as for `requestBody`.
  mutating func readRequest(last: BodyRanges, of bytes: RawSpan, limit: Int, _ parser: DecodingContext) {
    if last.count == 1, requestBytes == 0, last[0].count <= limit, let dialect, requestCopy != nil {
      requestBytes = last[0].count
      requestCopy = nil
      _ = facts.read(bytes.extracting(last[0]), dialect, parser)
    } else {
      requestBody(last, of: bytes, limit: limit)
      guard let copy = requestCopy, let dialect else { return }
      requestCopy = nil
      _ = unsafe facts.read(copy.span.bytes, dialect, parser)
    }
  }

  /// A connection to upstream is ours.
  mutating func connected(startedAt: Instant, at: Instant, reused: Bool, inFlight: Int?) {
    meter.connected(startedAt: startedAt, at: at, reused: reused)
    if let inFlight { self.inFlight = inFlight }
  }

  // MARK: The response

  /// The final head has been sent on.
  mutating func responseHead(
    _ head: ResponseHead, _ metadata: ResponseMetadata, firstByteAt: Instant, completeAt: Instant
  ) {
    answered(head.status, firstByteAt: firstByteAt, completeAt: completeAt)
    decoder?.begin(metadata.body)
    noteKind()
  }

  /// The 101 has been sent on: nobody knows what the bytes behind it mean.
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

  /// A read with response bytes, and when the client's socket took them; nil where it has not yet.
  mutating func read(_ arrival: Arrival, deliveredAt: Instant?) {
    if let deliveredAt { meter.read(arrival, deliveredAt: deliveredAt) } else { meter.beginRead(arrival) }
  }

  /// Looks at the body bytes of one read, which have been sent on.
  mutating func decode(_ bytes: RawSpan, _ parser: DecodingContext) {
    responseBytes = (responseBytes ?? 0) + bytes.byteCount
    if decoder != nil {
      Self.feed(&decoder, &meter, bytes, parser, kindIsKnown: isStream != nil)
      if isStream == nil { noteKind() }
    }
    if !hasOutput { hasOutput = decoder == nil || meter.hasOutput }
  }

  private static func feed(
    _ decoder: inout ResponseDecoder?, _ meter: inout ExchangeMeter, _ bytes: RawSpan, _ parser: DecodingContext,
    kindIsKnown: Bool
  ) {
    decoder?.feed(bytes, parser: parser) { observation in
      // Only streams are observed before their end: one whose first bytes told what it is, is one by now.
      if !kindIsKnown { meter.measures(.stream) }
      meter.observe(observation)
    }
  }

  private static func finish(
    _ decoder: inout ResponseDecoder?, _ meter: inout ExchangeMeter, complete: Bool, _ parser: DecodingContext
  ) {
    decoder?.finish(complete: complete, parser: parser) { meter.observe($0) }
  }

  /// The response has ended, whole or not; the first call counts.
  mutating func responseEnded(at: @autoclosure () -> Instant, complete: Bool, _ parser: DecodingContext) {
    guard !hasEnded else { return }
    hasEnded = true
    Self.finish(&decoder, &meter, complete: complete, parser)
    noteKind()
    meter.ended(at: at())
  }

  /// Tells the meter what kind of body the decoder found, and when it gave up on it.
  private mutating func noteKind() {
    let hasStopped = decoder?.hasStopped ?? false
    if isStream == nil, let kind = decoder?.isStream {
      isStream = kind
      if !hasStopped { meter.measures(kind ? .stream : .whole) }
    }
    if hasStopped { meter.measuringStopped() }
  }

  /// Whether tokens are timed as they come, and more may come.
  mutating func awaitsTokens() -> Bool { isStream == true && !meter.sawTerminator && decoder?.hasStopped == false }

  /// Whether the stream has said that it is whole (`[DONE]`, `done:true`).
  var sawTerminator: Bool { meter.sawTerminator }

  // MARK: The record

  /// Hands the exchange's record in, and counts it. Call it once, after `responseEnded`.
  /// - Parameter termination: how it ended where the forwarding knows; nil where all bytes went through.
  mutating func submit(_ termination: Termination?, _ configuration: ConfigurationSnapshot, _ worker: Worker) {
    if decoder?.isTooLong == true || requestIsTooLong { worker.counters.hit(.measuredBytes) }
    let writer = worker.proxy.writer
    writer.submit { record in
      let termination = termination ?? measuredTermination()
      let failure = termination.failure ?? remark()
      fill(&record, termination, failure, configuration)
      worker.counters.exchanges.add(record.outcome, record.stage)
      if let failure { worker.counters.failures.add(failure.kind) }
      if let status { worker.counters.responses.add(status) }
      worker.operations.count(record, &meter)
    }
  }

  private mutating func fill(
    _ record: inout ExchangeRecord, _ termination: Termination, _ failure: ExchangeFailure?,
    _ configuration: ConfigurationSnapshot
  ) {
    record.id = id
    record.instance = configuration.settings.instance
    if let metadata {
      let origin = metadata.origin
      let user = origin.identity(facts: facts, client: client ?? "")
      record.user = user.user
      record.userFrom = user.from
      record.session = origin.session(facts: facts)
      record.method = metadata.method
      record.path = metadata.path
    } else {
      record.user = client
      record.userFrom = client == nil ? nil : "client_ip"
      record.method = partialRequestLine?.method
      record.path = partialRequestLine?.path
    }
    record.dialect = dialect?.name
    // The recorder is at its end: what only the record needs from now on is moved into it.
    swap(&record.client, &client)
    swap(&record.requestID, &requestID)
    swap(&record.traceID, &traceID)
    swap(&record.model, &facts.model)
    record.stream = isStream
    record.status = status
    record.outcome = termination.outcome
    record.stage = termination.stage
    record.error = failure?.description
    record.upstream = configuration.upstreamAuthority
    record.inFlight = inFlight
    record.requestBytes = requestBytes
    record.responseBytes = responseBytes
    meter.fill(&record)
    // Among the text is the prompt then, and nobody says how much of it.
    if facts.echo == true {
      record.outputChars = nil
      record.charsPerSecond = nil
    }
  }

  /// How an exchange ended of which every byte went through.
  private mutating func measuredTermination() -> Termination {
    let failure = meter.errorKind.map { ExchangeFailure(.serverError, $0) }
    if let status, status >= 400 { return Termination(outcome: .upstreamStatus, stage: nil, failure: failure) }
    if let failure { return Termination(outcome: .streamError, stage: .streaming, failure: failure) }
    if isStream == true, decoder?.hasStopped == false, decoder?.isWhole == false {
      return Termination(
        outcome: .truncated, stage: hasOutput ? .streaming : .waiting,
        failure: ExchangeFailure(.terminatorMissing, "stream ended without its terminator"))
    }
    return Termination(outcome: .ok, stage: nil, failure: nil)
  }

  /// What measuring could not do.
  private mutating func remark() -> ExchangeFailure? {
    if let problem = decoder?.problem { return ExchangeFailure(.decodingStopped, problem) }
    guard let malformed = decoder?.malformedEvents, malformed > 0 else { return nil }
    return ExchangeFailure(.eventsNotJSON, "\(malformed) events were not JSON")
  }
}
