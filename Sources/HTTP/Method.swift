// The methods that are served.
// It must not know how a request is written.

/// The methods that are passed on. CONNECT is refused (405), others are not implemented (501).
public enum Method: String, CaseIterable, Sendable {
  case get = "GET"
  case head = "HEAD"
  case post = "POST"
  case put = "PUT"
  case delete = "DELETE"
  case options = "OPTIONS"
  case patch = "PATCH"
  case trace = "TRACE"

  /// Whether the method asks for nothing to be changed (RFC 9110 §9.2.1), so that it may be sent a second time.
  public var isSafe: Bool { self == .get || self == .head || self == .options || self == .trace }
}
