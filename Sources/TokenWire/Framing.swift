// How a stream's bytes are cut into events.
// It must not know what the events say.

/// The framing of a streamed response.
public enum Framing: Hashable, Sendable {
  /// `text/event-stream` (WHATWG HTML §9.2.5).
  case serverSentEvents
  /// `application/x-ndjson`: one JSON text a line (ndjson-spec 1.0.0; empty lines are ignored).
  case newlineDelimitedJSON
}
