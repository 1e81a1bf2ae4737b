// Follows a log as it grows, across rotation, truncation and a file that is not there yet.
import Glibc

/// Follows one log, a step at a time. `step` never blocks, so that the caller chooses how to wait.
///
/// Rotation is seen by polling: an inotify watch would save a `stat` ten times a second and needs the same code behind
/// it. A log that is truncated and grows past its old size between two steps looks like one that only grew.
/// Not `Sendable`: one thread follows.
public final class RecordFollower {
  /// What one step found.
  public enum Step: Equatable, Sendable {
    /// Bytes were read, or another file was opened: step again.
    case advanced
    /// There is nothing more now: wait, then step again.
    case idle
    /// Standard input is at its end.
    case ended
  }

  /// As it was given; `-` is standard input.
  public let path: String
  /// Lines that rotation or truncation cut off before their newline came.
  public private(set) var tornLines = 0
  /// Lines skipped because they are longer than 64 MiB.
  public var overlongLines: Int { splitter.overlongLines }
  /// Whether there is a file at all.
  public var isOpen: Bool { descriptor >= 0 }

  private let lastLines: Int
  private var descriptor: Int32 = -1
  private var identity = FileIdentity()
  private var offset = 0
  private var isFirstFile = true
  private var splitter = LineSplitter()
  private var block: Block

  /// Makes a follower; nothing is opened before the first step.
  /// - Parameter lastLines: a file that is there at the first step is read from this many lines before its end on. One
  ///   that comes later is read from its start, as are pipes and standard input.
  public init(path: String, lastLines: Int) {
    self.path = path
    // The newline before them is counted too.
    self.lastLines = min(max(lastLines, 0), .max - 1)
    block = Block(path: path, byteCount: 64 * 1024)
  }

  deinit { if path != RecordReader.standardInput, isOpen { close(descriptor) } }

  /// Reads one block, or checks whether the log was rotated, and calls `body` with each line that is now whole.
  public func step(_ body: (RawSpan) -> Void) throws(RecordReadError) -> Step {
    if !isOpen, try !openFile() { return .idle }
    if !identity.isRegular, !isReadable(withinMilliseconds: 0) { return .idle }
    if try readBlock(body) { return .advanced }
    if path == RecordReader.standardInput { return .ended }
    guard identity.isRegular else { return .idle }
    return try switchFile(body) ? .advanced : .idle
  }

  /// Passes on a last line that has no newline: for a caller that will not step again.
  public func finish(_ body: (RawSpan) -> Void) { splitter.finish(body) }

  /// Waits until there may be more, at most `milliseconds`.
  /// - Parameter watched: an output descriptor whose reader may go away.
  /// - Returns: false where that reader has gone.
  public func wait(milliseconds: Int32, watching watched: Int32) -> Bool {
    var watches = [pollfd(fd: watched, events: 0, revents: 0)]
    // A FIFO whose writer has gone always polls as ready: waiting on it would spin.
    if path == RecordReader.standardInput, !identity.isRegular {
      watches.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
    }
    _ = unsafe poll(&watches, nfds_t(watches.count), milliseconds)
    return watches[0].revents & Int16(POLLERR | POLLHUP | POLLNVAL) == 0
  }

  private func isReadable(withinMilliseconds milliseconds: Int32) -> Bool {
    var watch = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&watch, 1, milliseconds) > 0
  }

  private func readBlock(_ body: (RawSpan) -> Void) throws(RecordReadError) -> Bool {
    let count: Int
    do {
      count = try block.fill(from: descriptor)
    } catch .system(_, _, EAGAIN) {
      return false
    }
    offset += count
    block.withBytes(in: 0..<count) { bytes in splitter.push(bytes, body) }
    return count > 0
  }
}

// Which file, and from where.
extension RecordFollower {
  /// - Returns: false where there is no file yet.
  private func openFile() throws(RecordReadError) -> Bool {
    let startsAtLastLines = isFirstFile
    isFirstFile = false
    if path == RecordReader.standardInput {
      descriptor = STDIN_FILENO
    } else {
      // Without O_NONBLOCK opening a FIFO waits for its writer.
      descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
      if descriptor < 0, errno == ENOENT { return false }
      guard isOpen else { throw .system(path: path, call: "open", errno: errno) }
    }
    guard let found = FileIdentity(descriptor) else { throw .system(path: path, call: "stat", errno: errno) }
    if found.isDirectory { throw .isDirectory(path: path) }
    if found.isRegular, path != RecordReader.standardInput, let compression = LogCompression(ofFile: descriptor) {
      throw .compressed(path: path, compression, readWith: "tail")
    }
    identity = found
    offset = 0
    if startsAtLastLines, found.isRegular, path != RecordReader.standardInput {
      offset = try startOfLastLines(size: found.size)
      lseek(descriptor, off_t(offset), SEEK_SET)
    }
    return true
  }

  /// The offset at which the last `lastLines` lines begin; a line still without its newline is not counted.
  private func startOfLastLines(size: Int) throws(RecordReadError) -> Int {
    var end = size
    // The last of them ends the line before the first one wanted.
    var newlinesLeft = lastLines + 1
    while end > 0 {
      let start = max(end - 64 * 1024, 0)
      let count = try block.fill(from: descriptor, at: start, upTo: end - start)
      let found = block.withBytes(in: 0..<count) { bytes in bytes.newline(numberFromTheEnd: &newlinesLeft) }
      if let found { return start + found + 1 }
      end = start
    }
    return 0
  }

  /// At the end of a regular file: checks whether it was truncated or another file has its name now.
  private func switchFile(_ body: (RawSpan) -> Void) throws(RecordReadError) -> Bool {
    if let now = FileIdentity(descriptor), now.size < offset {
      lseek(descriptor, 0, SEEK_SET)
      offset = 0
      dropPartialLine()
      return true
    }
    // The writer uses the old file until it reopens, so an empty successor means nothing yet. One with a line in it means
    // that the old file is complete, once it has been read to its end after that.
    guard let named = FileIdentity(path: path), !named.isSameFile(as: identity), named.size > 0 || !named.isRegular
    else { return false }
    if try readBlock(body) { return true }
    dropPartialLine()
    close(descriptor)
    descriptor = -1
    return try openFile()
  }

  private func dropPartialLine() {
    if splitter.discardPartialLine() { tornLines += 1 }
  }
}

/// Which file a descriptor or a path refers to.
private struct FileIdentity {
  private var device: dev_t = 0
  private var inode: ino_t = 0
  private var kind: mode_t = 0
  private(set) var size = 0

  var isRegular: Bool { kind == S_IFREG }
  var isDirectory: Bool { kind == S_IFDIR }

  init() {}

  init?(_ descriptor: Int32) {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { return nil }
    self.init(status)
  }

  init?(path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    self.init(status)
  }

  private init(_ status: stat) {
    device = status.st_dev
    inode = status.st_ino
    kind = status.st_mode & S_IFMT
    size = Int(status.st_size)
  }

  func isSameFile(as other: FileIdentity) -> Bool { device == other.device && inode == other.inode }
}
