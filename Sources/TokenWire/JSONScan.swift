// Running over a JSON text without a parser, in place.
// It must accept only what the JSON parser accepts; whatever it is not sure of, it leaves to the parser.
import Glibc

/// A cursor over the bytes of a JSON text. Each step says whether it was taken; after one that was not, the cursor is of
/// no use.
@safe
struct JSONScan {
  private let bytes: UnsafeRawPointer
  private let limit: Int
  private(set) var at = 0

  /// Begins before the first of `count` bytes.
  init(_ bytes: UnsafeRawPointer, count: Int) {
    unsafe self.bytes = unsafe bytes
    limit = count
  }

  /// Whether all bytes have been run over.
  var isAtEnd: Bool { at >= limit }

  /// The byte that stands next; 0 at the end.
  @inline(__always)
  var next: UInt8 { at < limit ? unsafe bytes.load(fromByteOffset: at, as: UInt8.self) : 0 }

  /// Runs over white space.
  @inline(__always)
  mutating func space() {
    while next <= 0x20, next.isJSONSpace { at &+= 1 }
  }

  /// Runs over `byte`, which is not 0, if it stands next.
  @inline(__always)
  mutating func take(_ byte: UInt8) -> Bool {
    guard next == byte else { return false }
    at &+= 1
    return true
  }

  /// Runs over a string.
  /// - Returns: where its inside stands, and whether that is plain ASCII, which is what it decodes to.
  @inline(__always)
  mutating func string() -> (inside: Range<Int>, isPlain: Bool)? {
    let start = at &+ 1
    guard take(UInt8(ascii: "\"")), let string = unsafe StringScan(bytes, from: start, limit: limit) else { return nil }
    at = string.end &+ 1
    return (unsafe Range(uncheckedBounds: (start, string.end)), string.scalars == string.end &- start)
  }

  /// Runs over a value and all that is in it.
  mutating func value() -> Bool {
    // One bit for each object (1) or array (0) that is open, the innermost lowest.
    var open: UInt64 = 0
    var depth = 0
    while true {
      switch next {
      case UInt8(ascii: "{"):
        at &+= 1
        space()
        if !take(UInt8(ascii: "}")) {
          guard depth < 64, key() else { return false }
          depth &+= 1
          open = open << 1 | 1
          continue
        }
      case UInt8(ascii: "["):
        at &+= 1
        space()
        if !take(UInt8(ascii: "]")) {
          guard depth < 64 else { return false }
          depth &+= 1
          open <<= 1
          continue
        }
      case UInt8(ascii: "\""): guard string() != nil else { return false }
      case UInt8(ascii: "t"): guard word("true") else { return false }
      case UInt8(ascii: "f"): guard word("false") else { return false }
      case UInt8(ascii: "n"): guard word("null") else { return false }
      default: guard number() else { return false }
      }
      // The value has ended, and perhaps those that it ends.
      while true {
        if depth == 0 { return true }
        space()
        if take(UInt8(ascii: ",")) {
          space()
          guard open & 1 == 0 || key() else { return false }
          break
        }
        guard take(open & 1 == 1 ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { return false }
        open >>= 1
        depth &-= 1
      }
    }
  }

  @inline(__always)
  private mutating func key() -> Bool {
    guard string() != nil, colon() else { return false }
    return true
  }

  /// Runs over what stands between a key and its value.
  @inline(__always)
  mutating func colon() -> Bool {
    space()
    guard take(UInt8(ascii: ":")) else { return false }
    space()
    return true
  }

  /// Runs over `word`, if it stands next.
  @inline(__always)
  mutating func word(_ word: StaticString) -> Bool {
    let count = word.utf8CodeUnitCount
    guard limit &- at >= count, unsafe memcmp(bytes + at, word.utf8Start, count) == 0 else { return false }
    at &+= count
    return true
  }

  /// Runs over a number without an exponent and of few digits, which no parser can find too large.
  private mutating func number() -> Bool {
    _ = take(UInt8(ascii: "-"))
    let whole = unsafe WholeNumber.read(bytes, from: at, limit: limit).length
    guard whole > 0 else { return false }
    at &+= whole
    if take(UInt8(ascii: ".")) {
      let start = at
      while next &- 0x30 < 10 { at &+= 1 }
      guard at > start, at &- start <= 18 else { return false }
    }
    return next | 0x20 != UInt8(ascii: "e")
  }
}
