// How large the parts of a message may be.

/// Sizes beyond which a message is refused.
public struct HTTPLimits: Hashable, Sendable {
  /// Largest head (start line, fields and the empty line), in bytes.
  public var headBytes: Int
  /// Most fields in a head.
  public var fieldCount: Int
  /// Longest request target, in bytes.
  public var targetBytes: Int
  /// Largest trailer section, in bytes.
  public var trailerBytes: Int
  /// Largest sum of all chunk extensions in one message, in bytes.
  public var chunkExtensionBytes: Int

  /// Makes limits; the defaults are those of the configuration.
  public init(
    headBytes: Int = 64 * 1024, fieldCount: Int = 1000, targetBytes: Int = 16 * 1024, trailerBytes: Int = 16 * 1024,
    chunkExtensionBytes: Int = 4 * 1024
  ) {
    self.headBytes = headBytes
    self.fieldCount = fieldCount
    self.targetBytes = targetBytes
    self.trailerBytes = trailerBytes
    self.chunkExtensionBytes = chunkExtensionBytes
  }
}
