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

  /// Makes limits.
  public init(headBytes: Int, fieldCount: Int, targetBytes: Int, trailerBytes: Int, chunkExtensionBytes: Int) {
    self.headBytes = headBytes
    self.fieldCount = fieldCount
    self.targetBytes = targetBytes
    self.trailerBytes = trailerBytes
    self.chunkExtensionBytes = chunkExtensionBytes
  }
}
