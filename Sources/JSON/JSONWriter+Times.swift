// Instants of UTC.

extension JSONWriter {
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
      writeReservedSecond(second)
    }
    digits(UInt64(nanoseconds) / 1_000, places: 6)
    writeReserved("Z\"")
  }

  /// `"1970-01-01T00:00:00.`
  private static var secondLength: Int { 21 }

  mutating func writeReservedSecond(_ second: Int64) {
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
}
