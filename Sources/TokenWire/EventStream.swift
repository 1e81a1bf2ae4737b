// Cutting a streamed body into events, whichever way its server frames them.

/// How a stream's bytes are cut into events.
public enum Framing: Hashable, Sendable {
  /// `text/event-stream` (WHATWG HTML §9.2.5).
  case serverSentEvents
  /// `application/x-ndjson`: one JSON text a line (ndjson-spec 1.0.0; empty lines are ignored).
  case newlineDelimitedJSON
  /// One JSON array that is sent piece by piece: its elements are the events.
  case jsonArray
}

/// What is special about an event.
struct EventFlags: OptionSet {
  let rawValue: UInt8
  /// It was complete with an earlier read: the one after which `EventStream.hasPendingEvent` was last true.
  static let endedEarlier = EventFlags(rawValue: 1)
  /// It was longer than its bound: what was long in it is not there.
  static let shortened = EventFlags(rawValue: 2)
  /// It stood at the stream's end without being whole.
  static let unfinished = EventFlags(rawValue: 4)
}

/// The events of one stream: bytes in any split go in, names and payloads of whole events come out.
///
/// What lies whole inside one read is handed on where it lies; only what is unfinished is copied. Memory is bounded: an event
/// beyond the limit is shortened (`EventShortener`), and one that is too long even so is passed over.
struct EventStream {
  let framing: Framing
  private var lines: JSONLines
  private var events: ServerSentEvents
  /// Made only where one is needed.
  private var elements: JSONElements?
  private let limit: Int

  /// Makes a stream before its first byte.
  /// - Parameter limit: the most bytes that a line or an event's data may have.
  init(_ framing: Framing, limit: Int) {
    self.framing = framing
    self.limit = limit
    lines = JSONLines(limit: limit)
    events = ServerSentEvents(limit: limit)
    if framing == .jsonArray { elements = JSONElements(limit: limit) }
  }

  /// Events were longer than the limit: shortened or passed over.
  var hasOverlong: Bool {
    switch framing {
    case .serverSentEvents: events.hasOverlong
    case .newlineDelimitedJSON: lines.hasOverlong
    case .jsonArray: elements?.hasOverlong ?? false
    }
  }

  /// A line of data ended in the last read, and may be a whole event: whether it is, the next line tells.
  var hasPendingEvent: Bool { framing == .serverSentEvents && events.hasPendingEvent }

  /// Reads the next bytes of the stream.
  /// - Parameter dispatch: called with each event's name (empty where it has none) and payload.
  mutating func feed<Context>(
    _ bytes: RawSpan, _ context: inout Context,
    dispatch: (inout Context, _ name: RawSpan, _ payload: RawSpan, EventFlags) -> Void
  ) {
    switch framing {
    case .serverSentEvents: events.feed(bytes, &context, dispatch: dispatch)
    case .newlineDelimitedJSON: lines.feed(bytes, &context) { dispatch(&$0, RawSpan(), $1, $2) }
    case .jsonArray: elements?.feed(bytes, &context) { dispatch(&$0, RawSpan(), $1, $2) }
    }
  }

  /// The stream has ended: dispatches what stood at its end without being a whole event, and forgets it.
  mutating func finish<Context>(
    _ context: inout Context, dispatch: (inout Context, _ name: RawSpan, _ payload: RawSpan, EventFlags) -> Void
  ) {
    switch framing {
    case .serverSentEvents: events.finish(&context, dispatch)
    case .newlineDelimitedJSON: lines.finish(&context) { dispatch(&$0, RawSpan(), $1, $2) }
    case .jsonArray: elements = nil
    }
  }
}
