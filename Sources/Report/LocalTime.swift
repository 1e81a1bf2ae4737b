// Local dates and times as people write them, turned into wall time.
import Glibc

/// A zone of local time.
public struct LocalTime: Sendable {
  /// Year, month, day, hour, minute, second. A day may be 0 or less: so many days before the month.
  struct Moment {
    var year = 0
    var month = 0
    var day = 0
    var hour = 0
    var minute = 0
    var second = 0
  }

  /// Seconds since 1970 of a local moment; nil where there is none.
  let seconds: @Sendable (Moment) -> Int64?
  /// The local moment of seconds since 1970.
  let moment: @Sendable (Int64) -> Moment

  /// The zone that the environment names (TZ), or the machine's. Where a clock is put forward, a time that it leaves out is the
  /// one an hour later; of a time that comes twice it is unspecified which one it is (mktime).
  public static let ofThisProcess = LocalTime { moment in
    var time = unsafe tm()
    unsafe time.tm_year = Int32(moment.year - 1900)
    unsafe time.tm_mon = Int32(moment.month - 1)
    unsafe time.tm_mday = Int32(moment.day)
    unsafe time.tm_hour = Int32(moment.hour)
    unsafe time.tm_min = Int32(moment.minute)
    unsafe time.tm_sec = Int32(moment.second)
    unsafe time.tm_isdst = -1
    let seconds = unsafe mktime(&time)
    return seconds == -1 ? nil : Int64(seconds)
  } moment: { seconds in
    var time = unsafe tm()
    var seconds = time_t(seconds)
    _ = unsafe localtime_r(&seconds, &time)
    return unsafe Moment(
      year: Int(time.tm_year) + 1900, month: Int(time.tm_mon) + 1, day: Int(time.tm_mday), hour: Int(time.tm_hour),
      minute: Int(time.tm_min), second: Int(time.tm_sec))
  }

  /// Nanoseconds since 1970 of `2026-10-01`, `2026-10-01T14:00`, `2026-10-01 14:00:30`, `14:00` or `14:00:30`.
  /// - Returns: nil where `text` is none of these.
  func nanoseconds(_ text: String, now: Int64) -> Int64? {
    let parts = text.split(separator: text.contains("T") ? "T" : " ", omittingEmptySubsequences: false)
    switch parts.count {
    case 1:
      if let date = Self.date(parts[0]) { return nanoseconds(date) }
      return Self.time(parts[0]).flatMap { last($0, before: now) }
    case 2:
      guard var moment = Self.date(parts[0]), let time = Self.time(parts[1]) else { return nil }
      (moment.hour, moment.minute, moment.second) = (time.hour, time.minute, time.second)
      return nanoseconds(moment)
    default: return nil
    }
  }

  private func nanoseconds(_ moment: Moment) -> Int64? {
    guard let seconds = seconds(moment) else { return nil }
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    return overflow ? nil : product
  }

  private func last(_ time: Moment, before now: Int64) -> Int64? {
    var moment = moment(now / 1_000_000_000)
    (moment.hour, moment.minute, moment.second) = (time.hour, time.minute, time.second)
    guard let today = nanoseconds(moment), today > now else { return nanoseconds(moment) }
    moment.day -= 1
    return nanoseconds(moment)
  }

  private static func date(_ text: Substring) -> Moment? {
    guard let numbers = numbers(text, "-", digits: [4, 2, 2]), (1...12).contains(numbers[1]) else { return nil }
    let isLeap = numbers[0].isMultiple(of: 4) && (!numbers[0].isMultiple(of: 100) || numbers[0].isMultiple(of: 400))
    let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    guard (1...days[numbers[1] - 1]).contains(numbers[2]) else { return nil }
    return Moment(year: numbers[0], month: numbers[1], day: numbers[2])
  }

  private static func time(_ text: Substring) -> Moment? {
    guard let numbers = numbers(text, ":", digits: [2, 2]) ?? numbers(text, ":", digits: [2, 2, 2]),
      numbers[0] < 24, numbers.allSatisfy({ $0 < 60 })
    else { return nil }
    return Moment(hour: numbers[0], minute: numbers[1], second: numbers.count > 2 ? numbers[2] : 0)
  }

  private static func numbers(_ text: Substring, _ separator: Character, digits: [Int]) -> [Int]? {
    let parts = text.split(separator: separator, omittingEmptySubsequences: false)
    guard parts.map(\.utf8.count) == digits, text.utf8.allSatisfy({ (0x30...0x3A).contains($0) || $0 == 0x2D }) else {
      return nil
    }
    let numbers = parts.compactMap { Int($0) }
    return numbers.count == digits.count && numbers.allSatisfy { $0 >= 0 } ? numbers : nil
  }
}
