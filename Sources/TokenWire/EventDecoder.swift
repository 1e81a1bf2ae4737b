// One stream's events, read by its dialect into observations; what is remembered of a stream stands here.
// It must not know how events are framed.
import JSON

/// Reads payloads of one stream. What it keeps is a few words, whatever the stream's length.
struct EventDecoder {
  /// The line end that makes a skimmed event whole.
  enum Ending {
    /// A line end and a blank line.
    case blankLine
    case lineEnd
  }

  private let type: any Dialect.Type
  private var dialect: any Dialect
  /// Events whose payload was not JSON.
  private(set) var malformed = 0
  /// The dialect's terminator was seen.
  private(set) var sawTerminator = false
  /// A finish reason was seen.
  private(set) var sawFinish = false
  // What an event known by heart touches stands last: see ResponseDecoder.
  private let identity: ObjectIdentifier
  /// The template of this stream's last event, where that was known by heart.
  private var lastTemplate = -1

  /// Makes a reader for one response.
  init(_ type: any Dialect.Type) {
    self.type = type
    identity = ObjectIdentifier(type)
    dialect = type.init()
  }

  /// Deals with an event at the front of `rest` if it is one that is expected and known by heart, or the terminator.
  /// - Returns: its bytes, line ends included; 0 where it is neither.
  mutating func matchCached(
    _ rest: RawSpan, _ ending: Ending, _ parser: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) -> Int {
    let known = parser.templates.observeExpected(
      rest, identity, after: &lastTemplate, ending: { Self.endLength(rest, $0, ending) }, observe)
    guard let known else { return matchTerminator(rest, ending, parser, observe) }
    if known.finishes { sawFinish = true }
    return known.length
  }

  private mutating func matchTerminator(
    _ rest: RawSpan, _ ending: Ending, _ parser: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) -> Int {
    guard !rest.isEmpty, rest[0] != UInt8(ascii: "{"), let terminator = type.terminator,
      rest.starts(with: terminator)
    else { return 0 }
    let end = Self.endLength(rest, terminator.utf8CodeUnitCount, ending)
    guard end > 0 else { return 0 }
    sawTerminator = true
    observe(parser.end)
    return terminator.utf8CodeUnitCount + end
  }

  /// Reads one whole event.
  mutating func take(
    _ name: RawSpan, _ payload: RawSpan, _ parser: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) {
    if let terminator = type.terminator, payload.equals(terminator) {
      sawTerminator = true
      return observe(parser.end)
    }
    if name.isEmpty,
      let finishes = parser.templates.observeAny(payload, identity, after: &lastTemplate, observe)
    {
      if finishes { sawFinish = true }
      return
    }
    parser.withObservation { observation in
      if !read(name, payload, parser, learns: true, into: &observation) { malformed += 1 }
      note(observation)
      observe(observation)
    }
  }

  /// Reads what stood at the stream's end without its line end: no event, but it may say how the stream ended.
  mutating func takeUnfinished(
    _ name: RawSpan, _ payload: RawSpan, _ parser: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) {
    parser.withObservation { observation in
      guard read(name, payload, parser, learns: false, into: &observation) else { return }
      observation.outputs.removeAll(keepingCapacity: true)
      observation.silentChoices.removeAll(keepingCapacity: true)
      guard observation.saysHowItEnded else { return }
      note(observation)
      observe(observation)
    }
  }

  /// Reads a whole, non-streamed body.
  /// - Returns: whether it was one JSON object.
  mutating func takeBody(
    _ body: RawSpan, _ parser: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) -> Bool {
    var isObject = false
    parser.withObservation { observation in
      parser.json.parse(body) { root in
        guard root.isObject else { return }
        isObject = true
        dialect.readBody(root, into: &observation)
      }
      if isObject { observe(observation) }
    }
    return isObject
  }

  /// - Returns: whether the payload was one that the stream may send: JSON, the terminator, or nothing at all.
  private mutating func read(
    _ name: RawSpan, _ payload: RawSpan, _ parser: DecodingContext, learns: Bool, into observation: inout Observation
  ) -> Bool {
    let parsed: Bool? = parser.json.parse(payload) { root in
      guard root.isObject else { return true }
      dialect.readEvent(name: name, root, into: &observation)
      if learns, name.isEmpty { parser.templates.insert(payload, root, type, observation) }
      return true
    }
    if parsed != nil { return true }
    let word = payload.extracting(payload.trimmed)
    if let terminator = type.terminator, word.equals(terminator) {
      observation.isTerminator = true
      return true
    }
    return word.isEmpty
  }

  private mutating func note(_ observation: borrowing Observation) {
    if observation.isTerminator { sawTerminator = true }
    if observation.finishReason != nil { sawFinish = true }
  }

  /// The length of the ending that stands at `at`, or 0: only the two that servers write, LF and CRLF.
  @inline(__always)
  private static func endLength(_ rest: RawSpan, _ at: Int, _ ending: Ending) -> Int {
    let left = rest.byteCount &- at
    guard left > 0 else { return 0 }
    if rest[at] == .lineFeed {
      if ending == .lineEnd { return 1 }
      return left > 1 && rest[at &+ 1] == .lineFeed ? 2 : 0
    }
    guard left > 1, rest[at] == .carriageReturn, rest[at &+ 1] == .lineFeed else { return 0 }
    if ending == .lineEnd { return 2 }
    return left > 3 && rest[at &+ 2] == .carriageReturn && rest[at &+ 3] == .lineFeed ? 4 : 0
  }
}

extension Observation {
  /// Whether this says anything that still counts after a stream has ended.
  fileprivate var saysHowItEnded: Bool {
    usage != nil || serverCounts != nil || serverDurations != nil || finishReason != nil || errorKind != nil
      || isTerminator
  }
}
