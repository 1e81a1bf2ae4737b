// Small questions asked of spans of bytes: where a byte stands, whether a span begins with or is a word.
// It must not know what the bytes are for.
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

  /// Where this is more than the JSON white space at its ends.
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

  /// Forgets the bytes, and the memory too where it is more than an idle stream should hold.
  mutating func clear() {
    if capacity > 512 { self = [] } else { removeAll(keepingCapacity: true) }
  }
}
