// The log's writing end: workers hand records in and go on; one thread encodes and writes them.
// It must not hold a worker up, whatever becomes of the sink.
import Clocks
import Glibc
import Logging
import Measurement
import Metrics
import Synchronization

/// Why a log could not be opened.
public struct RecordWriterError: Error, CustomStringConvertible, Equatable {
  /// One line for the operator.
  public let description: String
}

/// Appends records to a log from a thread of its own.
///
/// `submit` costs a short lock; it never waits for the sink. When the queue is full the record is
/// dropped and counted, and once the sink works again the log says how many are missing (README.md of this folder).
/// Must be closed: its thread lives until then.
public final class RecordWriter: Sendable {
  /// What a writer is told at its start.
  public struct Settings: Sendable {
    /// A file's path (made with mode 0640 where there is none), a FIFO or a device; `-` is standard output.
    public var path: String
    /// This proxy's name, for the lines about missing records.
    public var instance: String
    /// Records that may be waiting, at most.
    public var queueLimit = 8_192
    /// How long records are gathered before they are written together.
    public var tickMilliseconds: Int32 = 50
    /// How soon a sink that failed is tried again.
    public var retryMilliseconds: Int32 = 500

    /// How long one line about failure stands for all that follow.
    public var saysEachMilliseconds = 1_000

    /// Makes settings with the defaults for everything else.
    public init(path: String, instance: String) {
      self.path = path
      self.instance = instance
    }
  }

  /// Counters since the start.
  public struct Statistics: Hashable, Sendable {
    /// Records whose lines are written.
    public var written: Int
    /// Records that will never be.
    public var dropped: Int
    /// Records that wait for the thread, or are with it.
    public var waiting: Int
    /// Records that may.
    public var waitingLimit: Int
    /// Failed attempts to open the sink.
    public var openErrors: Int
    /// Failed attempts to write to it.
    public var writeErrors: Int
    /// Failed attempts to open it anew; it was written on as it was.
    public var reopenErrors: Int
    /// All of them.
    public var errors: Int { openErrors + writeErrors + reopenErrors }
  }

  /// What can go wrong with the sink.
  enum FailureKind: String, CaseIterable {
    case open
    case write
    case reopen
  }

  let settings: Settings
  let queue: Mutex<RecordQueue>
  let wake: Wakeup
  let done: Wakeup
  let written = Atomic<Int>(0)
  let dropped = Atomic<Int>(0)
  let troubles = CounterFamily<FailureKind>()
  /// Gets a message about failures, at most one in `saysEachMilliseconds`.
  let log: Log

  /// Opens the log and starts its thread.
  /// - Parameter log: where messages about failures go.
  /// - Throws: `RecordWriterError` where the path cannot be opened. A FIFO that has no reader yet is no error.
  public init(
    _ settings: Settings, log: Log = .standardError
  ) throws(RecordWriterError) {
    self.settings = settings
    self.log = log
    queue = Mutex(RecordQueue(limit: settings.queueLimit))
    guard let wake = Wakeup(), let done = Wakeup() else {
      throw RecordWriterError(description: "cannot start the log's thread: \(Self.message(errno))")
    }
    self.wake = wake
    self.done = done
    var sink = RecordWriterSink(path: settings.path)
    let failure = sink.open()
    guard failure == 0 || failure == ENXIO else {
      throw RecordWriterError(description: "cannot open the log \(settings.path): \(Self.message(failure))")
    }
    // One descriptor from the start on: a FIFO's reader would take a second opening's close for the end.
    let descriptor = sink.release()
    let thread = DetachedThread.start { [self] in RecordWriterLoop.run(for: self, descriptor: descriptor) }
    guard thread == 0 else {
      throw RecordWriterError(description: "cannot start the log's thread: \(Self.message(thread))")
    }
  }

  /// Hands a record in; from any thread. Never waits for the sink.
  /// - Parameter fill: called at once, with an empty record.
  public func submit(_ fill: (inout ExchangeRecord) -> Void) {
    let queued = queue.withLock { $0.recycled() } ?? QueuedRecord()
    queued.fill(fill)
    switch queue.withLock({ $0.push(queued) }) {
    case .queued: break
    case .queuedAsleep: wake.set()
    case .dropped: dropped.add(1, ordering: .relaxed)
    }
  }

  /// Opens the path anew (SIGHUP after a rename): the lines of records submitted from now on go to the new file, and no
  /// line is split between the two.
  public func reopen() {
    queue.withLock { $0.askToReopen() }
    wake.set()
  }

  /// Writes what is waiting, for at most `milliseconds`, and ends the thread. Records submitted afterwards are dropped.
  /// - Returns: the number of records accepted that could not be written.
  @discardableResult
  public func close(timeoutMilliseconds milliseconds: Int) -> Int {
    let milliseconds = min(max(milliseconds, 0), 86_400_000)
    let deadline = Instant.now().advanced(byNanoseconds: Int64(milliseconds) * 1_000_000)
    queue.withLock { $0.close(by: deadline) }
    wake.set()
    // A little longer than the thread itself waits; a disk that hangs in the kernel does not hang us.
    done.wait(milliseconds: Int32(clamping: milliseconds + 100))
    return queue.withLock { $0.accepted } - written.load(ordering: .acquiring)
  }

  /// The counters; from any thread.
  public var statistics: Statistics {
    Statistics(
      written: written.load(ordering: .relaxed), dropped: dropped.load(ordering: .relaxed),
      waiting: queue.withLock { $0.outstanding }, waitingLimit: settings.queueLimit,
      openErrors: Int(clamping: troubles.count(.open)), writeErrors: Int(clamping: troubles.count(.write)),
      reopenErrors: Int(clamping: troubles.count(.reopen)))
  }

  static func message(_ error: Int32) -> String { unsafe String(cString: strerror(error)) }
}
