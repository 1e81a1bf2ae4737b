// Searching and comparing spans of bytes.
import Glibc

extension RawSpan {
  /// The offset of the first `byte` at or after `start`, or nil; by memchr.
  @inline(__always)
  func firstOffset(of byte: UInt8, from start: Int) -> Int? {
    unsafe withUnsafeBytes { bytes in
      guard start < bytes.count, let base = bytes.baseAddress,
        let found = unsafe memchr(base + start, Int32(byte), bytes.count - start)
      else { return nil }
      return unsafe UnsafeRawPointer(found) - base
    }
  }

  /// Whether this begins with `word`.
  @inline(__always)
  func starts(with word: StaticString) -> Bool {
    unsafe withUnsafeBytes { bytes in
      guard bytes.count >= word.utf8CodeUnitCount, let base = bytes.baseAddress else {
        return word.utf8CodeUnitCount == 0
      }
      return unsafe memcmp(base, word.utf8Start, word.utf8CodeUnitCount) == 0
    }
  }

  /// Whether this is `word`.
  @inline(__always)
  func equals(_ word: StaticString) -> Bool { byteCount == word.utf8CodeUnitCount && starts(with: word) }

  /// Whether this is `word`, whatever the case of its ASCII letters.
  func equalsWord(_ word: StaticString) -> Bool {
    guard byteCount == word.utf8CodeUnitCount else { return false }
    for offset in 0..<byteCount where unsafe self[offset] | 0x20 != word.utf8Start[offset] | 0x20 { return false }
    return true
  }

  /// Whether a field of an event stream begins here; nil where more bytes are needed to know it.
  var startsEventField: Bool? {
    var isOpen = false
    for field: StaticString in ["data:", "event:", "id:", "retry:", "error:", ":"] {
      if starts(with: field) { return true }
      if isPrefix(of: field) { isOpen = true }
    }
    return isOpen ? nil : false
  }

  /// Whether `word` begins with these bytes.
  func isPrefix(of word: StaticString) -> Bool {
    guard byteCount <= word.utf8CodeUnitCount else { return false }
    for offset in 0..<byteCount where unsafe self[offset] != word.utf8Start[offset] { return false }
    return true
  }

  /// The byte at `offset`.
  subscript(_ offset: Int) -> UInt8 { unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self) }

  /// Whether this begins and ends as an object does.
  var isBraced: Bool {
    let range = trimmed
    return range.count >= 2 && self[range.lowerBound] == UInt8(ascii: "{")
      && self[range.upperBound - 1] == UInt8(ascii: "}")
  }

  /// The range of this without the JSON white space at its ends.
  var trimmed: Range<Int> {
    var start = 0
    var end = byteCount
    while start < end, self[start].isJSONSpace { start += 1 }
    while end > start, self[end - 1].isJSONSpace { end -= 1 }
    return start..<end
  }
}

extension UInt8 {
  static let lineFeed: UInt8 = 0x0A
  static let carriageReturn: UInt8 = 0x0D

  /// White space by RFC 8259 §2.
  var isJSONSpace: Bool { self == 0x20 || self == 0x0A || self == 0x0D || self == 0x09 }
}

extension [UInt8] {
  /// Appends the bytes of a span.
  mutating func append(_ bytes: RawSpan) {
    unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
  }

  /// Removes the bytes, and frees the memory where it is more than an idle stream should have.
  mutating func clear() {
    if capacity > 512 { self = [] } else { removeAll(keepingCapacity: true) }
  }
}
