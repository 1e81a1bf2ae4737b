// Cutting a streamed body into events, whichever way its server frames them.

/// How a stream's bytes are cut into events.
public enum Framing: Hashable, Sendable {
  /// `text/event-stream` (WHATWG HTML §9.2.5).
  case serverSentEvents
  /// `application/x-ndjson`: one JSON text a line (ndjson-spec 1.0.0; empty lines are ignored).
  case newlineDelimitedJSON
}

/// The events of one stream: bytes in any split go in, names and payloads of whole events come out.
///
/// What lies whole inside one read is handed on where it lies; only what is unfinished is copied. Memory is bounded: past
/// the limit nothing is read any more.
struct EventStream {
  private var framing: Framing
  private var lines: JSONLines
  private var events: ServerSentEvents

  /// Makes a stream before its first byte.
  /// - Parameter limit: the most bytes that a line or an event's data may have.
  init(_ framing: Framing, limit: Int) {
    self.framing = framing
    lines = JSONLines(limit: limit)
    events = ServerSentEvents(limit: limit)
  }

  /// An event or a line was longer than the limit: nothing is read any more.
  var isOverfull: Bool { framing == .serverSentEvents ? events.isOverfull : lines.isOverfull }

  /// Reads the next bytes of the stream.
  /// - Parameter dispatch: called with each event's name (empty where it has none) and payload.
  mutating func feed<Context>(
    _ bytes: RawSpan, _ context: inout Context,
    dispatch: (inout Context, _ name: RawSpan, _ payload: RawSpan) -> Void
  ) {
    switch framing {
    case .serverSentEvents: events.feed(bytes, &context, dispatch: dispatch)
    case .newlineDelimitedJSON: lines.feed(bytes, &context) { dispatch(&$0, RawSpan(), $1) }
    }
  }

  /// The stream has ended: dispatches what stood at its end without being a whole event, and forgets it.
  mutating func finish<Context>(
    _ context: inout Context, dispatch: (inout Context, _ name: RawSpan, _ payload: RawSpan) -> Void
  ) {
    switch framing {
    case .serverSentEvents: events.finish(&context, dispatch)
    case .newlineDelimitedJSON: lines.finish(&context) { dispatch(&$0, RawSpan(), $1) }
    }
  }
}
