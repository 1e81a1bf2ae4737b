// How much memory one response's decoder may hold.
// It must not know whose.

/// Bounds on what is kept of one response; past them measuring stops for that response, and says so.
public struct DecoderLimits: Hashable, Sendable {
  /// The longest event or line, in bytes. Memory is only held for one that has not ended inside its read.
  public var eventBytes: Int
  /// The largest non-streamed body, in bytes.
  public var bodyBytes: Int

  /// Makes limits: by default 1 MiB an event and 4 MiB a body.
  public init(eventBytes: Int = 1 << 20, bodyBytes: Int = 4 << 20) {
    self.eventBytes = max(0, eventBytes)
    self.bodyBytes = max(0, bodyBytes)
  }
}
