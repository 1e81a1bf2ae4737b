// RFC 3339 times, read.
import Testing

@testable import RecordLog

@Suite("RFC 3339 times")
struct RecordTimeTests {
  @Test(
    "29 February is a day in leap years only",
    arguments: [(2000, true), (2024, true), (2026, false), (2100, false)])
  func leapYears(year: Int, isLeapYear: Bool) {
    #expect((RecordParser.nanoseconds(rfc3339: "\(year)-02-29T00:00:00Z") != nil) == isLeapYear)
  }

  @Test(
    "An offset east of Greenwich is taken away, one west of it is added",
    arguments: [("12:00:00+05:30", "06:30:00Z"), ("12:00:00-05:30", "17:30:00Z"), ("12:00:00-00:00", "12:00:00Z")])
  func offsets(time: String, utc: String) throws {
    let nanoseconds = try #require(RecordParser.nanoseconds(rfc3339: "2026-10-01T\(time)"))
    #expect(nanoseconds == RecordParser.nanoseconds(rfc3339: "2026-10-01T\(utc)"))
  }
}
