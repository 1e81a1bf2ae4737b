// One stream's events, read by its dialect into observations. Knows nothing of how events are framed.
import JSON

/// Reads the payloads of one response. What it keeps is a few words, whatever the stream's length.
struct EventDecoder {
  private let terminator: StaticString?
  private var dialect: any Dialect
  /// Events whose payload was not JSON.
  private(set) var malformed = 0
  /// The dialect's terminator was seen.
  private(set) var sawTerminator = false
  /// A finish reason was seen.
  private(set) var sawFinish = false
  private var cached: EventCache.Stream

  /// Makes a reader for one response.
  init(_ dialect: any Dialect.Type) {
    terminator = dialect.terminator
    cached = EventCache.Stream(dialect)
    self.dialect = dialect.init()
  }

  /// Reads one whole event.
  /// - Parameter observe: called once.
  mutating func decode(
    name: RawSpan, _ payload: RawSpan, _ context: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) {
    if let terminator, payload.equals(terminator) {
      sawTerminator = true
      return observe(context.end)
    }
    if name.isEmpty {
      var finishes = false
      let isKnown = context.cache.observe(payload, of: &cached) { observation in
        finishes = observation.finishReason != nil
        observe(observation)
      }
      if finishes { sawFinish = true }
      if isKnown { return }
    }
    context.withObservation { observation in
      if !read(name, payload, context, into: &observation, isWhole: true) { malformed += 1 }
      noteEnd(observation)
      observe(observation)
    }
  }

  /// Reads what stood at the stream's end without its line end. It is no event, but may say how the stream ended.
  mutating func decodeUnfinished(
    name: RawSpan, _ payload: RawSpan, _ context: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) {
    context.withObservation { observation in
      guard read(name, payload, context, into: &observation, isWhole: false) else { return }
      observation.outputs.removeAll(keepingCapacity: true)
      observation.silentChoices.removeAll(keepingCapacity: true)
      guard observation.saysHowItEnded else { return }
      noteEnd(observation)
      observe(observation)
    }
  }

  /// Reads a whole, non-streamed body.
  /// - Returns: whether it was one JSON object.
  mutating func decodeBody(
    _ body: RawSpan, _ context: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) -> Bool {
    var isObject = false
    context.withObservation { observation in
      context.json.parse(body) { root in
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
    _ name: RawSpan, _ payload: RawSpan, _ context: DecodingContext, into observation: inout Observation, isWhole: Bool
  ) -> Bool {
    let parsed: Void? = context.json.parse(payload) { root in
      guard root.isObject else { return }
      dialect.readEvent(name: name, root, into: &observation)
      if isWhole, name.isEmpty { context.cache.insert(payload, root, context.json, of: &cached, observation) }
    }
    if parsed != nil { return true }
    let word = payload.extracting(payload.trimmed)
    if let terminator, word.equals(terminator) {
      observation.isTerminator = true
      return true
    }
    return word.isEmpty
  }

  private mutating func noteEnd(_ observation: borrowing Observation) {
    if observation.isTerminator { sawTerminator = true }
    if observation.finishReason != nil { sawFinish = true }
  }
}

extension Observation {
  /// Whether this says anything that still counts after a stream has ended.
  fileprivate var saysHowItEnded: Bool {
    usage != nil || serverCounts != nil || serverDurations != nil || finishReason != nil || errorKind != nil
      || isTerminator
  }
}
