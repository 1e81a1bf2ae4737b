// The tap on the pipe: what an exchange's bytes say of its tokens, kept until its record is written.
// It must not touch the forwarding: whatever happens here, the bytes have gone already.
import Clocks
import HTTPWire
import Measure
import TokenWire

/// Everything about one exchange that its record needs and its forwarding does not. Confined to its worker's thread.
final class Tap {
  var meter: ExchangeMeter
  /// The status sent to the client.
  var status: Int?

  private let id: String
  private let client: String
  private var identity: HeadIdentity?
  private var method: String?
  private var path: String?
  private var dialect: (any Dialect.Type)?
  private var facts: RequestFacts?
  /// A bounded copy of the request's body; nil where none is wanted, or it grew beyond the bound.
  private var requestCopy: [UInt8]?
  /// Nil where nothing is measured. In a box of its own, to be used in place: an optional value is copied at each look.
  private var decoding: Decoding?
  private var isStream: Bool?
  private var inFlight: Int?
  private var requestBytes = 0
  private var responseBytes: Int?
  private var hasEnded = false
  private var hasOutput = false

  /// A tap for a request of which nothing is known yet.
  init(id: String, client: String, received: WallAnchor, keepsTimeline: Bool) {
    self.id = id
    self.client = client
    meter = ExchangeMeter(received: received, keepsTimeline: keepsTimeline)
  }

  // MARK: The request

  /// The request's head is known.
  func request(_ head: RequestHead, identity: HeadIdentity, decoderLimits: DecoderLimits) {
    self.identity = identity
    method = head.method.rawValue
    let path = head.path
    self.path = path
    dialect = Dialects.claiming(method: head.method.rawValue, path: path)
    guard let dialect else { return }
    decoding = Decoding(decoder: ResponseDecoder(dialect: dialect, limits: decoderLimits))
    if head.framing != .none, head.fields.first("content-encoding") == nil { requestCopy = [] }
  }

  /// Body bytes that have been sent on.
  func requestBody(_ spans: BodySpans, of bytes: RawSpan, limit: Int) {
    let count = spans.byteCount
    requestBytes += count
    guard requestCopy != nil else { return }
    guard requestBytes <= limit else {
      requestCopy = nil
      return
    }
    for index in 0..<spans.count {
      unsafe bytes.extracting(spans[index]).withUnsafeBytes {
        unsafe requestCopy?.append(contentsOf: $0)
      }
    }
  }

  /// Looks at the request's body once it has gone, and lets the copy go.
  func readRequest(_ parser: EventParser) {
    guard let copy = requestCopy, let dialect else { return }
    requestCopy = nil
    facts = unsafe requestFacts(of: copy.span.bytes, dialect: dialect, parser: parser)
  }

  /// A connection to upstream is ours.
  func connected(startedAt: Instant, at: Instant, reused: Bool, inFlight: Int?) {
    meter.connected(startedAt: startedAt, at: at, reused: reused)
    if let inFlight { self.inFlight = inFlight }
  }

  // MARK: The response

  /// The final head has been sent on.
  func responseHead(_ head: ResponseHead, firstByteAt: Instant, completeAt: Instant) {
    status = head.status
    responseBytes = 0
    meter.responseHead(firstByteAt: firstByteAt, completeAt: completeAt)
    decoding?.decoder.begin(
      status: head.status, contentType: head.fields.first("content-type"),
      contentEncoding: head.fields.first("content-encoding"))
    noteKind()
  }

  /// A read with response bytes, and when the client's socket took them; nil where it has not yet.
  func read(_ arrival: Arrival, deliveredAt: Instant?) {
    if let deliveredAt { meter.read(arrival, deliveredAt: deliveredAt) } else { meter.beginRead(arrival) }
  }

  /// Looks at the body bytes of one read, which have been sent on.
  /// - Returns: whether output began with them: the first token, or the first byte where tokens are not measured.
  func decode(_ bytes: RawSpan, _ parser: EventParser) -> Bool {
    responseBytes = (responseBytes ?? 0) + bytes.byteCount
    if decoding != nil {
      feed(bytes, parser)
      if isStream == nil { noteKind() }
    }
    guard !hasOutput, decoding == nil || meter.hasOutput else { return false }
    hasOutput = true
    return true
  }

  private func feed(_ bytes: RawSpan, _ parser: EventParser) {
    let kindIsKnown = isStream != nil
    decoding?.decoder.feed(bytes, parser: parser) { observation in
      // Only streams are observed before their end: one whose first bytes told what it is, is one by now.
      if !kindIsKnown { meter.measures(.stream) }
      meter.observe(observation)
    }
  }

  /// The response has ended, whole or not; the first call counts.
  func responseEnded(at: @autoclosure () -> Instant, complete: Bool, _ parser: EventParser) {
    guard !hasEnded else { return }
    hasEnded = true
    decoding?.decoder.finish(complete: complete, parser: parser) { meter.observe($0) }
    noteKind()
    meter.ended(at: at())
  }

  /// Tells the meter what kind of body the decoder found, and when it gave up on it.
  private func noteKind() {
    if isStream == nil, let kind = decoding?.decoder.isStream {
      isStream = kind
      if decoding?.decoder.problem == nil { meter.measures(kind ? .stream : .whole) }
    }
    if decoding?.decoder.problem != nil { meter.measuringStopped() }
  }

  /// Whether the stream has said that it is whole (`[DONE]`, `done:true`).
  var sawTerminator: Bool { meter.sawTerminator }

  // MARK: The record

  /// The record of the exchange. Call it once, after `responseEnded`.
  /// - Parameter verdict: how it ended where the forwarding knows; nil where all bytes went through.
  func record(_ verdict: Verdict?, _ rules: Rules) -> ExchangeRecord {
    var record = ExchangeRecord()
    record.id = id
    record.instance = rules.settings.instance
    let user = identity?.identity(facts: facts, client: client) ?? Identity(user: client, from: "client_ip")
    record.user = user.user
    record.userFrom = user.from
    record.session = identity?.session(facts: facts)
    record.client = client
    record.requestID = identity?.requestID
    record.traceID = identity?.traceID
    record.method = method
    record.path = path
    record.dialect = dialect?.name
    record.model = facts?.model
    record.stream = isStream
    record.status = status
    let verdict = verdict ?? measuredVerdict()
    record.outcome = verdict.outcome
    record.stage = verdict.stage
    record.error = verdict.error ?? remark
    record.upstream = rules.upstreamAuthority
    record.inFlight = inFlight
    record.requestBytes = requestBytes
    record.responseBytes = responseBytes
    meter.fill(&record)
    return record
  }

  /// How an exchange ended of which every byte went through.
  private func measuredVerdict() -> Verdict {
    if let status, status >= 400 { return Verdict(outcome: .upstreamStatus, stage: nil, error: meter.errorKind) }
    if let kind = meter.errorKind { return Verdict(outcome: .streamError, stage: .streaming, error: kind) }
    if let decoding, isStream == true, decoding.decoder.problem == nil, !decoding.decoder.isWhole {
      return Verdict(
        outcome: .truncated, stage: hasOutput ? .streaming : .waiting, error: "stream ended without its terminator")
    }
    return Verdict(outcome: .ok, stage: nil, error: nil)
  }

  /// What measuring could not do, in one line.
  private var remark: String? {
    guard let decoding else { return nil }
    if let problem = decoding.decoder.problem { return "measuring stopped: \(problem)" }
    let malformed = decoding.decoder.malformedEvents
    return malformed > 0 ? "\(malformed) events were not JSON" : nil
  }
}

/// The decoder of one response.
private final class Decoding {
  var decoder: ResponseDecoder
  init(decoder: ResponseDecoder) { self.decoder = decoder }
}
