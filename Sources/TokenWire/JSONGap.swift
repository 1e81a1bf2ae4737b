// Passing over a string or a number in a JSON text without a parser.

/// Passing over a string or a number without a parser: accepts only what the parser accepts, and not all of that.
enum JSONGap {
  /// Where the string whose inside begins at `start` ends (its closing quote), and how many scalars it decodes to; nil
  /// where it is none, or has half of a pair in it (`\ud83d`).
  @inline(__always)
  static func string(_ bytes: UnsafeRawPointer, from start: Int, _ limit: Int) -> (end: Int, scalars: Int)? {
    // Most strings are printable ASCII up to their closing quote.
    let end = unsafe plainEnd(bytes, from: start, limit)
    if end < limit, unsafe bytes.load(fromByteOffset: end, as: UInt8.self) == UInt8(ascii: "\"") {
      return (end, end &- start)
    }
    return unsafe mixedString(bytes, from: start, limit)
  }

  @inline(never)
  private static func mixedString(
    _ bytes: UnsafeRawPointer, from start: Int, _ limit: Int
  ) -> (end: Int, scalars: Int)? {
    var at = start
    var scalars = 0
    var isASCII = true
    while true {
      let plain = unsafe plainEnd(bytes, from: at, limit)
      scalars &+= plain &- at
      at = plain
      guard at < limit else { return nil }
      let byte = unsafe bytes.load(fromByteOffset: at, as: UInt8.self)
      switch byte {
      case UInt8(ascii: "\""):
        guard isASCII || (unsafe isUTF8(bytes + start, at &- start)) else { return nil }
        return (at, scalars)
      case UInt8(ascii: "\\"):
        guard let length = unsafe escapeLength(bytes, at, limit) else { return nil }
        at &+= length
        scalars &+= 1
      case 0..<0x20: return nil
      default:
        isASCII = isASCII && byte < 0x80
        at &+= 1
        if byte & 0xC0 != 0x80 { scalars &+= 1 }
      }
    }
  }

  /// How long the escape at `at` is; nil where it is none, or half of a pair.
  private static func escapeLength(_ bytes: UnsafeRawPointer, _ at: Int, _ limit: Int) -> Int? {
    func byte(_ offset: Int) -> UInt8 { unsafe bytes.load(fromByteOffset: at &+ offset, as: UInt8.self) }
    guard at &+ 1 < limit else { return nil }
    if byte(1).isShortEscape { return 2 }
    guard byte(1) == UInt8(ascii: "u"), at &+ 6 <= limit else { return nil }
    var unit: UInt16 = 0
    for offset in 2..<6 {
      guard let digit = byte(offset).hexDigit else { return nil }
      unit = unit << 4 | UInt16(digit)
    }
    return unit & 0xF800 == 0xD800 ? nil : 6
  }

  private static func isUTF8(_ start: UnsafeRawPointer, _ count: Int) -> Bool {
    let bytes = unsafe Span<UInt8>(_unsafeStart: start.assumingMemoryBound(to: UInt8.self), count: count)
    return (try? UTF8Span(validating: bytes)) != nil
  }

  /// Where printable ASCII ends, or where fewer than eight bytes are left.
  @inline(__always)
  private static func plainEnd(_ bytes: UnsafeRawPointer, from start: Int, _ limit: Int) -> Int {
    var at = start
    while at &+ 8 <= limit {
      let special = specialBytes(unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      if special != 0 { return at &+ (special.trailingZeroBitCount &>> 3) }
      at &+= 8
    }
    return at
  }

  /// A word whose lowest set bit lies in the first byte (in memory order) that is a control, a quote, a backslash or one of
  /// 0x80 and above; zero where there is none. Bits above the lowest one mean nothing.
  private static func specialBytes(_ word: UInt64) -> UInt64 {
    let word = UInt64(littleEndian: word)
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quote = word ^ (ones &* 0x22)
    let backslash = word ^ (ones &* 0x5C)
    let control = word &- (ones &* 0x20)
    return ((quote &- ones) | (backslash &- ones) | control | word) & (ones &* 0x80)
  }

  /// Where the number that begins at `start` ends; 0 where there is none, or one with an exponent that is not negative or
  /// more than 18 digits before its point (RFC 8259 §6).
  @inline(__always)
  static func numberEnd(_ bytes: UnsafeRawPointer, from start: Int, _ limit: Int) -> Int {
    func byte(_ at: Int) -> UInt8 { at < limit ? unsafe bytes.load(fromByteOffset: at, as: UInt8.self) : 0 }
    var at = byte(start) == UInt8(ascii: "-") ? start &+ 1 : start
    let whole = at
    while byte(at) &- 0x30 < 10 { at &+= 1 }
    guard 1...18 ~= at &- whole, byte(whole) != 0x30 || at &- whole == 1 else { return 0 }
    if byte(at) == UInt8(ascii: ".") {
      let fraction = at &+ 1
      at = fraction
      while byte(at) &- 0x30 < 10 { at &+= 1 }
      guard at > fraction else { return 0 }
    }
    guard byte(at) | 0x20 == UInt8(ascii: "e") else { return at }
    // A negative exponent can make no number too large.
    guard byte(at &+ 1) == UInt8(ascii: "-") else { return 0 }
    let exponent = at &+ 2
    at = exponent
    while byte(at) &- 0x30 < 10 { at &+= 1 }
    return at > exponent ? at : 0
  }
}

extension UInt8 {
  /// The value of a hexadecimal digit.
  fileprivate var hexDigit: UInt8? {
    switch self {
    case 0x30...0x39: self & 0x0F
    case 0x41...0x46, 0x61...0x66: (self & 0x0F) + 9
    default: nil
    }
  }

  /// Whether a backslash and this decode to one scalar.
  fileprivate var isShortEscape: Bool {
    switch self {
    case UInt8(ascii: "n"), UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "t"), UInt8(ascii: "/"),
      UInt8(ascii: "r"),
      UInt8(ascii: "b"), UInt8(ascii: "f"):
      true
    default: false
    }
  }
}
