// JSON text, written value by value into one buffer that is re-used.
// It must not know what the values mean; whoever writes sees to it that commas and brackets match.

/// A growing buffer of bytes with the few writers that a line of JSON needs. It keeps its memory from text to text.
@safe
public struct JSONWriter: ~Copyable {
  private var memory: UnsafeMutablePointer<UInt8>
  private var capacity: Int
  /// Bytes written.
  public private(set) var count = 0

  /// Makes a writer with room for `capacity` bytes; it grows by doubling.
  public init(capacity: Int = 4_096) {
    self.capacity = max(capacity, 64)
    unsafe memory = .allocate(capacity: self.capacity)
  }

  deinit { unsafe memory.deallocate() }

  /// Forgets what was written; gives back memory beyond `bytes`.
  public mutating func removeAll(keeping bytes: Int = .max) {
    count = 0
    guard capacity > max(bytes, 64) else { return }
    unsafe memory.deallocate()
    capacity = max(bytes, 64)
    unsafe memory = .allocate(capacity: capacity)
  }

  /// What was written, for as long as `body` runs.
  public borrowing func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
    unsafe body(RawSpan(_unsafeStart: memory, byteCount: count))
  }

  private mutating func reserve(_ more: Int) {
    guard count + more > capacity else { return }
    let wider = max(capacity * 2, count + more)
    let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: wider)
    unsafe moved.update(from: memory, count: count)
    unsafe memory.deallocate()
    unsafe memory = unsafe moved
    capacity = wider
  }

  /// Text that is JSON as it stands: punctuation, keys, `null`.
  public mutating func raw(_ text: StaticString) {
    let length = text.utf8CodeUnitCount
    reserve(length)
    unsafe (memory + count).update(from: text.utf8Start, count: length)
    count += length
  }

  /// A string, quoted; escaped where RFC 8259 §7 asks for it and nowhere else.
  public mutating func string(_ text: String) {
    var text = text
    text.withUTF8 { utf8 in
      // The most that a byte can become is \u00XX.
      reserve(utf8.count * 6 + 2)
      unsafe memory[count] = UInt8(ascii: "\"")
      var end = count + 1
      for place in 0..<utf8.count {
        let byte = unsafe utf8[place]
        if byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
          unsafe memory[end] = byte
          end += 1
        } else {
          unsafe end += Self.escape(byte, to: memory + end)
        }
      }
      unsafe memory[end] = UInt8(ascii: "\"")
      count = end + 1
    }
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
    digits(UInt64(value.magnitude), atLeast: 1)
  }

  /// A number to three decimals (half away from zero), without trailing zeros but for the first: `12.5`, `12.0`. What
  /// JSON has no word for (NaN, infinities), and what no Int64 of thousandths holds, is `null`.
  public mutating func decimal(_ value: Double) {
    let thousandths = (value * 1_000).rounded()
    guard thousandths.magnitude < 9e18 else { return raw("null") }
    let whole = Int64(thousandths)
    reserve(24)
    if whole < 0 { byte(UInt8(ascii: "-")) }
    let (units, rest) = whole.magnitude.quotientAndRemainder(dividingBy: 1_000)
    digits(units, atLeast: 1)
    byte(UInt8(ascii: "."))
    if rest % 100 == 0 { return digits(rest / 100, atLeast: 1) }
    if rest % 10 == 0 { return digits(rest / 10, atLeast: 2) }
    digits(rest, atLeast: 3)
  }

  /// `true` or `false`.
  public mutating func bool(_ value: Bool) { raw(value ? "true" : "false") }

  /// An instant of UTC as a quoted RFC 3339 time with six decimals, cut down to the microsecond.
  /// - Parameter realtimeNanoseconds: nanoseconds since 1970-01-01T00:00:00Z.
  public mutating func timestamp(realtimeNanoseconds: Int64) {
    reserve(32)
    let (date, nanoseconds) = Self.civil(realtimeNanoseconds)
    byte(UInt8(ascii: "\""))
    digits(date.year, atLeast: 4)
    byte(UInt8(ascii: "-"))
    digits(date.month, atLeast: 2)
    byte(UInt8(ascii: "-"))
    digits(date.day, atLeast: 2)
    byte(UInt8(ascii: "T"))
    let seconds = nanoseconds / 1_000_000_000
    digits(seconds / 3_600, atLeast: 2)
    byte(UInt8(ascii: ":"))
    digits(seconds / 60 % 60, atLeast: 2)
    byte(UInt8(ascii: ":"))
    digits(seconds % 60, atLeast: 2)
    byte(UInt8(ascii: "."))
    digits(nanoseconds % 1_000_000_000 / 1_000, atLeast: 6)
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

  /// The decimal digits of `value`, zeros before them up to `atLeast`. Room must have been reserved.
  private mutating func digits(_ value: UInt64, atLeast: Int) {
    var length = 1
    var bound: UInt64 = 10
    while value >= bound, length < 19 {
      length += 1
      bound *= 10
    }
    if value >= bound { length = 20 }
    length = max(length, atLeast)
    var rest = value
    var place = count + length
    while place > count {
      place -= 1
      unsafe memory[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
    count += length
  }

  private mutating func byte(_ byte: UInt8) {
    reserve(1)
    unsafe memory[count] = byte
    count += 1
  }
}
