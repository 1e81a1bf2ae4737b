// The wall times between which exchanges count.
import Glibc
import RecordLog

/// A half-open interval of wall time, unbounded where a bound is nil. Nanoseconds since 1970.
public struct TimeWindow: Hashable, Sendable {
  /// The first moment inside.
  public var since: Int64?
  /// The first moment after it.
  public var until: Int64?

  /// A window; without bounds it holds all time.
  public init(since: Int64? = nil, until: Int64? = nil) {
    self.since = since
    self.until = until
  }

  /// Whether an exchange that began at `start` counts.
  public func contains(_ start: Int64) -> Bool {
    start >= since ?? .min && (until.map { start < $0 } ?? true)
  }

  /// What `bound(_:now:)` accepts, for messages.
  public static let accepted =
    "a time before now such as 90s, 15m, 1h or 2d, a local time such as 14:00, 2026-10-01 or 2026-10-01T14:00, "
    + "or an RFC 3339 time such as 2026-10-01T12:00:00Z"

  /// A bound as a person writes it: a duration before `now`, a local date, time or both, or an RFC 3339 time.
  ///
  /// A date is its first moment. A time without a date is the last one that was so: today's, or yesterday's.
  /// - Parameter localTime: the zone's rules; a test passes its own.
  /// - Returns: nil where `text` is none of these.
  public static func bound(_ text: String, now: Int64, localTime: LocalTime = .ofThisProcess) -> Int64? {
    if let time = RecordParser.nanoseconds(rfc3339: text) { return time }
    if let time = localTime.nanoseconds(text, now: now) { return time }
    guard let unit = text.last, let seconds = secondsPerUnit[unit] else { return nil }
    let digits = text.dropLast()
    // `Int` would accept a sign.
    guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let count = Int64(digits) else { return nil }
    let (duration, overflow) = count.multipliedReportingOverflow(by: seconds * 1_000_000_000)
    let (bound, carry) = now.subtractingReportingOverflow(duration)
    return overflow || carry ? nil : bound
  }

  private static let secondsPerUnit: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
}
