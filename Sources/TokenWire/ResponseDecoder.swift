// One measured response: from its head and its body's bytes, in any split, to observations.

/// Framing and dialect of one response: a value with one owner. Feed it the body's bytes as they arrived. Whatever they are,
/// it never holds more than its limits.
public struct ResponseDecoder: ~Copyable {
  private enum Mode {
    /// The response's head has not been seen, or nothing in it is worth reading, or it has ended.
    case off
    case sniffing(BodyLabel)
    case stream
    case body
    case media
  }

  /// The first line of what may be one JSON text or lines of many.
  private enum FirstLine {
    case open
    /// It is braced, and ends here among `collected`: an object that follows is a second line.
    case ended(at: Int)
    /// It is no whole text: the body is one.
    case none
  }

  /// The first bytes of a body by which its kind is found.
  private static let sniffedBytes = 1024

  private let limits: DecoderLimits
  /// A body that is being collected, or the first bytes of one whose kind is not known yet.
  private var collected: [UInt8] = []
  private var firstLine = FirstLine.open
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
  /// - Parameter isSettled: whether the response can be no other dialect's: if not, its first event shows whose it is.
  public init(dialect: any Dialect.Type, isSettled: Bool = true, limits: DecoderLimits) {
    self.limits = limits
    decoder = EventDecoder(dialect, isSettled: isSettled)
    stream = EventStream(dialect.framing, limit: limits.eventBytes)
  }

  /// Whether measuring stopped, or cannot begin: see `problem`.
  public var hasStopped: Bool { problem != nil }
  /// Whether it stopped because more would have had to be kept than may be.
  public private(set) var isTooLong = false
  /// Events whose payload was not JSON.
  public var malformedEvents: Int { decoder.malformed }

  /// What is decoded; another dialect than at first where the first event has shown it, and nil where it is not known.
  public var dialect: (any Dialect.Type)? { decoder.type == UndecidedDialect.self ? nil : decoder.type }
  /// The answer's own id, as the server said it.
  public var responseID: String? { decoder.responseID }
  /// Whether no event to come can show another dialect.
  public var isSettled: Bool { !decoder.isUndecided }
  /// A line ended in the last read that may turn out to be an event: it will be observed with `endedEarlier`.
  public private(set) var hasPendingEvent = false

  /// The response is whole as its dialect sees it: its terminator was seen, or it ended as HTTP wants it after a finish
  /// reason (ik_llama.cpp and others send no `[DONE]`) or in a dialect without terminators, or its body was one JSON object.
  public var isWhole: Bool {
    if hasWholeBody || decoder.sawTerminator { return true }
    return endedWell && isStream == true && (decoder.sawFinish || !decoder.type.promisesTerminator)
  }

  /// The final response head is known; `problem` says why where its body is not decoded.
  public mutating func begin(_ body: AnnouncedBody) {
    guard let label = body.label else { return }
    mode = .sniffing(label)
    isStream = label.isStream
    if let problem = body.problem { stop(problem) }
  }

  /// Reads the next bytes of the body, in order, in any split.
  /// - Parameter observe: called once an event of any kind, terminators and errors included; not for comments. Whatever is
  ///   observed here is of a stream.
  public mutating func feed(_ bytes: RawSpan, context: DecodingContext, _ observe: (borrowing Observation) -> Void) {
    switch mode {
    case .off: return
    case .stream: feedStream(bytes, context, observe)
    case .body: collect(bytes, context, observe)
    case .media: decoder.observeMedia(context, observe)
    case .sniffing(let label): sniff(bytes, label, context, observe)
    }
  }

  /// The body has ended.
  ///
  /// A whole body is read now. Of a last event that lacks its blank line (or a last line without its line feed), only
  /// what says how the stream ended is observed: usage, finish reason, terminator, error.
  /// - Parameter complete: whether HTTP's framing says that the body is whole.
  public mutating func finish(complete: Bool, context: DecodingContext, _ observe: (borrowing Observation) -> Void) {
    if case .sniffing(let label) = mode { sniff(RawSpan(), label, isLast: true, context, observe) }
    switch mode {
    case .off, .sniffing, .media: break
    case .stream: stream.finish(&decoder) { $0.decode(name: $1, $2, $3, context, observe) }
    case .body: finishBody(complete, context, observe)
    }
    if case .off = mode {} else { endedWell = complete }
    mode = .off
    if !collected.isEmpty { collected = [] }
  }

  private mutating func feedStream(
    _ bytes: RawSpan, _ context: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) {
    stream.feed(bytes, &decoder) { $0.decode(name: $1, $2, $3, context, observe) }
    hasPendingEvent = stream.hasPendingEvent
    if stream.hasOverlong { isTooLong = true }
  }

  // MARK: A body, or lines without their label

  private mutating func collect(
    _ bytes: RawSpan, _ context: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) {
    hasPendingEvent = false
    guard collected.count + bytes.byteCount <= limits.bodyBytes else {
      return stop("body longer than \(limits.bodyBytes) bytes", tooLong: true)
    }
    let known = collected.count
    collected.append(bytes)
    if case .open = firstLine { findFirstLine(from: known) }
    if case .ended(let end) = firstLine { findSecondLine(behind: end, known, context, observe) }
  }

  private mutating func findFirstLine(from start: Int) {
    var start = start
    while let end = unsafe collected.span.bytes.firstOffset(of: .lineFeed, from: start) {
      let (isBlank, isBraced) = unsafe Self.look(at: collected.span.bytes.extracting(0..<end))
      // White space before the first line is none.
      if isBlank {
        start = end + 1
        continue
      }
      firstLine = isBraced ? .ended(at: end) : .none
      hasPendingEvent = isBraced
      return
    }
  }

  private static func look(at line: RawSpan) -> (isBlank: Bool, isBraced: Bool) {
    (line.trimmed.isEmpty, line.isBraced)
  }

  /// An object behind a whole object is no part of it: these are lines, whatever they are called.
  private mutating func findSecondLine(
    behind end: Int, _ known: Int, _ context: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) {
    guard let next = collected[end...].firstIndex(where: { !$0.isJSONSpace }) else { return }
    firstLine = .none
    guard collected[next] == UInt8(ascii: "{") else { return }
    let first = collected[..<next]
    let rest = collected[next...]
    collected = []
    begin(.stream(.newlineDelimitedJSON))
    let line = unsafe first.span.bytes
    decoder.decode(
      name: RawSpan(), line.extracting(line.trimmed), end < known ? .endedEarlier : [], context, observe)
    unsafe feedStream(rest.span.bytes, context, observe)
  }

  private mutating func finishBody(
    _ complete: Bool, _ context: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) {
    let body = collected
    guard !body.isEmpty else { return }
    let bytes = unsafe body.span.bytes
    let mark = bytes.starts(with: "\u{FEFF}") ? 3 : 0
    hasWholeBody = decoder.decodeBody(bytes.extracting(mark..<bytes.byteCount), context, observe)
    if !hasWholeBody, complete { problem = "body is not a JSON object" }
  }

  /// Tells by a body's first bytes what it is.
  private mutating func sniff(
    _ bytes: RawSpan, _ label: BodyLabel, isLast: Bool = false, _ context: DecodingContext,
    _ observe: (borrowing Observation) -> Void
  ) {
    if collected.isEmpty, !isLast, let shape = shape(of: bytes, label, isLast: false) {
      begin(shape)
      return feed(bytes, context: context, observe)
    }
    collected.append(bytes)
    if isLast, collected.isEmpty { return }
    let first = collected
    guard let shape = unsafe shape(of: first.span.bytes, label, isLast: isLast) else { return }
    collected = []
    begin(shape)
    unsafe feed(first.span.bytes, context: context, observe)
  }

  private func shape(of bytes: RawSpan, _ label: BodyLabel, isLast: Bool) -> BodyShape? {
    BodyShape(
      firstBytes: bytes.extracting(first: Self.sniffedBytes), label, decoder.type,
      isAll: isLast || bytes.byteCount >= Self.sniffedBytes)
  }

  private mutating func begin(_ shape: BodyShape) {
    switch shape {
    case .stream(let framing):
      if framing != stream.framing { stream = EventStream(framing, limit: limits.eventBytes) }
      mode = .stream
      isStream = true
    case .text:
      mode = .body
      isStream = false
    case .media:
      mode = .media
      isStream = true
    case .other:
      isStream = nil
      stop("neither JSON nor an event stream")
    }
  }

  /// Reads nothing more: the body cannot be inflated, or not as cheaply as it has to be.
  public mutating func stop(encoding reason: String) { stop(reason, tooLong: false) }

  /// Reads nothing more. What was observed stays so.
  private mutating func stop(_ reason: String, tooLong: Bool = false) {
    mode = .off
    isTooLong = tooLong
    collected = []
    if problem == nil { problem = reason }
  }
}
