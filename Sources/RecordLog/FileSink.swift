// Lines to a file, a FIFO, a device or standard output. None of them may hold the writer's thread for good.
import Glibc
import Logging

/// A sink at a path; `-` is standard output.
///
/// Several processes may append to one file, or write to one FIFO or pipe. A line that a crash, a full disk or a reopening cut
/// is ended before anything else is written, so that only that line is lost to a reader.
///
/// What is no file gets whole lines of at most `PIPE_BUF` bytes together in one write, which no other write is mixed with
/// (POSIX, write(2)). A longer line is written alone under an exclusive lock (flock) of the FIFO or pipe, which other tachographs
/// heed, and the operator's log, too, where that goes to the same pipe. Where there can be no lock (`PipeLock`), a longer line
/// may be torn by other writers.
final class FileSink: RecordSink {
  /// The group may read the log, since a collector runs as another user; others may not.
  private static let mode: mode_t = 0o640

  let name: String
  private var descriptor: Int32 = -1
  /// What is there ends within a line that nobody is going to finish.
  private(set) var endsWithTornLine = false
  /// Our last write ended within a line, which the next one may finish.
  private var isWithinLine = false
  /// Whether it is a regular file, to which other processes may be writing too.
  private var isFile = false
  /// Whether it is a FIFO, a pipe, a terminal or a device.
  private var isStream = false
  /// The lock of a pipe that other processes may have inherited.
  private var pipeLock: PipeLock?
  /// Whether this process holds the lock for a line that is longer than one write.
  private var holdsLock = false
  /// Whether the last write found another process within such a line.
  private var isLockedOut = false
  /// The largest single write. Where the descriptor is shared and may block, this is what a writable pipe surely takes.
  private var largestWrite = Int.max

  private var isStandardOutput: Bool { name == "-" }

  var isOpen: Bool { descriptor >= 0 }
  var hasPath: Bool { !isStandardOutput }
  var writability: Int32? { isOpen && !isLockedOut ? descriptor : nil }

  init(path: String) { name = path }

  deinit { close() }

  func close() {
    unlock()
    if isOpen, !isStandardOutput { Glibc.close(descriptor) }
    descriptor = -1
    isWithinLine = false
    endsWithTornLine = false
  }

  // MARK: Opening

  func open() throws(RecordSinkError) {
    if isStandardOutput {
      descriptor = STDOUT_FILENO
      // Its open file description is shared with the process that started us: it is not ours to make non-blocking.
      isStream = !Self.isRegular(descriptor)
      largestWrite = isStream ? Int(PIPE_BUF) : .max
      pipeLock = pipeLock ?? PipeLock(of: descriptor)
      abandonLine()
      return
    }
    let opened = try openPath()
    // The same FIFO or device has our half line still; its reader needs the newline.
    let wasWithinLine = isWithinLine || endsWithTornLine
    close()
    descriptor = opened
    let isTorn = Self.endsWithinLine(opened)
    isFile = isTorn != nil
    isStream = !Self.isRegular(opened)
    endsWithTornLine = isTorn ?? wasWithinLine
  }

  private func openPath() throws(RecordSinkError) -> Int32 {
    var status = stat()
    let isSpecial = unsafe stat(name, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
    // Reading is for the last byte only. A FIFO opened for both would have this process as its reader.
    let flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY
    var opened = unsafe Glibc.open(name, flags | (isSpecial ? O_WRONLY : O_RDWR), Self.mode)
    if opened < 0, errno == EACCES, !isSpecial { opened = unsafe Glibc.open(name, flags | O_WRONLY, Self.mode) }
    guard opened < 0 else { return opened }
    let error = errno
    // The earlier one stays in use; the writer starts the line that it is in again.
    abandonLine()
    throw Self.error(error)
  }

  private func abandonLine() {
    endsWithTornLine = endsWithTornLine || isWithinLine
    isWithinLine = false
  }

  private static func isRegular(_ descriptor: Int32) -> Bool {
    var status = stat()
    return unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  /// Whether a file's last byte is not a newline; nil for what is no regular file, or may not be read.
  private static func endsWithinLine(_ descriptor: Int32) -> Bool? {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    guard status.st_size > 0 else { return false }
    var last: UInt8 = 0
    return unsafe pread(descriptor, &last, 1, status.st_size - 1) == 1 ? last != UInt8(ascii: "\n") : nil
  }

  private static func error(_ number: Int32) -> RecordSinkError {
    // ENXIO: a FIFO has no reader yet. The others: a disk is full, and will be cleared.
    RecordSinkError(
      description: unsafe String(cString: strerror(number)), isTemporary: [ENXIO, ENOSPC, EDQUOT].contains(number))
  }

  // MARK: Writing

  func write(_ lines: RawSpan) throws(RecordSinkError) -> Int {
    if endsWithTornLine {
      try endTornLine()
      if endsWithTornLine { return 0 }
    }
    let written = isStream ? try writeLines(lines) : try writeBytes(lines)
    if written > 0 {
      isWithinLine = unsafe lines.unsafeLoad(fromByteOffset: written - 1, as: UInt8.self) != UInt8(ascii: "\n")
    }
    if holdsLock, !isWithinLine { unlock() }
    return written
  }

  /// Writes whole lines that are never mixed with those of others, or a part of one that is longer than `PIPE_BUF`.
  private func writeLines(_ lines: RawSpan) throws(RecordSinkError) -> Int {
    let count = isWithinLine ? lines.endOfFirstLine : lines.endOfLines(within: Int(PIPE_BUF))
    if !holdsLock {
      isLockedOut = !lock(exclusively: isWithinLine || count > Int(PIPE_BUF))
      if isLockedOut { return 0 }
      holdsLock = true
    }
    defer { if count <= Int(PIPE_BUF), !isWithinLine { unlock() } }
    return try writeBytes(lines.extracting(0..<count))
  }

  /// Waits at most 20 ms for a lock.
  /// - Returns: false where another process is within a long line. What knows no locks is not locked.
  private func lock(exclusively: Bool) -> Bool {
    guard let pipeLock else { return PipeLock.lock(descriptor, exclusively: exclusively, milliseconds: 20) }
    return pipeLock.lock(exclusively: exclusively, milliseconds: 20)
  }

  private func unlock() {
    if holdsLock { if let pipeLock { pipeLock.unlock() } else { flock(descriptor, LOCK_UN) } }
    holdsLock = false
  }

  /// Nothing is held back.
  func flush() throws(RecordSinkError) -> Bool { true }

  /// Ends a torn line, where the sink accepts a byte now.
  private func endTornLine() throws(RecordSinkError) {
    // What looks torn may be a line that another process, from which this one takes over, is about to finish: the first
    // bytes of a write can be seen before its end.
    if isFile, awaitOtherWriters(), Self.endsWithinLine(descriptor) == false {
      endsWithTornLine = false
      return
    }
    let newline: [UInt8] = [UInt8(ascii: "\n")]
    if try unsafe writeBytes(newline.span.bytes) == 1 { endsWithTornLine = false }
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

  private func writeBytes(_ bytes: RawSpan) throws(RecordSinkError) -> Int {
    if largestWrite != .max, !isWritable { return 0 }
    // Tells `awaitOtherWriters` of another process that this one is writing. It is never waited for.
    if isFile { flock(descriptor, LOCK_SH | LOCK_NB) }
    let written = unsafe bytes.withUnsafeBytes { buffer in
      unsafe Glibc.write(descriptor, buffer.baseAddress, min(buffer.count, largestWrite))
    }
    let error = errno
    if isFile { flock(descriptor, LOCK_UN) }
    if written >= 0 { return written }
    if error == EAGAIN || error == EINTR { return 0 }
    abandonLine()
    // A FIFO whose reader has gone is opened again for the next one; what the FIFO held is lost.
    if error == EPIPE { close() }
    throw Self.error(error)
  }

  private var isWritable: Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return unsafe poll(&entry, 1, 0) == 1
  }
}

extension RawSpan {
  /// Where the first line ends, its newline included; the end where there is no newline.
  fileprivate var endOfFirstLine: Int { newline(from: 0).map { $0 + 1 } ?? byteCount }

  /// Where the last line ends that ends within `limit` bytes; where the first line is longer, its end.
  fileprivate func endOfLines(within limit: Int) -> Int {
    guard byteCount > limit else { return byteCount }
    var one = 1
    return extracting(0..<limit).newline(numberFromTheEnd: &one).map { $0 + 1 } ?? endOfFirstLine
  }
}
