// Parsing of RFC 3339 times such as `2026-10-01T12:34:56.123456Z`.

extension RecordParser {
  /// Reads a whole RFC 3339 date-time (`Z` or a numeric offset; any number of fraction digits, those past the ninth
  /// ignored).
  /// - Returns: nanoseconds since 1970-01-01T00:00:00Z, or nil where `text` is no such time or lies outside 1678 to
  ///   2262. A leap second (:60) is read as the second after it.
  public static func nanoseconds(rfc3339 text: String) -> Int64? {
    var text = text
    return text.withUTF8 { utf8 in unsafe nanoseconds(rfc3339: utf8) }
  }

  static func nanoseconds(rfc3339 text: UnsafeBufferPointer<UInt8>) -> Int64? {
    var cursor = unsafe TimeCursor(text: text)
    guard let year = cursor.number(4), cursor.consume("-"), let month = cursor.number(2, 1...12), cursor.consume("-"),
      let day = cursor.number(2, 1...daysInMonth(month, of: year)), cursor.consume("T") || cursor.consume("t"),
      let hour = cursor.number(2, 0...23), cursor.consume(":"), let minute = cursor.number(2, 0...59),
      cursor.consume(":"),
      let second = cursor.number(2, 0...60), let fraction = cursor.fraction(), let offset = cursor.offsetSeconds(),
      cursor.isAtEnd
    else { return nil }
    let seconds = (daysSince1970(year, month, day) * 24 + hour) * 3600 + minute * 60 + second - offset
    let (scaled, overflow) = Int64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, carry) = scaled.addingReportingOverflow(Int64(fraction))
    return overflow || carry ? nil : sum
  }

  private static func daysInMonth(_ month: Int, of year: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// Days of the proleptic Gregorian calendar, counted in years that start in March (H. Hinnant, "chrono-compatible
  /// low-level date algorithms").
  private static func daysSince1970(_ year: Int, _ month: Int, _ day: Int) -> Int {
    let marchYear = month <= 2 ? year - 1 : year
    let era = (marchYear >= 0 ? marchYear : marchYear - 399) / 400
    let yearOfEra = marchYear - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }
}

/// A position in a time's text. Each call consumes what it names, or returns nil or false.
@safe
private struct TimeCursor {
  let text: UnsafeBufferPointer<UInt8>
  var index = 0

  init(text: UnsafeBufferPointer<UInt8>) { unsafe self.text = unsafe text }

  var isAtEnd: Bool { unsafe index == text.count }

  private var next: UInt8? { unsafe index < text.count ? text[index] : nil }

  mutating func consume(_ scalar: Unicode.Scalar) -> Bool {
    guard let next, UInt32(next) == scalar.value else { return false }
    index += 1
    return true
  }

  private mutating func digit() -> Int? {
    guard let next, (0x30...0x39).contains(next) else { return nil }
    index += 1
    return Int(next) - 0x30
  }

  /// Exactly `digits` digits, as a number in `range`.
  mutating func number(_ digits: Int, _ range: ClosedRange<Int> = 0...9999) -> Int? {
    var value = 0
    for _ in 0..<digits {
      guard let digit = digit() else { return nil }
      value = value * 10 + digit
    }
    return range.contains(value) ? value : nil
  }

  /// Nanoseconds of an optional fraction; nil for a point without digits.
  mutating func fraction() -> Int? {
    guard consume(".") else { return 0 }
    guard var value = digit() else { return nil }
    var digits = 1
    while let digit = digit() {
      guard digits < 9 else { continue }
      value = value * 10 + digit
      digits += 1
    }
    for _ in digits..<9 { value *= 10 }
    return value
  }

  /// The offset from UTC in seconds.
  mutating func offsetSeconds() -> Int? {
    if consume("Z") || consume("z") { return 0 }
    let isNegative = consume("-")
    guard isNegative || consume("+"), let hours = number(2, 0...23), consume(":"), let minutes = number(2, 0...59)
    else { return nil }
    let seconds = hours * 3600 + minutes * 60
    return isNegative ? -seconds : seconds
  }
}
