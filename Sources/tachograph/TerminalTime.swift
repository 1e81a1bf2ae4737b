// Wall times as text. They are for reading only: durations come from the monotonic clock.
import Glibc

/// Wall times, given in nanoseconds since 1970.
enum TerminalTime {
  /// Local time of day: `12:34:56.789`.
  static func clock(_ nanoseconds: Int64) -> String {
    let (seconds, fraction) = split(nanoseconds)
    return formatted(seconds, "%H:%M:%S", isLocal: true) + "." + padded(fraction / 1_000_000, digits: 3)
  }

  /// Local date and time with its zone: `2026-10-01 12:34:56 CEST`.
  static func local(nanoseconds: Int64) -> String {
    formatted(split(nanoseconds).seconds, "%F %T %Z", isLocal: true)
  }

  /// RFC 3339, UTC, microseconds: `2026-10-01T10:34:56.789012Z`.
  static func rfc3339(_ nanoseconds: Int64) -> String {
    let (seconds, fraction) = split(nanoseconds)
    return formatted(seconds, "%FT%T", isLocal: false) + "." + padded(fraction / 1000, digits: 6) + "Z"
  }

  private static func split(_ nanoseconds: Int64) -> (seconds: time_t, fraction: Int) {
    let seconds = (nanoseconds - (nanoseconds < 0 ? 999_999_999 : 0)) / 1_000_000_000
    return (time_t(seconds), Int(nanoseconds - seconds * 1_000_000_000))
  }

  private static func formatted(_ seconds: time_t, _ format: String, isLocal: Bool) -> String {
    var seconds = seconds
    var time = unsafe tm()
    _ = unsafe isLocal ? localtime_r(&seconds, &time) : gmtime_r(&seconds, &time)
    var text = [CChar](repeating: 0, count: 64)
    let count = unsafe strftime(&text, text.count, format, &time)
    return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func padded(_ value: Int, digits: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(digits - text.count, 0)) + text
  }
}
