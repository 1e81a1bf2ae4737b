// The operator's log on standard error: lines wait in a bounded queue for a thread that may block.
import Glibc
import Synchronization

/// Writes each message as one line that begins with the program's name.
///
/// Standard error may be a pipe that nobody reads. A write to it then blocks without limit, so only this sink's own thread
/// writes. What does not fit into the queue meanwhile is dropped and counted; once lines are accepted again, a line says
/// how many are missing. (Setting `O_NONBLOCK` instead would change the descriptor for every process that shares it.)
public final class StandardErrorSink: LogSink {
  /// The longest line in bytes, its newline included. A pipe takes as much in one piece (`PIPE_BUF`), so that lines of
  /// several processes do not mix.
  static let longestLine = 4_096

  private struct Queue {
    var lines: [String] = []
    /// Messages dropped of which no line says yet that they are missing.
    var drops = 0
    /// Lines in `lines` or being written.
    var outstanding = 0
  }

  private let program: String
  private let descriptor: Int32
  private let queueLimit: Int
  private let queue = Mutex(Queue())
  private let dropped = Atomic<Int>(0)
  private let wakeup = Wakeup()
  /// False where the system has no thread left, in which case no worker can have started.
  private let hasThread = Atomic<Bool>(false)

  /// Starts the sink's thread, which lives as long as the process.
  /// - Parameters:
  ///   - program: what each line begins with.
  ///   - descriptor: where the lines go; it must stay open.
  ///   - queueLimit: lines that may wait for the thread.
  public init(program: String, descriptor: Int32 = STDERR_FILENO, queueLimit: Int = 1_000) {
    self.program = program
    self.descriptor = descriptor
    self.queueLimit = queueLimit
    guard let wakeup else { return }
    hasThread.store(DetachedThread.start { [self] in run(wakeup) } == 0, ordering: .relaxed)
  }

  /// Messages that found the queue full, or that standard error refused.
  public var droppedMessages: Int { dropped.load(ordering: .relaxed) }

  /// Queues the message's line, or drops it where the queue is full.
  public func accept(_ entry: Log.Entry) {
    let line = line(entry)
    guard hasThread.load(ordering: .relaxed) else { return write(line) }
    queue.withLock { queue in
      guard queue.outstanding < queueLimit else {
        queue.drops += 1
        dropped.add(1, ordering: .relaxed)
        return
      }
      queue.lines.append(line)
      queue.outstanding += 1
    }
    wakeup?.set()
  }

  /// Waits until every queued line is written, and how many are missing; at most `milliseconds`.
  public func flush(milliseconds: Int) {
    // Only at the end of the process: asking each millisecond needs no second signal from the thread.
    for _ in 0..<max(milliseconds, 0) {
      if queue.withLock({ $0.outstanding == 0 && $0.drops == 0 }) { return }
      usleep(1_000)
    }
  }

  private func line(_ entry: Log.Entry) -> String {
    let label =
      switch entry.level {
      case .debug: "debug: "
      case .info: ""
      case .warning: "warning: "
      case .error: "error: "
      }
    let text = "\(program): \(label)\(entry.message)"
    guard text.utf8.count >= Self.longestLine else { return text + "\n" }
    let mark = "…\n"
    // Within a character the end is rounded down to where the character begins.
    let end = text.utf8.index(text.startIndex, offsetBy: Self.longestLine - mark.utf8.count)
    return text[..<end] + mark
  }

  // MARK: The sink's thread

  /// How long another writer's long line is waited for. A message is worth more than that line.
  private static let lockMilliseconds = 1_000

  private func run(_ wakeup: Wakeup) {
    // With `2>&1` records go to the same pipe.
    let lock = PipeLock(of: descriptor)
    while true {
      wakeup.wait(milliseconds: -1)
      wakeup.clear()
      while writeQueued(lock) {}
    }
  }

  /// - Returns: false where nothing was waiting.
  private func writeQueued(_ lock: PipeLock?) -> Bool {
    let (lines, drops) = queue.withLock { queue in
      defer { queue.lines = [] }
      return (queue.lines, queue.drops)
    }
    for line in lines {
      let isLocked = lock?.lock(exclusively: false, milliseconds: Self.lockMilliseconds) == true
      write(line)
      if isLocked { lock?.unlock() }
      queue.withLock { $0.outstanding -= 1 }
    }
    if drops > 0 {
      let message = "\(drops) messages are missing here: standard error did not accept them in time"
      write(line(Log.Entry(level: .warning, message: message)))
      queue.withLock { $0.drops -= drops }
    }
    return !lines.isEmpty || drops > 0
  }

  private func write(_ line: String) {
    var line = line
    let isWritten = line.withUTF8 { bytes in
      var written = 0
      while written < bytes.count {
        let count = unsafe Glibc.write(descriptor, bytes.baseAddress.map { unsafe $0 + written }, bytes.count - written)
        if count >= 0 {
          written += count
        } else if errno == EAGAIN {
          waitUntilWritable()
        } else if errno != EINTR {
          return false
        }
      }
      return true
    }
    if !isWritten { dropped.add(1, ordering: .relaxed) }
  }

  /// Another process may have made the shared descriptor non-blocking.
  private func waitUntilWritable() {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    _ = unsafe poll(&entry, 1, -1)
  }
}

extension Log {
  /// The log of this process: on standard error, with what is queued written out before the process exits.
  public static let standardError: Log = {
    // A second is bearable where nobody reads, and more than enough where somebody does.
    atexit { Log.standardError.flush(milliseconds: 1_000) }
    return Log(sink: StandardErrorSink(program: "tachograph"))
  }()
}
