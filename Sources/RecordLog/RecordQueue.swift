// The records between the workers and the writer's thread: bounded, with drops counted. RecordWriter keeps it behind a mutex.
import Clocks
import Measurement

/// A record on the heap, so that the queue moves a pointer: a queue of the records themselves, nearly a kilobyte each,
/// stopped a worker for milliseconds while it grew.
///
/// It is filled and read in place, since a copy of a record retains a dozen strings. It belongs to one thread at a time
/// (a worker, then the queue, then the writer's thread, which may return it emptied), so it needs no lock.
@safe
final class QueuedRecord: @unchecked Sendable {
  private let record: UnsafeMutablePointer<ExchangeRecord>

  /// Makes one with an empty record.
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

  /// Appends the record's line and empties the record: nothing of an exchange outlives its line.
  func encode(to encoder: inout RecordEncoder) { unsafe Self.encode(&record.pointee, to: &encoder) }

  // A pointee that is passed without `inout` is copied first.
  private static func encode(_ record: inout ExchangeRecord, to encoder: inout RecordEncoder) {
    encoder.append(&record)
    record = ExchangeRecord()
  }
}

/// The queue and the commands that go with it.
struct RecordQueue: Sendable {
  /// So many records do not wait for the tick: few enough that a worker reuses records that are still in the cache.
  private static let batchRecords = 128

  /// Records that may wait, those being written included.
  let limit: Int
  private var waiting: [QueuedRecord] = []
  /// Emptied records for reuse: memory that one thread allocates and another frees costs both of them more.
  private var emptied: [QueuedRecord] = []
  /// Records waiting or being written.
  private(set) var outstanding = 0
  /// Records accepted since the start.
  private(set) var accepted = 0
  /// Records dropped since the last batch.
  private var drops = 0
  /// The writer sleeps until it is woken; otherwise it wakes by itself within a tick.
  private var writerIsAsleep = false
  private var mustReopen = false
  private(set) var deadline: Instant?

  init(limit: Int) { self.limit = max(limit, 2) }

  /// What became of a record that was pushed.
  enum Push: Sendable {
    case queued
    /// Queued, and the writer must be woken.
    case queuedForWake
    /// The queue is full or closed: the record is counted and not queued.
    case dropped
  }

  mutating func push(_ record: QueuedRecord) -> Push {
    guard outstanding < limit, deadline == nil else {
      drops += 1
      return .dropped
    }
    waiting.append(record)
    outstanding += 1
    accepted += 1
    guard writerIsAsleep || waiting.count == min(Self.batchRecords, limit / 2) else { return .queued }
    writerIsAsleep = false
    return .queuedForWake
  }

  /// What the writer is to do next.
  struct Command {
    /// Records dropped after the batch.
    var drops = 0
    var reopen = false
    /// When the writer must end; nil while the queue is open.
    var deadline: Instant?
  }

  /// The command for a writer that has not written its batch yet: no records come with it.
  mutating func commands() -> Command {
    defer { mustReopen = false }
    return Command(reopen: mustReopen, deadline: deadline)
  }

  /// Exchanges an empty array, whose memory is reused, for all waiting records.
  mutating func exchange(_ batch: inout [QueuedRecord]) -> Command {
    swap(&waiting, &batch)
    var command = commands()
    command.drops = drops
    drops = 0
    return command
  }

  /// Accepts emptied records for reuse: these, or those that are there, whichever are more. The others are left in `batch`.
  mutating func recycle(_ batch: inout [QueuedRecord]) {
    if batch.count > emptied.count { swap(&emptied, &batch) }
  }

  /// An emptied record, to be filled and pushed; nil where there is none.
  mutating func recycled() -> QueuedRecord? { emptied.popLast() }

  /// `count` records are written.
  mutating func markWritten(_ count: Int) { outstanding -= count }

  /// The writer is about to sleep until it is woken.
  /// - Returns: false where it must not, because there is something to do.
  mutating func sleep() -> Bool {
    writerIsAsleep = waiting.isEmpty && drops == 0 && !mustReopen && deadline == nil
    return writerIsAsleep
  }

  mutating func requestReopen() { mustReopen = true }

  /// From now on every record is dropped; those that wait are to be written by `deadline`.
  mutating func close(by deadline: Instant) { self.deadline = min(deadline, self.deadline ?? deadline) }
}
