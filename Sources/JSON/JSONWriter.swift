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
  mutating func reserve(_ more: Int) { if written + more > capacity { grow(by: more) } }

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
    let length = text.utf8CodeUnitCount
    reserve(length)
    unsafe (memory + written).update(from: text.utf8Start, count: length)
    written += length
  }

  /// A string, quoted; escaped where RFC 8259 §7 asks for it and nowhere else.
  public mutating func string(_ text: borrowing String) {
    let isWritten: Void? = unsafe text.utf8.withContiguousStorageIfAvailable { unsafe quoted($0) }
    guard isWritten == nil else { return }
    // Bridged from elsewhere, or in pieces: not met on this system, but a String may be.
    var whole = copy text
    whole.withUTF8 { unsafe quoted($0) }
  }

  private mutating func quoted(_ text: UnsafeBufferPointer<UInt8>) {
    // The most that a byte can become is \u00XX.
    reserve(text.count * 6 + 2)
    unsafe memory[written] = UInt8(ascii: "\"")
    var end = written + 1
    var place = 0
    if let start = unsafe UnsafeRawPointer(text.baseAddress) {
      // Eight bytes at a time, while none of them is to be escaped.
      while place + 8 <= text.count {
        let word = unsafe start.loadUnaligned(fromByteOffset: place, as: UInt64.self)
        if Self.hasEscaped(word) { break }
        unsafe UnsafeMutableRawPointer(memory).storeBytes(of: word, toByteOffset: end, as: UInt64.self)
        place += 8
        end += 8
      }
    }
    while place < text.count {
      let byte = unsafe text[place]
      place += 1
      if byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
        unsafe memory[end] = byte
        end += 1
      } else {
        unsafe end += Self.escape(byte, to: memory + end)
      }
    }
    unsafe memory[end] = UInt8(ascii: "\"")
    written = end + 1
  }

  /// Whether one of eight bytes is a control character, a quote or a backslash (a zero byte of the word XORed with
  /// eight of what is looked for, "Determine if a word has a zero byte" in S. Anderson's Bit Twiddling Hacks).
  private static func hasEscaped(_ word: UInt64) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quote = word ^ (ones &* 0x22)
    let backslash = word ^ (ones &* 0x5C)
    let high = ones &* 0x80
    let isControl = (word &- (ones &* 0x20)) & ~word
    return (isControl | ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash)) & high != 0
  }

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

  /// A whole number.
  public mutating func int(_ value: Int) {
    reserve(20)
    if value < 0 { byte(UInt8(ascii: "-")) }
    digits(UInt64(value.magnitude))
  }

  /// A number to three decimals (half away from zero), without trailing zeros but for the first: `12.5`, `12.0`. What
  /// JSON has no word for (NaN, infinities), and what no Int64 of thousandths holds, is `null`.
  public mutating func decimal(_ value: Double) {
    let thousandths = value * 1_000
    guard thousandths.magnitude < 9e18 else { return raw("null") }
    // Rounded by hand: `rounded()` is a call into the C library on processors as old as the ones this is built for.
    var whole = Int64(thousandths)
    let rest = thousandths - Double(whole)
    if rest >= 0.5 { whole += 1 } else if rest <= -0.5 { whole -= 1 }
    reserve(24)
    if whole < 0 { byte(UInt8(ascii: "-")) }
    let (units, decimals) = whole.magnitude.quotientAndRemainder(dividingBy: 1_000)
    digits(units)
    byte(UInt8(ascii: "."))
    if decimals % 100 == 0 { return digits(decimals / 100, places: 1) }
    if decimals % 10 == 0 { return digits(decimals / 10, places: 2) }
    digits(decimals, places: 3)
  }

  /// `true` or `false`.
  @inlinable
  public mutating func bool(_ value: Bool) { if value { raw("true") } else { raw("false") } }

  /// An instant of UTC as a quoted RFC 3339 time with six decimals, cut down to the microsecond.
  /// - Parameter realtimeNanoseconds: nanoseconds since 1970-01-01T00:00:00Z.
  public mutating func timestamp(realtimeNanoseconds: Int64) {
    reserve(32)
    let (date, nanoseconds) = Self.civil(realtimeNanoseconds)
    byte(UInt8(ascii: "\""))
    digits(date.year, places: 4)
    byte(UInt8(ascii: "-"))
    digits(date.month, places: 2)
    byte(UInt8(ascii: "-"))
    digits(date.day, places: 2)
    byte(UInt8(ascii: "T"))
    let seconds = nanoseconds / 1_000_000_000
    digits(seconds / 3_600, places: 2)
    byte(UInt8(ascii: ":"))
    digits(seconds / 60 % 60, places: 2)
    byte(UInt8(ascii: ":"))
    digits(seconds % 60, places: 2)
    byte(UInt8(ascii: "."))
    digits(nanoseconds % 1_000_000_000 / 1_000, places: 6)
    byte(UInt8(ascii: "Z"))
    byte(UInt8(ascii: "\""))
  }

  /// The civil date of a time and the nanoseconds of its day (H. Hinnant, "chrono-compatible low-level date
  /// algorithms", civil_from_days; Int64 nanoseconds reach from 1677 to 2262).
  private static func civil(
    _ realtimeNanoseconds: Int64
  ) -> (date: (year: UInt64, month: UInt64, day: UInt64), nanoseconds: UInt64) {
    let day: Int64 = 86_400_000_000_000
    var days = realtimeNanoseconds / day
    var rest = realtimeNanoseconds % day
    if rest < 0 {
      rest += day
      days -= 1
    }
    // From 0000-03-01; the range of Int64 nanoseconds keeps this positive.
    let shifted = UInt64(days + 719_468)
    let (era, dayOfEra) = shifted.quotientAndRemainder(dividingBy: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
    return ((year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1), UInt64(rest))
  }

  /// The decimal digits of `value`. Room must have been reserved.
  private mutating func digits(_ value: UInt64) {
    var places = 1
    var bound: UInt64 = 10
    // 10¹⁹ is the last power of ten that there is room for.
    while places < 19, value >= bound {
      places += 1
      bound *= 10
    }
    digits(value, places: places == 19 && value >= bound ? 20 : places)
  }

  /// The last `places` decimal digits of `value`, with zeros before them. Room must have been reserved.
  private mutating func digits(_ value: UInt64, places: Int) {
    var rest = value
    var place = written + places
    while place > written {
      place -= 1
      let next = rest / 10
      unsafe memory[place] = UInt8(truncatingIfNeeded: rest &- next &* 10) | UInt8(ascii: "0")
      rest = next
    }
    written += places
  }

  private mutating func byte(_ byte: UInt8) {
    unsafe memory[written] = byte
    written += 1
  }
}
