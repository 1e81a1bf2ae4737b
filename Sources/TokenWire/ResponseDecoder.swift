// One measured response: from its head and its body's bytes, in any split, to observations.
// It must not know about time, sockets or records; whatever it meets, it never holds more than its limits.

/// Framing and dialect of one response: a pure value, with one owner. Feed it the body's bytes as they arrived.
public struct ResponseDecoder: ~Copyable {
  private enum Mode {
    /// The response's head has not been seen, or nothing in it is worth reading, or it has ended.
    case off
    case sniffing
    case events
    case lines
    case body
  }

  /// How far into a body its kind is looked for.
  private static let sniffedBytes = 1024

  private let limits: DecoderLimits
  private let framing: Framing
  private var lines: JSONLines
  /// A body that is being collected, or the first bytes of one whose kind is not known yet.
  private var collected: [UInt8] = []
  private var hasWholeBody = false
  private var endedWell = false
  // What each event touches stands last and close together: memory that has left the cache costs more than what is done
  // with it.
  private var reader: EventDecoder
  /// Why measuring stopped or is incomplete: one short line without content; nil where nothing is wrong.
  public private(set) var problem: String?
  /// True for a stream of events, false for a whole body, nil while or where that is not known.
  public private(set) var isStream: Bool?
  private var mode = Mode.off
  private var events: ServerSentEvents

  /// Makes the decoder of one response.
  public init(dialect: any Dialect.Type, limits: DecoderLimits = DecoderLimits()) {
    self.limits = limits
    framing = dialect.framing
    reader = EventDecoder(dialect)
    events = ServerSentEvents(limit: limits.eventBytes)
    lines = JSONLines(limit: limits.eventBytes)
  }

  /// Whether measuring stopped, or cannot begin: see `problem`.
  public var hasStopped: Bool { problem != nil }
  /// Whether it stopped because more would have had to be kept than may be.
  public private(set) var isTooLong = false
  /// Events whose payload was not JSON.
  public var malformedEvents: Int { reader.malformed }

  /// The response is whole as its dialect sees it: its terminator was seen, or it ended as HTTP wants it after a finish
  /// reason (ik_llama.cpp and others send no `[DONE]`), or its body was one JSON object.
  public var isWhole: Bool {
    hasWholeBody || reader.sawTerminator || (endedWell && isStream == true && reader.sawFinish)
  }

  /// Takes what the final response head announces; `problem` says it where that is not looked into.
  public mutating func begin(_ body: AnnouncedBody) {
    switch body.shape {
    case .events: enter(.events)
    case .lines: enter(.lines)
    case .body: enter(.body)
    case .unknown: mode = .sniffing
    case .other: stop("neither JSON nor an event stream")
    case nil: return
    }
    if let problem = body.problem { stop(problem) }
  }

  /// Takes the next bytes of the body, in order, in any split.
  /// - Parameter observe: called once an event of any kind, terminators and errors included; not for comments.
  public mutating func feed(_ bytes: RawSpan, parser: DecodingContext, _ observe: (borrowing Observation) -> Void) {
    switch mode {
    case .off: return
    case .events: feedEvents(bytes, parser, observe)
    case .lines: feedLines(bytes, parser, observe)
    case .body: collect(bytes)
    case .sniffing: sniff(bytes, parser, observe)
    }
  }

  /// The body has ended.
  ///
  /// A whole body is read now. Of a last event that lacks its blank line (or a last line without its line feed), only
  /// what says how the stream ended is observed: usage, finish reason, terminator, error.
  /// - Parameter complete: whether HTTP's framing says that the body is whole.
  public mutating func finish(complete: Bool, parser: DecodingContext, _ observe: (borrowing Observation) -> Void) {
    switch mode {
    case .off, .sniffing: break
    case .events: events.finish(&reader) { $0.takeUnfinished($1, $2, parser, observe) }
    case .lines: lines.finish(&reader) { $0.takeUnfinished(RawSpan(), $1, parser, observe) }
    case .body: finishBody(complete, parser, observe)
    }
    if mode != .off { endedWell = complete }
    mode = .off
    if !collected.isEmpty { collected = [] }
  }

  private mutating func feedEvents(
    _ bytes: RawSpan, _ parser: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) {
    events.feed(bytes, &reader) { reader, rest in
      reader.matchCached(rest, .blankLine, parser, observe)
    } dispatch: { reader, name, payload in
      reader.take(name, payload, parser, observe)
    }
    if events.isOverfull { stop("event longer than \(limits.eventBytes) bytes", tooLong: true) }
  }

  private mutating func feedLines(
    _ bytes: RawSpan, _ parser: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) {
    lines.feed(bytes, &reader) { reader, rest in
      reader.matchCached(rest, .lineEnd, parser, observe)
    } dispatch: { reader, payload in
      reader.take(RawSpan(), payload, parser, observe)
    }
    if lines.isOverfull { stop("event longer than \(limits.eventBytes) bytes", tooLong: true) }
  }

  private mutating func collect(_ bytes: RawSpan) {
    guard collected.count + bytes.byteCount <= limits.bodyBytes else {
      return stop("body longer than \(limits.bodyBytes) bytes", tooLong: true)
    }
    collected.append(bytes)
  }

  private mutating func finishBody(
    _ complete: Bool, _ parser: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) {
    let body = collected
    guard !body.isEmpty else { return }
    hasWholeBody = unsafe reader.takeBody(body.span.bytes, parser, observe)
    if !hasWholeBody, complete { problem = "body is not a JSON object" }
  }

  /// Tells a stream without a Content-Type by its first bytes.
  private mutating func sniff(_ bytes: RawSpan, _ parser: DecodingContext, _ observe: (borrowing Observation) -> Void) {
    collected.append(bytes)
    guard let shape = Self.shape(collected, framing) else {
      // White space without end is no answer.
      if collected.count >= Self.sniffedBytes { stop("neither JSON nor an event stream") }
      return
    }
    let first = collected
    collected = []
    switch shape {
    case .events: enter(.events)
    case .lines: enter(.lines)
    case .body: enter(.body)
    case .unknown, .other: stop("neither JSON nor an event stream")
    }
    unsafe feed(first.span.bytes, parser: parser, observe)
  }

  private static func shape(_ bytes: [UInt8], _ framing: Framing) -> BodyShape? {
    unsafe BodyShape(firstBytes: bytes.span.bytes.extracting(first: sniffedBytes), framing: framing)
  }

  private mutating func enter(_ mode: Mode) {
    self.mode = mode
    isStream = mode != .body
  }

  /// Looks at nothing more. What was seen stays seen.
  private mutating func stop(_ reason: String, tooLong: Bool = false) {
    mode = .off
    isTooLong = tooLong
    collected = []
    if problem == nil { problem = reason }
  }
}
