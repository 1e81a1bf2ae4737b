// The writing end of a record log: workers submit records and go on; one thread encodes and writes them.
// `submit` must never wait for the sink.
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

  fileprivate static func noThread(_ number: Int32) -> RecordWriterError {
    RecordWriterError(description: "cannot start the record log's thread: \(unsafe String(cString: strerror(number)))")
  }
}

/// Appends records to a log from a thread of its own.
///
/// `submit` costs a short lock. When the queue is full the record is dropped and counted, and once the sink works again a
/// notice in the log says how many are missing (README.md of this folder). It must be closed: its thread lives until then.
public final class RecordWriter: Sendable {
  /// Where and how records are written.
  public struct Settings: Sendable {
    /// The path of a file (created with mode 0640 where there is none), a FIFO or a device; `-` is standard output.
    public var path: String
    /// This proxy's name, for the notices of missing records.
    public var instance: String
    /// Records that may wait, those being written included.
    public var queueLimit = 8_192
    /// How long records are gathered before they are written together.
    public var tickMilliseconds: Int32 = 50
    /// How soon a sink that failed is tried again.
    public var retryMilliseconds: Int32 = 500
    /// A failure that lasts is logged when it begins and after this time, then after ten times as long, and so on; every
    /// attempt is counted. That writing works again is logged, too.
    public var reminderMilliseconds = 60_000

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
    /// Records that will never be written.
    public var dropped: Int
    /// Records that wait for the thread, or are being written.
    public var waiting: Int
    /// Records that may wait.
    public var waitingLimit: Int
    /// Failed attempts to open the sink.
    public var openErrors: Int
    /// Failed attempts to write to it.
    public var writeErrors: Int
    /// Failed attempts to open it again; the earlier one stayed in use.
    public var reopenErrors: Int
    /// All failed attempts.
    public var errors: Int { openErrors + writeErrors + reopenErrors }
  }

  /// What can fail with a sink.
  enum FailureKind: String, CaseIterable {
    case open
    case write
    case reopen

    /// For a message: `cannot … the record log`.
    var action: String { self == .write ? "write to" : rawValue }
  }

  let settings: Settings
  let queue: Mutex<RecordQueue>
  let wake: Wakeup
  let done: Wakeup
  let written = Atomic<Int>(0)
  let dropped = Atomic<Int>(0)
  let failures = CounterFamily<FailureKind>()
  let log: Log
  /// Why the sink could not be opened at the start. Set by the thread before `done`.
  private let openingError = Mutex<RecordSinkError?>(nil)

  /// Opens the log and starts its thread.
  /// - Parameter log: where messages about failures go.
  /// - Throws: `RecordWriterError` where the path cannot be opened. A FIFO that has no reader yet is no error.
  public convenience init(_ settings: Settings, log: Log = .standardError) throws(RecordWriterError) {
    try self.init(settings, log: log) { settings.makeSink() }
  }

  /// - Parameter makeSink: called once, on the writer's thread, where the sink stays.
  init(
    _ settings: Settings, log: Log, makeSink: @escaping @Sendable () -> any RecordSink
  ) throws(RecordWriterError) {
    self.settings = settings
    self.log = log
    queue = Mutex(RecordQueue(limit: settings.queueLimit))
    guard let wake = Wakeup(), let done = Wakeup() else { throw .noThread(errno) }
    self.wake = wake
    self.done = done
    let failure = DetachedThread.start { [self] in run(makeSink()) }
    guard failure == 0 else { throw .noThread(failure) }
    done.wait(milliseconds: -1)
    done.clear()
    if let error = openingError.withLock({ $0 }) {
      throw RecordWriterError(description: "cannot open the record log \(settings.path): \(error.description)")
    }
  }

  /// The writer's thread.
  private func run(_ sink: any RecordSink) {
    do throws(RecordSinkError) {
      try sink.open()
    } catch  where !error.isTemporary {
      openingError.withLock { $0 = error }
      return done.set()
    } catch {}
    done.set()
    var loop = RecordWriterLoop(writer: self, sink: sink)
    loop.run()
  }

  /// Submits a record; from any thread. Never waits for the sink.
  /// - Parameter fill: called at once, with an empty record.
  public func submit(_ fill: (inout ExchangeRecord) -> Void) {
    let queued = queue.withLock { $0.recycled() } ?? QueuedRecord()
    queued.fill(fill)
    switch queue.withLock({ $0.push(queued) }) {
    case .queued: break
    case .queuedForWake: wake.set()
    case .dropped: dropped.add(1, ordering: .relaxed)
    }
  }

  /// Opens the path again after a rename: the lines of records submitted from now on go to the new file, and no line is
  /// split between the two.
  public func reopen() {
    queue.withLock { $0.requestReopen() }
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

  /// Records that were accepted since the start: all of them are written once `Statistics.written` is as many.
  public var accepted: Int { queue.withLock { $0.accepted } }

  /// The counters; from any thread.
  public var statistics: Statistics {
    Statistics(
      written: written.load(ordering: .relaxed), dropped: dropped.load(ordering: .relaxed),
      waiting: queue.withLock { $0.outstanding }, waitingLimit: settings.queueLimit,
      openErrors: Int(clamping: failures.count(.open)), writeErrors: Int(clamping: failures.count(.write)),
      reopenErrors: Int(clamping: failures.count(.reopen)))
  }
}
