// The methods that are served.

/// The methods that are served and forwarded.
public enum Method: String, CaseIterable, Sendable {
  case get = "GET"
  case head = "HEAD"
  case post = "POST"
  case put = "PUT"
  case delete = "DELETE"
  case options = "OPTIONS"
  case patch = "PATCH"
  case trace = "TRACE"

  /// Whether the method is safe (RFC 9110 §9.2.1), so that its request may be sent a second time.
  public var isSafe: Bool { self == .get || self == .head || self == .options || self == .trace }
}
