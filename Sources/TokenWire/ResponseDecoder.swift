// One measured response: from its head and its body's bytes, in any split, to observations.

/// Framing and dialect of one response: a value with one owner. Feed it the body's bytes as they arrived. Whatever they are,
/// it never holds more than its limits.
public struct ResponseDecoder: ~Copyable {
  private enum Mode {
    /// The response's head has not been seen, or nothing in it is worth reading, or it has ended.
    case off
    case sniffing
    case stream
    case body
  }

  /// The first bytes of a body by which its kind is found.
  private static let sniffedBytes = 1024

  private let limits: DecoderLimits
  private let framing: Framing
  /// A body that is being collected, or the first bytes of one whose kind is not known yet.
  private var collected: [UInt8] = []
  private var hasWholeBody = false
  private var endedWell = false
  // What each event touches stands last and close together: memory that has left the processor's cache costs more than what
  // is done with it.
  private var decoder: EventDecoder
  /// Why measuring stopped or is incomplete: one short line without content; nil where nothing is wrong.
  public private(set) var problem: String?
  /// True for a stream of events, false for a whole body, nil while or where that is not known.
  public private(set) var isStream: Bool?
  private var mode = Mode.off
  private var stream: EventStream

  /// Makes the decoder of one response.
  public init(dialect: any Dialect.Type, limits: DecoderLimits) {
    self.limits = limits
    framing = dialect.framing
    decoder = EventDecoder(dialect)
    stream = EventStream(dialect.framing, limit: limits.eventBytes)
  }

  /// Whether measuring stopped, or cannot begin: see `problem`.
  public var hasStopped: Bool { problem != nil }
  /// Whether it stopped because more would have had to be kept than may be.
  public private(set) var isTooLong = false
  /// Events whose payload was not JSON.
  public var malformedEvents: Int { decoder.malformed }

  /// The response is whole as its dialect sees it: its terminator was seen, or it ended as HTTP wants it after a finish
  /// reason (ik_llama.cpp and others send no `[DONE]`), or its body was one JSON object.
  public var isWhole: Bool {
    hasWholeBody || decoder.sawTerminator || (endedWell && isStream == true && decoder.sawFinish)
  }

  /// The final response head is known; `problem` says why where its body is not decoded.
  public mutating func begin(_ body: AnnouncedBody) {
    guard let shape = body.shape else { return }
    if shape == .unknown { mode = .sniffing } else { begin(shape) }
    if let problem = body.problem { stop(problem) }
  }

  /// Reads the next bytes of the body, in order, in any split.
  /// - Parameter observe: called once an event of any kind, terminators and errors included; not for comments.
  public mutating func feed(_ bytes: RawSpan, context: DecodingContext, _ observe: (borrowing Observation) -> Void) {
    switch mode {
    case .off: return
    case .stream: feedStream(bytes, context, observe)
    case .body: collect(bytes)
    case .sniffing: sniff(bytes, context, observe)
    }
  }

  /// The body has ended.
  ///
  /// A whole body is read now. Of a last event that lacks its blank line (or a last line without its line feed), only
  /// what says how the stream ended is observed: usage, finish reason, terminator, error.
  /// - Parameter complete: whether HTTP's framing says that the body is whole.
  public mutating func finish(complete: Bool, context: DecodingContext, _ observe: (borrowing Observation) -> Void) {
    switch mode {
    case .off, .sniffing: break
    case .stream: stream.finish(&decoder) { $0.decodeUnfinished(name: $1, $2, context, observe) }
    case .body: finishBody(complete, context, observe)
    }
    if mode != .off { endedWell = complete }
    mode = .off
    if !collected.isEmpty { collected = [] }
  }

  private mutating func feedStream(
    _ bytes: RawSpan, _ context: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) {
    stream.feed(bytes, &decoder) { $0.decode(name: $1, $2, context, observe) }
    if stream.isOverfull { stop("event longer than \(limits.eventBytes) bytes", tooLong: true) }
  }

  private mutating func collect(_ bytes: RawSpan) {
    guard collected.count + bytes.byteCount <= limits.bodyBytes else {
      return stop("body longer than \(limits.bodyBytes) bytes", tooLong: true)
    }
    collected.append(bytes)
  }

  private mutating func finishBody(
    _ complete: Bool, _ context: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) {
    let body = collected
    guard !body.isEmpty else { return }
    hasWholeBody = unsafe decoder.decodeBody(body.span.bytes, context, observe)
    if !hasWholeBody, complete { problem = "body is not a JSON object" }
  }

  /// Tells a stream without a Content-Type by its first bytes.
  private mutating func sniff(_ bytes: RawSpan, _ context: DecodingContext, _ observe: (borrowing Observation) -> Void)
  {
    collected.append(bytes)
    guard let shape = Self.shape(collected, framing) else {
      // White space without end is no answer.
      if collected.count >= Self.sniffedBytes { stop("neither JSON nor an event stream") }
      return
    }
    let first = collected
    collected = []
    begin(shape)
    unsafe feed(first.span.bytes, context: context, observe)
  }

  private static func shape(_ bytes: [UInt8], _ framing: Framing) -> BodyShape? {
    unsafe BodyShape(firstBytes: bytes.span.bytes.extracting(first: sniffedBytes), framing: framing)
  }

  private mutating func begin(_ shape: BodyShape) {
    switch shape {
    case .stream(let framing):
      stream = EventStream(framing, limit: limits.eventBytes)
      mode = .stream
      isStream = true
    case .body:
      mode = .body
      isStream = false
    case .unknown, .other: stop("neither JSON nor an event stream")
    }
  }

  /// Reads nothing more. What was observed stays so.
  private mutating func stop(_ reason: String, tooLong: Bool = false) {
    mode = .off
    isTooLong = tooLong
    collected = []
    if problem == nil { problem = reason }
  }
}
