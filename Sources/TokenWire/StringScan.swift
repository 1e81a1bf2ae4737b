// Running over the inside of a JSON string without a parser: where it ends and how many scalars it decodes to.
// It must accept only what the JSON parser accepts; whatever it is not sure of, it leaves to the parser.

/// The inside of a JSON string, run over in place.
struct StringScan {
  /// Where its closing quote stands.
  var end: Int
  /// Unicode scalars that it decodes to.
  var scalars: Int

  /// Runs from `start`, the byte after the opening quote.
  /// - Returns: nil where there is no closing quote before `limit`, or where anything stands that is not plain: control
  ///   bytes, ill-formed UTF-8, unknown escapes, surrogates that do not pair.
  @inline(__always)
  init?(_ bytes: UnsafeRawPointer, from start: Int, limit: Int) {
    // Most strings are plain ASCII up to their closing quote.
    let at = unsafe Self.plainEnd(bytes, from: start, limit: limit)
    if at < limit, unsafe bytes.load(fromByteOffset: at, as: UInt8.self) == UInt8(ascii: "\"") {
      end = at
      scalars = at &- start
      return
    }
    guard let scan = unsafe Self.mixed(bytes, from: start, limit: limit) else { return nil }
    self = scan
  }

  private init(end: Int, scalars: Int) {
    self.end = end
    self.scalars = scalars
  }

  /// Where plain ASCII ends, or where fewer than eight bytes are left: eight bytes at a time.
  @inline(__always)
  private static func plainEnd(_ bytes: UnsafeRawPointer, from start: Int, limit: Int) -> Int {
    var at = start
    while at &+ 8 <= limit {
      let special = specialBytes(unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      if special != 0 { return at &+ (special.trailingZeroBitCount >> 3) }
      at &+= 8
    }
    return at
  }

  /// The same, for all that may stand in a string.
  @inline(never)
  private static func mixed(_ bytes: UnsafeRawPointer, from start: Int, limit: Int) -> StringScan? {
    var at = start
    var scalars = 0
    while true {
      let plainStart = at
      at = unsafe plainEnd(bytes, from: at, limit: limit)
      scalars &+= at &- plainStart
      guard at < limit else { return nil }
      let byte = unsafe bytes.load(fromByteOffset: at, as: UInt8.self)
      if byte == UInt8(ascii: "\"") { return StringScan(end: at, scalars: scalars) }
      let length =
        byte == UInt8(ascii: "\\")
        ? unsafe escape(bytes, at, limit)
        : byte < 0x80 ? (byte < 0x20 ? 0 : 1) : unsafe multibyte(byte, bytes, at, limit)
      guard length > 0 else { return nil }
      at &+= length
      scalars &+= 1
    }
  }

  /// The same, in a span.
  init?(_ bytes: RawSpan, from start: Int) {
    let scan = unsafe bytes.withUnsafeBytes { bytes -> StringScan? in
      guard let base = bytes.baseAddress else { return nil }
      return unsafe StringScan(base, from: start, limit: bytes.count)
    }
    guard let scan else { return nil }
    self = scan
  }

  /// A word whose lowest set bit lies in the first byte (in memory order) that is not plain ASCII: a control, a quote,
  /// a backslash or one of 0x80 and above. Zero where all are plain. Bits above the lowest one mean nothing.
  private static func specialBytes(_ word: UInt64) -> UInt64 {
    let word = UInt64(littleEndian: word)
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quote = word ^ (ones &* 0x22)
    let backslash = word ^ (ones &* 0x5C)
    let control = word &- (ones &* 0x20)
    return ((quote &- ones) | (backslash &- ones) | control | word) & (ones &* 0x80)
  }

  /// The length of an escape that decodes to one scalar; 0 for anything else.
  private static func escape(_ bytes: UnsafeRawPointer, _ at: Int, _ limit: Int) -> Int {
    guard at + 1 < limit else { return 0 }
    switch unsafe bytes.load(fromByteOffset: at + 1, as: UInt8.self) {
    case UInt8(ascii: "n"), UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "t"), UInt8(ascii: "/"),
      UInt8(ascii: "r"), UInt8(ascii: "b"), UInt8(ascii: "f"):
      return 2
    case UInt8(ascii: "u"):
      guard let unit = unsafe codeUnit(bytes, at, limit) else { return 0 }
      if unit & 0xF800 != 0xD800 { return 6 }
      guard unit < 0xDC00, let low = unsafe codeUnit(bytes, at + 6, limit), low & 0xFC00 == 0xDC00 else { return 0 }
      return 12
    default: return 0
    }
  }

  /// The UTF-16 code unit of `\uXXXX` at `at`.
  private static func codeUnit(_ bytes: UnsafeRawPointer, _ at: Int, _ limit: Int) -> UInt32? {
    guard at + 6 <= limit, unsafe bytes.load(fromByteOffset: at, as: UInt8.self) == UInt8(ascii: "\\"),
      unsafe bytes.load(fromByteOffset: at + 1, as: UInt8.self) == UInt8(ascii: "u")
    else { return nil }
    var unit: UInt32 = 0
    for offset in 2..<6 {
      let byte = unsafe bytes.load(fromByteOffset: at + offset, as: UInt8.self)
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): unit = unit << 4 | UInt32(byte - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"): unit = unit << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
      case UInt8(ascii: "A")...UInt8(ascii: "F"): unit = unit << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
      default: return nil
      }
    }
    return unit
  }

  /// The length of a well-formed UTF-8 sequence that begins with `first` (Unicode 16, table 3-7); 0 for any other.
  private static func multibyte(_ first: UInt8, _ bytes: UnsafeRawPointer, _ at: Int, _ limit: Int) -> Int {
    let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
    guard first >= 0xC2, first <= 0xF4, at + length <= limit else { return 0 }
    let second = unsafe bytes.load(fromByteOffset: at + 1, as: UInt8.self)
    let lowest: UInt8 = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80
    let highest: UInt8 = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF
    guard second >= lowest, second <= highest else { return 0 }
    for offset in 2..<max(2, length)
    where unsafe bytes.load(fromByteOffset: at + offset, as: UInt8.self) & 0xC0 != 0x80 { return 0 }
    return length
  }
}
