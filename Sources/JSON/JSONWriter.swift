// JSON text, written value by value into one buffer that is re-used.
// It must not know what the values mean; whoever writes sees to it that commas and brackets match.

/// A growing buffer of bytes with the few writers that a line of JSON needs. It keeps its memory from text to text.
///
/// Its writers are inlined where they are called: a record is a hundred short writes, most of them of a literal whose
/// length the compiler then knows.
@safe
@frozen
public struct JSONWriter: ~Copyable {
  @usableFromInline
  var memory: UnsafeMutablePointer<UInt8>
  @usableFromInline
  var capacity: Int
  @usableFromInline
  var written = 0
  /// The decimal written last, and where it lies: several times of one record are often the same.
  @usableFromInline
  var decimalBits: UInt64 = 0
  @usableFromInline
  var decimalPlace = 0
  /// 0: none was written.
  @usableFromInline
  var decimalLength = 0
  /// The second of the timestamp written last, and where that lies: many records are of one second.
  @usableFromInline
  var second: Int64?
  @usableFromInline
  var secondPlace = 0

  /// Bytes written.
  @inlinable
  public var count: Int { written }

  /// Makes a writer with room for `capacity` bytes; it grows by doubling.
  public init(capacity: Int = 4_096) {
    self.capacity = max(capacity, 64)
    unsafe memory = .allocate(capacity: self.capacity)
  }

  deinit { unsafe memory.deallocate() }

  /// Forgets what was written; gives back memory beyond `bytes`.
  public mutating func removeAll(keeping bytes: Int = .max) {
    written = 0
    decimalLength = 0
    second = nil
    guard capacity > max(bytes, 64) else { return }
    unsafe memory.deallocate()
    capacity = max(bytes, 64)
    unsafe memory = .allocate(capacity: capacity)
  }

  /// What was written, for as long as `body` runs.
  public borrowing func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
    unsafe body(RawSpan(_unsafeStart: memory, byteCount: written))
  }

  /// Sees to it that `more` bytes can be written.
  @inlinable
  @inline(__always)
  mutating func reserve(_ more: Int) { if capacity &- written < more { grow(by: more) } }

  @usableFromInline
  mutating func grow(by more: Int) {
    let wider = max(capacity * 2, written + more)
    let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: wider)
    unsafe moved.update(from: memory, count: written)
    unsafe memory.deallocate()
    unsafe memory = unsafe moved
    capacity = wider
  }

  /// Text that is JSON as it stands: punctuation, keys, `null`.
  @inlinable
  @inline(__always)
  public mutating func raw(_ text: StaticString) {
    reserve(text.utf8CodeUnitCount)
    place(text)
  }

  /// Copies `text`, for which room must have been reserved.
  @inlinable
  @inline(__always)
  mutating func place(_ text: StaticString) {
    let length = text.utf8CodeUnitCount
    unsafe UnsafeMutableRawPointer(memory + written).copyMemory(from: text.utf8Start, byteCount: length)
    written &+= length
  }

  /// A member's name, which must need no escape, behind the object's `{` or a comma; and `null` where its value is. Any
  /// other value is then written in the place of the `null`, for which `room` is reserved.
  @inlinable
  @inline(__always)
  mutating func key(_ name: StaticString, isFirst: Bool, isNull: Bool, room: Int) {
    let length = name.utf8CodeUnitCount
    // The null is written as eight bytes with the quote and the colon: two that do not count follow it.
    reserve(length + 4 + max(room, 6))
    let start = unsafe UnsafeMutableRawPointer(memory + written)
    let opening: StaticString = isFirst ? "{\"" : ",\""
    unsafe start.copyMemory(from: opening.utf8Start, byteCount: 2)
    unsafe (start + 2).copyMemory(from: name.utf8Start, byteCount: length)
    let ending: StaticString = "\":null  "
    unsafe (start + 2 + length).copyMemory(from: ending.utf8Start, byteCount: 8)
    written &+= isNull ? length + 8 : length + 4
  }

  /// A member's name; its value is to be written next.
  @inlinable
  @inline(__always)
  public mutating func key(_ name: StaticString, isFirst: Bool = false) {
    key(name, isFirst: isFirst, isNull: false, room: 0)
  }

  /// A member: a string or `null`.
  /// - Parameters:
  ///   - name: text that needs no escape.
  ///   - isFirst: whether the member begins its object, so that `{` stands before it and no comma.
  @inlinable
  @inline(__always)
  public mutating func member(_ name: StaticString, _ value: String?, isFirst: Bool = false) {
    key(name, isFirst: isFirst, isNull: value == nil, room: 4)
    if let value { string(value) }
  }

  /// A member: a whole number or `null`.
  @inlinable
  @inline(__always)
  public mutating func member(_ name: StaticString, _ value: Int?, isFirst: Bool = false) {
    key(name, isFirst: isFirst, isNull: value == nil, room: Self.longestInt)
    if let value { placeInt(value) }
  }

  /// A member: a decimal or `null`.
  @inlinable
  @inline(__always)
  public mutating func member(_ name: StaticString, _ value: Double?, isFirst: Bool = false) {
    key(name, isFirst: isFirst, isNull: value == nil, room: Self.longestDecimal)
    if let value { placeDecimal(value) }
  }

  /// A member: `true`, `false` or `null`.
  @inlinable
  @inline(__always)
  public mutating func member(_ name: StaticString, _ value: Bool?, isFirst: Bool = false) {
    key(name, isFirst: isFirst, isNull: value == nil, room: 5)
    if let value { if value { place("true") } else { place("false") } }
  }

  /// A string, quoted; escaped where RFC 8259 §7 asks for it and nowhere else.
  public mutating func string(_ text: borrowing String) {
    let isWritten: Void? = unsafe text.utf8.withContiguousStorageIfAvailable { unsafe quoted($0) }
    guard isWritten == nil else { return }
    // Bridged from elsewhere, or in pieces: not met on this system, but a String may be.
    var whole = copy text
    whole.withUTF8 { unsafe quoted($0) }
  }

  @inline(__always)
  private mutating func quoted(_ text: UnsafeBufferPointer<UInt8>) {
    // The most that a byte can become is \u00XX.
    reserve(text.count * 6 + 2)
    let start = unsafe memory + written
    unsafe start[0] = UInt8(ascii: "\"")
    guard unsafe Self.copyPlain(text, to: UnsafeMutableRawPointer(start + 1)) else { return unsafe quotedEscaped(text) }
    unsafe start[1 + text.count] = UInt8(ascii: "\"")
    written += text.count + 2
  }

  /// The same byte by byte, where something is to be escaped. Room must have been reserved.
  @inline(never)
  private mutating func quotedEscaped(_ text: UnsafeBufferPointer<UInt8>) {
    byte(UInt8(ascii: "\""))
    for index in text.indices {
      let next = unsafe text[index]
      if next >= 0x20, next != UInt8(ascii: "\""), next != UInt8(ascii: "\\") {
        byte(next)
      } else {
        unsafe written += Self.escape(next, to: memory + written)
      }
    }
    byte(UInt8(ascii: "\""))
  }

  /// Copies `text` as it stands, a word at a time.
  /// - Returns: false where something in it is to be escaped: what was copied is of no use then.
  @inline(__always)
  private static func copyPlain(_ text: UnsafeBufferPointer<UInt8>, to target: UnsafeMutableRawPointer) -> Bool {
    guard let source = unsafe UnsafeRawPointer(text.baseAddress) else { return true }
    // The last word begins where a whole one fits: bytes before it are written twice, and alike.
    let last = text.count - 8
    guard last >= 0 else { return unsafe copyPlainBytes(source, text.count, to: target) }
    var place = 0
    while place < last {
      let word = unsafe source.loadUnaligned(fromByteOffset: place, as: UInt64.self)
      guard isPlain(word) else { return false }
      unsafe target.storeBytes(of: word, toByteOffset: place, as: UInt64.self)
      place &+= 8
    }
    let word = unsafe source.loadUnaligned(fromByteOffset: last, as: UInt64.self)
    unsafe target.storeBytes(of: word, toByteOffset: last, as: UInt64.self)
    return isPlain(word)
  }

  /// The same for fewer than eight bytes.
  @inline(__always)
  private static func copyPlainBytes(
    _ source: UnsafeRawPointer, _ count: Int, to target: UnsafeMutableRawPointer
  ) -> Bool {
    if count >= 4 {
      let first = unsafe source.loadUnaligned(as: UInt32.self)
      let last = unsafe source.loadUnaligned(fromByteOffset: count - 4, as: UInt32.self)
      unsafe target.storeBytes(of: first, as: UInt32.self)
      unsafe target.storeBytes(of: last, toByteOffset: count - 4, as: UInt32.self)
      return isPlain(UInt64(first) << 32 | UInt64(last))
    }
    for place in 0..<count {
      let byte = unsafe source.load(fromByteOffset: place, as: UInt8.self)
      unsafe target.storeBytes(of: byte, toByteOffset: place, as: UInt8.self)
      guard byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else { return false }
    }
    return true
  }

  /// Whether none of a word's eight bytes is a control character, a quote or a backslash. Without its own high bit a byte
  /// plus 0x60 has one from 0x20 on, and its difference from another plus 0x7F unless the two are the same.
  @inline(__always)
  private static func isPlain(_ word: UInt64) -> Bool {
    let low = word & each(0x7F)
    let isPrintable = low &+ each(0x60)
    let isNoQuote = (low ^ each(0x22)) &+ each(0x7F)
    let isNoBackslash = (low ^ each(0x5C)) &+ each(0x7F)
    return (isPrintable & isNoQuote & isNoBackslash | word) & each(0x80) == each(0x80)
  }

  @inline(__always)
  private static func each(_ byte: UInt64) -> UInt64 { byte &* 0x0101_0101_0101_0101 }

  /// Writes the escape of a control character, a quote or a backslash; gives its length.
  private static func escape(_ byte: UInt8, to place: UnsafeMutablePointer<UInt8>) -> Int {
    unsafe place[0] = UInt8(ascii: "\\")
    let short: UInt8? =
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): byte
      case 0x08: UInt8(ascii: "b")
      case 0x09: UInt8(ascii: "t")
      case 0x0A: UInt8(ascii: "n")
      case 0x0C: UInt8(ascii: "f")
      case 0x0D: UInt8(ascii: "r")
      default: nil
      }
    if let short {
      unsafe place[1] = short
      return 2
    }
    unsafe place[1] = UInt8(ascii: "u")
    unsafe place[2] = UInt8(ascii: "0")
    unsafe place[3] = UInt8(ascii: "0")
    unsafe place[4] = UInt8(ascii: "0") + byte >> 4
    let low = byte & 15
    unsafe place[5] = low < 10 ? UInt8(ascii: "0") + low : UInt8(ascii: "a") + low - 10
    return 6
  }

  /// A string of `count` bytes that `write` puts in their place, quoted. None of them may need to be escaped.
  @unsafe
  public mutating func plainString(_ count: Int, _ write: (UnsafeMutableRawPointer) -> Void) {
    reserve(count + 2)
    byte(UInt8(ascii: "\""))
    unsafe write(UnsafeMutableRawPointer(memory + written))
    written += count
    byte(UInt8(ascii: "\""))
  }

  /// A whole number.
  public mutating func int(_ value: Int) {
    reserve(Self.longestInt)
    placeInt(value)
  }

  @usableFromInline static let longestInt = 20

  /// Writes a whole number for which room has been reserved.
  @usableFromInline
  mutating func placeInt(_ value: Int) {
    if value < 0 { byte(UInt8(ascii: "-")) }
    digits(UInt64(value.magnitude))
  }

  /// A number to three decimals (half away from zero), without trailing zeros but for the first: `12.5`, `12.0`. What
  /// JSON has no word for (NaN, infinities), and what no Int64 of thousandths holds, is `null`.
  public mutating func decimal(_ value: Double) {
    reserve(Self.longestDecimal)
    placeDecimal(value)
  }

  @usableFromInline static let longestDecimal = 24

  /// Writes a decimal for which room has been reserved.
  @usableFromInline
  mutating func placeDecimal(_ value: Double) {
    let thousandths = value * 1_000
    guard thousandths.magnitude < 9e18 else { return place("null") }
    // What did not take any time is common, and -0 is 0.
    if thousandths == 0 { return place("0.0") }
    if decimalLength > 0, decimalBits == value.bitPattern { return repeatDecimal() }
    let start = written
    // Rounded by hand: `rounded()` is a call into the C library on processors as old as the ones this is built for.
    var whole = Int64(thousandths)
    let rest = thousandths - Double(whole)
    if rest >= 0.5 { whole += 1 } else if rest <= -0.5 { whole -= 1 }
    if whole < 0 { byte(UInt8(ascii: "-")) }
    let (units, decimals) = whole.magnitude.quotientAndRemainder(dividingBy: 1_000)
    digits(units)
    byte(UInt8(ascii: "."))
    // All three are written, and the zeros at the end left behind.
    let (tenths, others) = decimals.quotientAndRemainder(dividingBy: 100)
    byte(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: tenths))
    pair(others, at: written)
    if others != 0 { written += others % 10 == 0 ? 1 : 2 }
    (decimalBits, decimalPlace, decimalLength) = (value.bitPattern, start, written - start)
  }

  /// Writes the last decimal once more: all the room that was reserved for it is copied, for a length that is known beforehand.
  private mutating func repeatDecimal() {
    unsafe UnsafeMutableRawPointer(memory + written).copyMemory(
      from: memory + decimalPlace, byteCount: Self.longestDecimal)
    written += decimalLength
  }

  /// `true` or `false`.
  @inlinable
  public mutating func bool(_ value: Bool) { if value { raw("true") } else { raw("false") } }

  /// An instant of UTC as a quoted RFC 3339 time with six decimals, cut down to the microsecond.
  /// - Parameter realtimeNanoseconds: nanoseconds since 1970-01-01T00:00:00Z.
  public mutating func timestamp(realtimeNanoseconds: Int64) {
    reserve(32)
    var (second, nanoseconds) = realtimeNanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    if nanoseconds < 0 {
      nanoseconds += 1_000_000_000
      second -= 1
    }
    if second == self.second {
      unsafe UnsafeMutableRawPointer(memory + written).copyMemory(
        from: memory + secondPlace, byteCount: Self.secondLength)
      written += Self.secondLength
    } else {
      (self.second, secondPlace) = (second, written)
      placeSecond(second)
    }
    digits(UInt64(nanoseconds) / 1_000, places: 6)
    place("Z\"")
  }

  /// `"1970-01-01T00:00:00.`
  private static var secondLength: Int { 21 }

  private mutating func placeSecond(_ second: Int64) {
    let day: Int64 = 86_400
    var (days, rest) = second.quotientAndRemainder(dividingBy: day)
    if rest < 0 {
      rest += day
      days -= 1
    }
    let date = Self.civil(daysSince1970: days)
    byte(UInt8(ascii: "\""))
    digits(date.year, places: 4)
    byte(UInt8(ascii: "-"))
    digits(date.month, places: 2)
    byte(UInt8(ascii: "-"))
    digits(date.day, places: 2)
    byte(UInt8(ascii: "T"))
    let secondOfDay = UInt64(rest)
    digits(secondOfDay / 3_600, places: 2)
    byte(UInt8(ascii: ":"))
    digits(secondOfDay / 60 % 60, places: 2)
    byte(UInt8(ascii: ":"))
    digits(secondOfDay % 60, places: 2)
    byte(UInt8(ascii: "."))
  }

  /// The civil date of a day (H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days; Int64 nanoseconds
  /// reach from 1677 to 2262).
  private static func civil(daysSince1970 days: Int64) -> (year: UInt64, month: UInt64, day: UInt64) {
    // From 0000-03-01; the range of Int64 nanoseconds keeps this positive.
    let shifted = UInt64(days + 719_468)
    let (era, dayOfEra) = shifted.quotientAndRemainder(dividingBy: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
  }

  /// The decimal digits of `value`. Room must have been reserved.
  private mutating func digits(_ value: UInt64) {
    // Most numbers are small: without a loop for those.
    if value < 10 { return byte(UInt8(ascii: "0") | UInt8(truncatingIfNeeded: value)) }
    if value < 100 { return digits(value, places: 2) }
    if value < 1_000 { return digits(value, places: 3) }
    if value < 10_000 { return digits(value, places: 4) }
    var places = 5
    var bound: UInt64 = 100_000
    // 10¹⁹ is the last power of ten that there is room for.
    while places < 19, value >= bound {
      places += 1
      bound *= 10
    }
    digits(value, places: places == 19 && value >= bound ? 20 : places)
  }

  /// The decimal digits of `value`, which has no more than `places`, with zeros before them. Room must have been reserved.
  @inline(__always)
  private mutating func digits(_ value: UInt64, places: Int) {
    var rest = value
    var left = places
    while left >= 2 {
      left &-= 2
      let next = rest / 100
      pair(rest &- next &* 100, at: written &+ left)
      rest = next
    }
    if left == 1 { unsafe memory[written] = UInt8(ascii: "0") | UInt8(truncatingIfNeeded: rest) }
    written &+= places
  }

  /// The two digits of a number below 100.
  @inline(__always)
  private func pair(_ value: UInt64, at place: Int) {
    // 103 / 1024 is near enough to a tenth.
    let tens = (value &* 103) >> 10
    let digits = 0x3030 | tens | (value &- tens &* 10) << 8
    unsafe UnsafeMutableRawPointer(memory).storeBytes(
      of: UInt16(truncatingIfNeeded: digits).littleEndian, toByteOffset: place, as: UInt16.self)
  }

  private mutating func byte(_ byte: UInt8) {
    unsafe memory[written] = byte
    written &+= 1
  }
}
