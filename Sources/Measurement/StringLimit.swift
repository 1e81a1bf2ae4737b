// The bound on the few strings of a record: names and ids, never content.

/// The bound of every stored string.
public enum StringLimit {
  /// The most UTF-8 bytes of a name, an id or a reason.
  public static let limit = 256

  /// Cuts `text` where it is too long.
  @inline(__always)
  static func cap(_ text: inout String?) {
    guard let count = text?.utf8.count, count > limit else { return }
    text = text.map(capped)
  }

  /// `text`, cut to at most `limit` bytes at a scalar's boundary.
  public static func capped(_ text: String) -> String {
    guard text.utf8.count > limit else { return text }
    let view = text.unicodeScalars
    var end = view.startIndex
    var bytes = 0
    while end < view.endIndex {
      bytes += UTF8.width(view[end])
      if bytes > limit { break }
      end = view.index(after: end)
    }
    return String(view[..<end])
  }
}
