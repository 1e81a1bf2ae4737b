// Numbers.

extension JSONWriter {
  /// A whole number.
  public mutating func int(_ value: Int) {
    reserve(Self.longestInt)
    writeReservedInt(value)
  }

  @usableFromInline static let longestInt = 20

  /// Writes a whole number for which room has been reserved.
  @usableFromInline
  mutating func writeReservedInt(_ value: Int) {
    if value < 0 { byte(UInt8(ascii: "-")) }
    digits(UInt64(value.magnitude))
  }

  /// A number to three decimals (half away from zero), without trailing zeros but for the first: `12.5`, `12.0`. What
  /// JSON has no word for (NaN, infinities), and what no Int64 of thousandths holds, is `null`.
  public mutating func decimal(_ value: Double) {
    reserve(Self.longestDecimal)
    writeReservedDecimal(value)
  }

  @usableFromInline static let longestDecimal = 24

  /// Writes a decimal for which room has been reserved.
  @usableFromInline
  mutating func writeReservedDecimal(_ value: Double) {
    let thousandths = value * 1_000
    guard thousandths.magnitude < 9e18 else { return writeReserved("null") }
    // What did not take any time is common, and -0 is 0.
    if thousandths == 0 { return writeReserved("0.0") }
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
  mutating func repeatDecimal() {
    unsafe UnsafeMutableRawPointer(memory + written).copyMemory(
      from: memory + decimalPlace, byteCount: Self.longestDecimal)
    written += decimalLength
  }

  /// A number with as many digits as it takes to read the same one again; `null` for what JSON has no word for.
  public mutating func double(_ value: Double) {
    guard value.isFinite else { return raw("null") }
    var text = value.description
    text.withUTF8 { utf8 in
      reserve(utf8.count)
      for index in utf8.indices { byte(unsafe utf8[index]) }
    }
  }

  /// The decimal digits of `value`. Room must have been reserved.
  mutating func digits(_ value: UInt64) {
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
  mutating func digits(_ value: UInt64, places: Int) {
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
}
