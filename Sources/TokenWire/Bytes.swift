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

  /// The byte at `offset`.
  subscript(_ offset: Int) -> UInt8 { unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self) }

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
