// Finds the fields of a complete head: where each name and value is, and which names HTTP's rules depend on.
import Glibc
import HTTP

/// The fields of a head, read line by line in one pass.
@safe
struct FieldScanner {
  private(set) var list: [Field] = []
  /// One bit for each name (`Fields.bit`).
  private(set) var nameFilter: UInt64 = 0

  /// Scans a start line, field lines and the empty line behind them.
  /// - Returns: nil where a line is not a field (RFC 9112 §5), or the empty line is not at the end.
  init?(_ bytes: UnsafeBufferPointer<UInt8>) {
    guard let base = bytes.baseAddress, let start = unsafe Self.lineEnd(base, 0, bytes.count) else { return nil }
    list.reserveCapacity(16)
    var line = start + 2
    while let end = unsafe Self.lineEnd(base, line, bytes.count) {
      if end == line {
        guard end + 2 == bytes.count else { return nil }
        return
      }
      guard let colon = unsafe Self.first(ASCII.colon, base, line, end), colon > line else { return nil }
      unsafe append(base, name: line..<colon, value: colon + 1..<end)
      line = end + 2
    }
    return nil
  }

  private mutating func append(_ base: UnsafePointer<UInt8>, name: Range<Int>, value: Range<Int>) {
    var (lower, upper) = (value.lowerBound, value.upperBound)
    while lower < upper, unsafe ASCII.isBlank(base[lower]) { lower += 1 }
    while upper > lower, unsafe ASCII.isBlank(base[upper - 1]) { upper -= 1 }
    unsafe nameFilter |= Fields.bit(name.count, base[name.lowerBound])
    list.append(
      Field(name: name, value: lower..<upper, kind: unsafe FieldKind(base + name.lowerBound, count: name.count)))
  }

  /// Where the CR of a line's end is.
  private static func lineEnd(_ base: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int? {
    guard let feed = unsafe first(ASCII.lineFeed, base, start, end), feed > start,
      unsafe base[feed - 1] == ASCII.carriageReturn
    else { return nil }
    return feed - 1
  }

  private static func first(_ byte: UInt8, _ base: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int? {
    guard start < end, let place = unsafe memchr(base + start, Int32(byte), end - start) else { return nil }
    return unsafe UnsafeRawPointer(place) - UnsafeRawPointer(base)
  }
}

extension FieldKind {
  /// By the name's bytes, compared without case.
  init(_ name: UnsafePointer<UInt8>, count: Int) {
    let kind: (FieldKind, StaticString)? =
      switch count {
      case 2: (.te, "te")
      case 3: (.via, "via")
      case 4: (.host, "host")
      case 6: (.expect, "expect")
      case 7: (.upgrade, "upgrade")
      case 9: (.forwarded, "forwarded")
      case 10 where unsafe ASCII.lowercased(name[0]) == UInt8(ascii: "k"): (.keepAlive, "keep-alive")
      case 10: (.connection, "connection")
      case 14: (.contentLength, "content-length")
      case 15: (.forwardedFor, "x-forwarded-for")
      case 16: (.proxyConnection, "proxy-connection")
      case 17: (.transferEncoding, "transfer-encoding")
      default: nil
      }
    self = .other
    guard let (known, text) = kind else { return }
    for offset in 0..<count where unsafe ASCII.lowercased(name[offset]) != text.utf8Start[offset] { return }
    self = known
  }
}

extension Fields {
  /// Finds the fields of a complete head.
  /// - Returns: how many there are; nil where a line is not a field.
  mutating func split() -> Int? {
    guard let head = unsafe bytes.withUnsafeBufferPointer({ unsafe FieldScanner($0) }) else { return nil }
    list = head.list
    nameFilter = head.nameFilter
    return list.count
  }
}
