// The methods that are forwarded: those that llhttp knows, which are IANA's but CONNECT and PRI.

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
  /// A safe request with a body (the QUERY method of the HTTP working group).
  case query = "QUERY"

  // WebDAV and what extends it: RFC 4918, 3253, 3744, 4791, 5323, 5842.
  case acl = "ACL"
  case bind = "BIND"
  case checkout = "CHECKOUT"
  case copy = "COPY"
  case lock = "LOCK"
  case merge = "MERGE"
  case makeActivity = "MKACTIVITY"
  case makeCalendar = "MKCALENDAR"
  case makeCollection = "MKCOL"
  case move = "MOVE"
  case propertyFind = "PROPFIND"
  case propertyPatch = "PROPPATCH"
  case rebind = "REBIND"
  case report = "REPORT"
  case search = "SEARCH"
  case unbind = "UNBIND"
  case unlock = "UNLOCK"

  // Others that are in use: RFC 2068 (links), caches, UPnP, Icecast.
  case link = "LINK"
  case unlink = "UNLINK"
  case purge = "PURGE"
  case multicastSearch = "M-SEARCH"
  case notify = "NOTIFY"
  case subscribe = "SUBSCRIBE"
  case unsubscribe = "UNSUBSCRIBE"
  case source = "SOURCE"

  /// Whether a request may be sent a second time: the method is safe (RFC 9110 §9.2.1), and every server knows that it is.
  public var isSafe: Bool { self == .get || self == .head || self == .options || self == .trace }
}
