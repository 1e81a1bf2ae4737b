// Running over numbers and objects of a JSON text without a parser: where they end, and where numbers stand in them.
// It must not judge what is inside an object: that is parsed by itself.

/// A whole number without sign (RFC 8259 §6).
enum WholeNumber {
  /// The length of the one that begins at `start`; 0 where there is none, or one with a leading zero, or of more than 18
  /// digits.
  static func length(_ bytes: UnsafeRawPointer, from start: Int, limit: Int) -> Int {
    var at = start
    // Eight bytes at a time, while all are digits.
    while at &+ 8 <= limit {
      let others = nonDigits(unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      at &+= others == 0 ? 8 : others.trailingZeroBitCount >> 3
      if others != 0 { break }
    }
    if at &+ 8 > limit {
      while at < limit, unsafe bytes.load(fromByteOffset: at, as: UInt8.self) &- 0x30 < 10 { at &+= 1 }
    }
    return unsafe checked(bytes, from: start, count: at &- start)
  }

  /// A word whose lowest set bit lies in the first byte (in memory order) that is no digit; zero where all are digits.
  /// Bits above the lowest one mean nothing.
  private static func nonDigits(_ word: UInt64) -> UInt64 {
    let word = UInt64(littleEndian: word)
    let ones: UInt64 = 0x0101_0101_0101_0101
    // Digits are 0x30 to 0x39: what is more than 9 after taking 0x30 away goes over 0x7F by adding 0x76.
    return (((word ^ (ones &* 0x30)) &+ (ones &* 0x76)) | word) & (ones &* 0x80)
  }

  /// The number that begins at `start`, and its length as above.
  @inline(__always)
  static func read(_ bytes: UnsafeRawPointer, from start: Int, limit: Int) -> (value: UInt64, length: Int) {
    var value: UInt64 = 0
    var at = start
    while at < limit {
      let digit = unsafe bytes.load(fromByteOffset: at, as: UInt8.self) &- 0x30
      guard digit < 10 else { break }
      // Too many digits are refused below, whatever they overflow to.
      value = value &* 10 &+ UInt64(digit)
      at &+= 1
    }
    return (value, unsafe checked(bytes, from: start, count: at &- start))
  }

  /// `count` where so many digits are one number; else 0.
  @inline(__always)
  private static func checked(_ bytes: UnsafeRawPointer, from start: Int, count: Int) -> Int {
    guard count > 0, count <= 18 else { return 0 }
    let isPadded = unsafe bytes.load(fromByteOffset: start, as: UInt8.self) == 0x30 && count > 1
    return isPadded ? 0 : count
  }

  /// The same, in a span.
  static func length(_ bytes: RawSpan, from start: Int) -> Int {
    unsafe bytes.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return 0 }
      return unsafe length(base, from: start, limit: bytes.count)
    }
  }
}

/// An object, or what looks like one.
enum ObjectScan {
  /// Where the object that begins at `start` ends, by its brackets and quotes alone; nil where it does not begin or end
  /// there, or holds a control byte (a line end would end the event's line).
  @inline(never)
  static func end(_ bytes: UnsafeRawPointer, from start: Int, limit: Int) -> Int? {
    guard start < limit, unsafe bytes.load(fromByteOffset: start, as: UInt8.self) == UInt8(ascii: "{") else {
      return nil
    }
    var depth = 0
    var at = start
    while at < limit {
      let byte = unsafe bytes.load(fromByteOffset: at, as: UInt8.self)
      at &+= 1
      switch byte {
      case 0..<0x20: return nil
      case UInt8(ascii: "\""):
        guard let string = unsafe StringScan(bytes, from: at, limit: limit) else { return nil }
        at = string.end &+ 1
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth &+= 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth &-= 1
        if depth == 0 { return at }
      default: break
      }
    }
    return nil
  }

  /// The same, in a span.
  static func end(_ bytes: RawSpan, from start: Int) -> Int? {
    unsafe bytes.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return nil }
      return unsafe end(base, from: start, limit: bytes.count)
    }
  }

  /// Where the numbers of a well-formed JSON text stand, in order, if all of them are whole numbers; else nil.
  static func wholeNumbers(_ text: RawSpan) -> [Range<Int>]? {
    var numbers: [Range<Int>] = []
    var at = 0
    while at < text.byteCount {
      switch text[at] {
      case UInt8(ascii: "\""):
        guard let string = StringScan(text, from: at + 1) else { return nil }
        at = string.end + 1
      case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
        let length = WholeNumber.length(text, from: at)
        guard length > 0, at + length < text.byteCount, !text[at + length].goesOnNumber else { return nil }
        numbers.append(at..<(at + length))
        at += length
      default: at += 1
      }
    }
    return numbers
  }
}

extension UInt8 {
  /// Whether a number whose digits end here goes on: with a fraction or an exponent.
  fileprivate var goesOnNumber: Bool { self == UInt8(ascii: ".") || self | 0x20 == UInt8(ascii: "e") }
}
