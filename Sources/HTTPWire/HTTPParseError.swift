// Why a message was refused, and what a client is told of it.
// It must not quote the message.

/// What is wrong with a message: the status to answer a bad request with, and one line that names the rule.
public struct HTTPParseError: Error, Hashable, Sendable {
  /// The status for a request: 400, 405, 413, 414, 417, 431, 501, 505 or 508. A bad response is always a 502.
  public var status: Int
  /// One short line, without any byte of the message.
  public var reason: String
  /// The limit that the message went beyond; nil where something else is wrong with it.
  public var limit: HTTPLimit?

  /// Makes an error.
  public init(_ status: Int, _ reason: String, beyond limit: HTTPLimit? = nil) {
    self.status = status
    self.reason = reason
    self.limit = limit
  }
}

/// Which bound a message went beyond: one of `HTTPLimits`, or its receiver's on bodies.
public enum HTTPLimit: Hashable, Sendable {
  case head
  case fields
  case target
  case body
  case trailers
  case chunkExtensions
}

/// Sizes beyond which a message is refused.
public struct HTTPLimits: Hashable, Sendable {
  /// Largest head (start line, fields and the empty line), in bytes.
  public var headBytes: Int
  /// Most fields of a head.
  public var fieldCount: Int
  /// Longest request target, in bytes.
  public var targetBytes: Int
  /// Largest trailer section, in bytes.
  public var trailerBytes: Int
  /// All chunk extensions of one message together, in bytes.
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
