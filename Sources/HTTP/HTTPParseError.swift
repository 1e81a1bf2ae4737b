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
