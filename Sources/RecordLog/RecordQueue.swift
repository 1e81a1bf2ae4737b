// The records between the workers and the writer's thread: bounded, with what did not fit counted.
// It must not lock, wait or write: RecordWriter keeps it behind a mutex.
import Clocks
import Measurement

/// A record on the heap: what the queue moves is a pointer. A queue of the records themselves, nearly a kilobyte each,
/// was seen to hold a worker up for milliseconds while it grew.
///
/// Filled and read where it lies: a copy of a record would own a dozen strings anew. It belongs to one thread at a time (a
/// worker, then the queue, then the writer's thread, which may hand it back emptied), which is why it needs no lock.
@safe
final class QueuedRecord: @unchecked Sendable {
  private let record: UnsafeMutablePointer<ExchangeRecord>

  /// An empty one.
  init() {
    unsafe record = .allocate(capacity: 1)
    unsafe record.initialize(to: ExchangeRecord())
  }

  deinit {
    unsafe record.deinitialize(count: 1)
    unsafe record.deallocate()
  }

  /// Fills the record, which is empty.
  func fill(_ body: (inout ExchangeRecord) -> Void) { unsafe body(&record.pointee) }

  /// Appends the record's line, and makes it an empty one again: nothing of an exchange outlives its line.
  func encode(to encoder: inout RecordEncoder) { unsafe Self.encode(&record.pointee, to: &encoder) }

  // A pointee that is only read would be copied first.
  private static func encode(_ record: inout ExchangeRecord, to encoder: inout RecordEncoder) {
    encoder.append(record)
    record = ExchangeRecord()
  }
}

/// The queue and the commands that go with it.
struct RecordQueue: Sendable {
  /// Records that do not wait for the tick: so few that a worker fills again what is in the processor's cache still.
  private static let batchRecords = 128

  /// Records that may be waiting, those already in the writer's hands included.
  let limit: Int
  private(set) var waiting: [QueuedRecord] = []
  /// Emptied records that are kept: memory that goes from one thread to another and is freed there costs both of them more.
  private var blanks: [QueuedRecord] = []
  /// Records waiting or being written.
  private(set) var outstanding = 0
  /// Records taken in since the start.
  private(set) var accepted = 0
  /// Records refused since the log last said so.
  private(set) var unsaidDrops = 0
  /// The writer sleeps until it is woken; otherwise it comes by itself within a tick.
  private var writerIsIdle = false
  private var mustReopen = false
  private(set) var deadline: Instant?

  init(limit: Int) { self.limit = max(limit, 2) }

  /// What came of a record that was pushed.
  enum Push: Sendable {
    case queued
    /// Queued, and the writer must be woken.
    case queuedAsleep
    /// The queue is full (or closed): counted, not kept.
    case dropped
  }

  mutating func push(_ record: QueuedRecord) -> Push {
    guard outstanding < limit, deadline == nil else {
      unsaidDrops += 1
      return .dropped
    }
    waiting.append(record)
    outstanding += 1
    accepted += 1
    guard writerIsIdle || waiting.count == min(Self.batchRecords, limit / 2) else { return .queued }
    writerIsIdle = false
    return .queuedAsleep
  }

  /// What the writer is to do next.
  struct Command {
    var drops: Int
    var reopen: Bool
    var deadline: Instant?
  }

  /// The writer's commands, while it still has records in hand: none are given to it.
  mutating func commands() -> Command {
    defer { mustReopen = false }
    return Command(drops: 0, reopen: mustReopen, deadline: deadline)
  }

  /// Hands all waiting records over in exchange for an empty array (whose memory is used again), and the number of
  /// those that were refused after them.
  mutating func take(into batch: inout [QueuedRecord]) -> Command {
    swap(&waiting, &batch)
    defer {
      unsaidDrops = 0
      mustReopen = false
    }
    return Command(drops: unsaidDrops, reopen: mustReopen, deadline: deadline)
  }

  /// Takes emptied records back: these, or those that are still there, whichever are more. The others are left in `batch`.
  mutating func giveBack(_ batch: inout [QueuedRecord]) {
    if batch.count > blanks.count { swap(&blanks, &batch) }
  }

  /// An emptied record that is there to be filled and pushed; nil: make one.
  mutating func recycled() -> QueuedRecord? { blanks.popLast() }

  /// `count` records are written, or given up.
  mutating func markWritten(_ count: Int) { outstanding -= count }

  /// The writer wants to sleep; false where there is something to do.
  mutating func sleep() -> Bool {
    writerIsIdle = waiting.isEmpty && unsaidDrops == 0 && !mustReopen && deadline == nil
    return writerIsIdle
  }

  mutating func askToReopen() { mustReopen = true }

  /// Nothing more is taken in; what waits is to be written by `deadline`.
  mutating func close(by deadline: Instant) { self.deadline = min(deadline, self.deadline ?? deadline) }
}
