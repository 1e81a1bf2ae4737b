// When an outage of the log is told: seldom, whatever happens, and its end.
import Clocks
import Testing

@testable import RecordLog

@Suite("OutageMessages")
struct OutageMessagesTests {
  private static let minute: Int64 = 60_000_000_000

  private func instant(seconds: Double) -> Instant { Instant(nanoseconds: UInt64((seconds + 100) * 1e9)) }

  private func failed(_ messages: inout OutageMessages, _ seconds: Double) -> Bool {
    messages.failed(at: instant(seconds: seconds))
  }

  private func worked(_ messages: inout OutageMessages, _ seconds: Double) -> Int64? {
    messages.worked(at: instant(seconds: seconds))
  }

  @Test("An outage of three hours is told at once and after 1, 10 and 100 minutes, and its end with its length")
  func longOutage() {
    var messages = OutageMessages(reminderNanoseconds: Self.minute)
    var told: [Double] = []
    for attempt in 0..<21_600 where messages.failed(at: instant(seconds: Double(attempt) / 2)) {
      told.append(Double(attempt) / 2)
    }
    #expect(told == [0, 60, 600, 6_000])
    #expect(messages.isOngoing)
    #expect(worked(&messages, 10_800) == 10_800_000_000_000)
    #expect(!messages.isOngoing)
    #expect(worked(&messages, 10_801) == nil)
  }

  @Test("A log that fails every second time makes one message and one end, then those of an outage that lasts")
  func flapping() {
    var messages = OutageMessages(reminderNanoseconds: Self.minute)
    var (failures, ends) = ([Int](), [Int]())
    for second in 0..<1_200 {
      if second.isMultiple(of: 2) {
        if messages.failed(at: instant(seconds: Double(second))) { failures.append(second) }
      } else if messages.worked(at: instant(seconds: Double(second))) != nil {
        ends.append(second)
      }
    }
    #expect(failures == [0, 60, 600])
    #expect(ends == [1, 61, 601])
  }

  @Test("An outage after writing worked for a while is a new one")
  func second() {
    var messages = OutageMessages(reminderNanoseconds: Self.minute)
    #expect(failed(&messages, 0))
    #expect(worked(&messages, 5) == 5_000_000_000)
    #expect(!failed(&messages, 30))
    #expect(worked(&messages, 31) == nil)
    #expect(failed(&messages, 125))
    #expect(worked(&messages, 126) == 1_000_000_000)
  }
}
