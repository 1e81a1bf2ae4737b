// Requests that settings name by method and path.

/// Requests by their path, or its beginning, and maybe by their method.
public struct RequestPattern: Hashable, Sendable, CustomStringConvertible {
  /// As the client writes it; nil is any.
  public let method: String?
  /// Without a query; the beginning of the path where `isPrefix`.
  public let path: String
  /// Whether a longer path fits, too.
  public let isPrefix: Bool

  /// From `PATH` or `METHOD PATH`, where a `*` at the path's end stands for anything; nil where it is neither.
  public init?(_ text: String) {
    let parts = text.split(separator: " ", omittingEmptySubsequences: true)
    guard (1...2).contains(parts.count), let path = parts.last, path.hasPrefix("/") || path == "*" else { return nil }
    method = parts.count == 2 ? String(parts[0]) : nil
    isPrefix = path.hasSuffix("*")
    self.path = String(isPrefix ? path.dropLast() : path)
  }

  /// As it is written in settings.
  public var description: String { (method.map { "\($0) " } ?? "") + path + (isPrefix ? "*" : "") }

  /// Whether a request is one of these.
  public func matches(method: String, path: String) -> Bool {
    guard self.method == nil || self.method == method else { return false }
    // Bytes: paths are not compared as text.
    return isPrefix ? path.utf8.starts(with: self.path.utf8) : path.utf8.elementsEqual(self.path.utf8)
  }
}
