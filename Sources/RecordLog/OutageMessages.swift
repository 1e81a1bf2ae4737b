// When to tell the operator of a log that cannot be written: at once, then ever more rarely, and when it works again.
import Clocks

/// The messages about one outage. A value without a clock or a log: it says whether a message is due.
///
/// An outage begins with the first failure. A failure within the time of the first reminder after writing worked again goes on
/// with the same outage, so that a log that fails every second time makes no two messages each time.
struct OutageMessages {
  private let reminderNanoseconds: Int64
  private var beganAt: Instant?
  private var workedAt: Instant?
  /// Since `beganAt`: when the next message is due.
  private var nextNanoseconds: Int64 = 0
  /// Whether the last message said that it does not work.
  private var isSaid = false

  /// Whether the last attempt failed.
  var isOngoing: Bool { beganAt != nil && workedAt == nil }

  /// - Parameter reminderNanoseconds: after how long the first message is repeated; the next ones follow after ten times as
  ///   long each.
  init(reminderNanoseconds: Int64) { self.reminderNanoseconds = reminderNanoseconds }

  /// An attempt failed.
  /// - Returns: whether to say so.
  mutating func failed(at now: Instant) -> Bool {
    if let workedAt, now.nanoseconds(since: workedAt) >= reminderNanoseconds { beganAt = nil }
    workedAt = nil
    guard let beganAt else {
      (beganAt, nextNanoseconds, isSaid) = (now, reminderNanoseconds, true)
      return true
    }
    guard now.nanoseconds(since: beganAt) >= nextNanoseconds else { return false }
    nextNanoseconds = nextNanoseconds.multipliedReportingOverflow(by: 10).overflow ? .max : nextNanoseconds * 10
    isSaid = true
    return true
  }

  /// Lines were written.
  /// - Returns: where it is to be said: how long the outage was.
  mutating func worked(at now: Instant) -> Int64? {
    guard let beganAt, workedAt == nil else { return nil }
    workedAt = now
    guard isSaid else { return nil }
    isSaid = false
    return now.nanoseconds(since: beganAt)
  }
}
