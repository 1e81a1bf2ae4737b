// How much memory one response's decoder may use.

/// Bounds on what is stored of one response. Past them its decoder stops, and says so.
public struct DecoderLimits: Hashable, Sendable {
  /// The longest event or line, in bytes. Memory is only used for one that does not end inside its read.
  public var eventBytes: Int
  /// The largest non-streamed body, in bytes.
  public var bodyBytes: Int

  /// Makes limits.
  public init(eventBytes: Int, bodyBytes: Int) {
    self.eventBytes = max(0, eventBytes)
    self.bodyBytes = max(0, bodyBytes)
  }
}
