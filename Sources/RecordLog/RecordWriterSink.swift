// Where lines go: a file, a FIFO, a device or standard output, none of which may ever hold its thread for good.
// It must not know what a line is.
import Glibc

/// An open sink, or one that is yet to be opened. Owned by the writer's thread.
struct RecordWriterSink: ~Copyable {
  /// What came of writing some bytes.
  enum Outcome {
    case wrote(Int)
    /// The reader does not keep up: poll `descriptor` before the next try.
    case blocked
    /// `errno`: nothing was written.
    case failed(Int32)
  }

  /// Everybody's group may read the log (a collector runs as another user); nobody else may.
  static let mode: mode_t = 0o640

  let path: String
  private(set) var descriptor: Int32 = -1
  /// The sink ends within a line that nobody is going to finish (a crash, a full disk).
  private(set) var endsWithinLine = false
  /// Whether it is a file of our own opening, which another process may be writing to as well.
  private var isFile = false
  /// The most to be written at once, where the descriptor is shared and may block: what a writable pipe surely takes.
  private var atOnce = Int.max

  private var isStandardOutput: Bool { path == "-" }

  init(path: String) { self.path = path }

  /// A sink whose descriptor another one has `released`.
  init(path: String, adopting descriptor: Int32) {
    self.path = path
    if descriptor >= 0 { adopt(descriptor) }
  }

  deinit { if descriptor >= 0, path != "-" { close(descriptor) } }

  /// Opens the sink anew, and closes the one before once that has succeeded. `errno`, or 0.
  mutating func open() -> Int32 {
    if isStandardOutput {
      adopt(STDOUT_FILENO)
      return 0
    }
    var status = stat()
    let isSpecial = unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
    // Reading is for the last byte only; a FIFO opened for both would have us as its reader.
    let flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY
    var fresh = unsafe Glibc.open(path, flags | (isSpecial ? O_WRONLY : O_RDWR), Self.mode)
    if fresh < 0, errno == EACCES, !isSpecial { fresh = unsafe Glibc.open(path, flags | O_WRONLY, Self.mode) }
    guard fresh >= 0 else { return errno }
    shut()
    endsWithinLine = false
    adopt(fresh)
    return 0
  }

  private mutating func adopt(_ fresh: Int32) {
    descriptor = fresh
    if isStandardOutput {
      // Its description is shared with whoever started us: it is not ours to make it non-blocking.
      var status = stat()
      let isRegular = unsafe fstat(fresh, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
      atOnce = isRegular ? Int.max : Int(PIPE_BUF)
    } else {
      let isInLine = Self.lastByteIsInLine(fresh)
      isFile = isInLine != nil
      endsWithinLine = isInLine ?? false
    }
  }

  /// Gives the descriptor away to a sink that `adopts` it; -1 where none is open.
  mutating func release() -> Int32 {
    defer { descriptor = -1 }
    return descriptor
  }

  /// Nil where that cannot be known: what is no file, or may not be read.
  private static func lastByteIsInLine(_ descriptor: Int32) -> Bool? {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    guard status.st_size > 0 else { return false }
    var last: UInt8 = 0
    return unsafe pread(descriptor, &last, 1, status.st_size - 1) == 1 ? last != UInt8(ascii: "\n") : nil
  }

  private mutating func shut() {
    if descriptor >= 0, !isStandardOutput { close(descriptor) }
    descriptor = -1
  }

  /// Writes what the sink takes now.
  mutating func write(_ bytes: RawSpan) -> Outcome {
    if atOnce != Int.max, !isWritable() { return .blocked }
    // Tells `endTornLine` of another process that this one is in the middle of a line; that is all, and never waited for.
    if isFile { flock(descriptor, LOCK_SH | LOCK_NB) }
    let written = unsafe bytes.withUnsafeBytes { buffer in
      unsafe Glibc.write(descriptor, buffer.baseAddress, min(buffer.count, atOnce))
    }
    let error = errno
    if isFile { flock(descriptor, LOCK_UN) }
    if written >= 0 { return .wrote(written) }
    if error == EAGAIN || error == EINTR { return .blocked }
    // A FIFO whose reader has gone is opened again for the next one; what it held is lost with it.
    if error == EPIPE { shut() }
    return .failed(error)
  }

  /// Ends a torn line, so that it stays torn alone.
  mutating func endTornLine() -> Outcome {
    // What looks torn may be a line that another process, from which we take over, is about to finish: a write shows before
    // its end.
    if isFile, awaitOtherWriters(), Self.lastByteIsInLine(descriptor) == false {
      endsWithinLine = false
      return .wrote(0)
    }
    let newline: [UInt8] = [UInt8(ascii: "\n")]
    let outcome = unsafe write(newline.span.bytes)
    if case .wrote(1) = outcome { endsWithinLine = false }
    return outcome
  }

  /// Waits until no process is in the middle of a write, for at most a tenth of a second.
  /// - Returns: whether that is known.
  private func awaitOtherWriters() -> Bool {
    for _ in 0..<20 {
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
        flock(descriptor, LOCK_UN)
        return true
      }
      usleep(5_000)
    }
    return false
  }

  /// A line was begun and will not be gone on with.
  mutating func leaveLineTorn() { endsWithinLine = true }

  private func isWritable() -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return unsafe poll(&entry, 1, 0) == 1
  }
}
