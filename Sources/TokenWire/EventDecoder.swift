// One stream's events, read by its dialect into observations. Knows nothing of how events are framed.
import JSON

/// Reads the payloads of one response. What it keeps is a few words, whatever the stream's length.
struct EventDecoder {
  /// What is read; another one once the first event has shown whose format it is, where the request did not.
  private(set) var type: any Dialect.Type
  private var terminator: StaticString?
  private var dialect: any Dialect
  /// Events whose payload was not JSON.
  private(set) var malformed = 0
  /// The dialect's terminator was seen.
  private(set) var sawTerminator = false
  /// A finish reason was seen.
  private(set) var sawFinish = false
  /// Output stood in an event where the answer's pieces stand.
  private var sawDelta = false
  /// The answer's own id, once an event or the body has named it.
  private(set) var responseID: String?
  /// Events in which it is still looked for.
  private var idTries = 4
  /// Neither the request nor an event has shown the dialect.
  private(set) var isUndecided: Bool
  /// Events whose shape has been looked at: a stream that has shown none for long is nobody's.
  private var shapesTried = 0
  private var cached: EventCache.Stream

  /// Makes a reader for one response.
  /// - Parameter isSettled: whether it can be no other dialect's.
  init(_ dialect: any Dialect.Type, isSettled: Bool) {
    type = dialect
    terminator = dialect.terminator
    isUndecided = !isSettled
    cached = EventCache.Stream(dialect)
    self.dialect = dialect.init()
  }

  /// Reads one whole event.
  /// - Parameter observe: called once.
  mutating func decode(
    name: RawSpan, _ payload: RawSpan, _ flags: EventFlags, _ context: DecodingContext,
    _ observe: (borrowing Observation) -> Void
  ) {
    if flags.contains(.unfinished) { return decodeUnfinished(name: name, payload, context, observe) }
    if let terminator, payload.equals(terminator) {
      sawTerminator = true
      return observe(context.end)
    }
    if idTries > 0 { findID(payload, context) }
    // An event that is called an error is one, whatever its dialect reads of it.
    let isPlain = flags.isEmpty && !name.equals("error")
    if isPlain {
      var finishes = false
      var hasOutput = false
      let isKnown = context.cache.observe(name: name, payload, of: &cached) { observation in
        finishes = observation.finishReason != nil
        hasOutput = !observation.outputs.isEmpty
        observe(observation)
      }
      if finishes { sawFinish = true }
      if hasOutput { sawDelta = true }
      if isKnown { return }
    }
    context.withObservation { observation in
      observation.endedEarlier = flags.contains(.endedEarlier)
      observation.isShortened = flags.contains(.shortened)
      if !read(name, payload, context, into: &observation, isPlain: isPlain) { malformed += 1 }
      noteOutput(&observation)
      noteEnd(observation)
      observe(observation)
    }
  }

  /// Reads what stood at the stream's end without its line end. It is no event, but may say how the stream ended.
  private mutating func decodeUnfinished(
    name: RawSpan, _ payload: RawSpan, _ context: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) {
    context.withObservation { observation in
      guard read(name, payload, context, into: &observation, isPlain: false) else { return }
      observation.outputs.removeAll(keepingCapacity: true)
      observation.silentChoices.removeAll(keepingCapacity: true)
      guard observation.saysHowItEnded else { return }
      noteEnd(observation)
      observe(observation)
    }
  }

  /// Notes that a piece of sound or of a picture has come.
  func observeMedia(_ context: DecodingContext, _ observe: (borrowing Observation) -> Void) {
    context.withObservation { observation in
      observation.isMedia = true
      observe(observation)
    }
  }

  /// Reads a whole, non-streamed body: one JSON object, or a list of objects, one for each prompt of a batch. Behind it there may
  /// be events.
  /// - Returns: whether it was one.
  mutating func decodeBody(
    _ body: RawSpan, _ context: DecodingContext, _ observe: (borrowing Observation) -> Void
  ) -> Bool {
    var isObject = false
    context.withObservation { observation in
      context.json.parseFirst(body) { root, end in
        let object = root.firstElement ?? root
        guard object.isObject, Self.isTail(body.extracting(end..<body.byteCount)) else { return }
        isObject = root.isArray ? root.areElementsObjects : true
        guard isObject else { return }
        responseID = object.responseID
        if isUndecided { decide(by: object) }
        if root.isArray { readList(root, into: &observation) } else { dialect.readBody(object, into: &observation) }
      }
      if isObject { observe(observation) }
    }
    return isObject
  }

  /// Reads a list of answers, each by itself.
  private mutating func readList(_ list: JSONValue, into observation: inout Observation) {
    var count = 0
    var sum = ListObservation()
    list.forEachElement { answer in
      observation.reset()
      // What an answer means does not depend on the others.
      dialect = type.init()
      dialect.readBody(answer, into: &observation)
      sum.add(observation, isFirst: count == 0)
      count += 1
    }
    if count > 1 { observation = sum.observation }
  }

  /// Whether what stands behind a body is nothing, or what a stream ends with.
  private static func isTail(_ rest: RawSpan) -> Bool {
    let tail = rest.extracting(rest.trimmed)
    return tail.isEmpty || tail.startsEventField == true
  }

  /// Looks for the answer's id, apart from all else: what is read of an event for it must not make the event another one for
  /// the cache.
  private mutating func findID(_ payload: RawSpan, _ context: DecodingContext) {
    idTries -= 1
    responseID = payload.plainID
    if responseID == nil { context.json.parse(payload) { responseID = $0.responseID } }
    if responseID != nil { idTries = 0 }
  }

  /// - Returns: whether the payload was one that the stream may send: JSON, the terminator, or nothing at all.
  private mutating func read(
    _ name: RawSpan, _ payload: RawSpan, _ context: DecodingContext, into observation: inout Observation,
    isPlain: Bool
  ) -> Bool {
    let parsed: Bool? = context.json.parse(payload, isLenient: true) { root in
      guard root.isObject else {
        observation.isOfUnknownDialect = isUndecided
        return isTerminator(root)
      }
      if isUndecided { decide(by: root) }
      dialect.readEvent(name: name, root, into: &observation)
      if !name.isEmpty, name.equals("error") { noteErrorEvent(root, &observation) }
      if isPlain { context.cache.insert(name: name, payload, root, of: &cached, observation) }
      return false
    }
    if let parsed {
      if parsed { observation.isTerminator = true }
      return true
    }
    let word = payload.extracting(payload.trimmed)
    if let terminator, word.equalsWord(terminator) {
      observation.isTerminator = true
      return true
    }
    if name.equals("error") {
      observation.errorKind = "error"
      return true
    }
    // Nobody knows what the events of an unknown dialect are.
    observation.isOfUnknownDialect = isUndecided
    return word.isEmpty || isUndecided
  }

  /// Some quote it.
  private func isTerminator(_ root: JSONValue) -> Bool { terminator.map { root.equals($0) } ?? false }

  /// An event that is called an error is one, whatever is in it, and bears no token.
  private func noteErrorEvent(_ root: JSONValue, _ observation: inout Observation) {
    if observation.errorKind == nil { observation.errorKind = ErrorReport.kind(ofErrorEvent: root) }
    observation.silenceOutputs { _ in true }
  }

  /// Finds whose format an event or a body has.
  private mutating func decide(by root: JSONValue) {
    guard shapesTried < 16 else { return }
    shapesTried += 1
    guard let found = Dialects.recognizing(root) else { return }
    isUndecided = false
    guard found != type else { return }
    type = found
    terminator = found.terminator
    cached = EventCache.Stream(found)
    dialect = found.init()
  }

  private mutating func noteOutput(_ observation: inout Observation) {
    guard !observation.outputs.isEmpty else { return }
    if !observation.isWholeMessage {
      sawDelta = true
    } else if sawDelta {
      observation.silenceOutputs { _ in true }
    }
  }

  private mutating func noteEnd(_ observation: borrowing Observation) {
    if observation.isTerminator { sawTerminator = true }
    if observation.finishReason != nil { sawFinish = true }
  }
}

extension RawSpan {
  /// The answer's id, where it can be read without a parser: it is plain ASCII, no other `id` follows, and no object or list
  /// begins before it, so that it is the event's own.
  fileprivate var plainID: String? {
    guard starts(with: "{"), let place = offsetOfID(from: 1) else { return nil }
    let value = extracting(place..<byteCount)
    guard value.starts(with: "\"id\":\""), let length = value.firstOffset(of: UInt8(ascii: "\""), from: 6) else {
      return nil
    }
    let id = value.extracting(6..<length)
    guard 1...longestName ~= id.byteCount, value.offsetOfID(from: length) == nil else { return nil }
    for offset in 1..<place where self[offset] == UInt8(ascii: "{") || self[offset] == UInt8(ascii: "[") { return nil }
    for offset in 0..<id.byteCount where !(0x20..<0x7F ~= id[offset]) || id[offset] == UInt8(ascii: "\\") { return nil }
    return unsafe id.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
  }

  /// Where the text `"id"` stands at or behind `start`; by its `d`, which is rarer than a quote.
  private func offsetOfID(from start: Int) -> Int? {
    var start = start + 2
    while let place = firstOffset(of: UInt8(ascii: "d"), from: start) {
      if extracting(place - 2..<byteCount).starts(with: "\"id\"") { return place - 2 }
      start = place + 1
    }
    return nil
  }
}

extension JSONValue {
  /// Whether a list holds nothing but objects.
  fileprivate var areElementsObjects: Bool {
    var areObjects = true
    forEachElement { if !$0.isObject { areObjects = false } }
    return areObjects
  }

  /// The id of an answer, where the dialects have it.
  fileprivate var responseID: String? {
    self["id"]?.name ?? self["response"]?["id"]?.name ?? self["message"]?["id"]?.name ?? self["responseId"]?.name
      ?? self["meta_info"]?["id"]?.name ?? self["request_id"]?.name
  }
}

extension Observation {
  /// Whether this says anything that still counts after a stream has ended.
  fileprivate var saysHowItEnded: Bool {
    usage != nil || serverCounts != nil || serverDurations != nil || finishReason != nil || errorKind != nil
      || isTerminator
  }
}
