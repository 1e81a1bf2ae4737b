// The records of exchanges that are open while a proxy drains, kept beside the log for the case that it is killed.
import Glibc
import Measurement

/// The record of an exchange that is open, as it is put into the log if the process is killed now.
public struct OpenRecord: Sendable {
  /// The exchange's.
  public let id: ExchangeID
  /// A line of the log, without its newline.
  public let line: [UInt8]

  /// Encodes a record.
  /// - Parameter encoder: lent for its memory; it has no lines afterwards.
  public init(_ record: inout ExchangeRecord, _ encoder: inout RecordEncoder) {
    id = record.id
    encoder.removeAll()
    encoder.append(&record)
    line = encoder.withLines { lines in unsafe lines.withUnsafeBytes { unsafe Array($0.dropLast()) } }
    encoder.removeAll()
  }
}

/// `LOG.open`: what a drain that is killed would lose. One thread uses it.
///
/// Its process holds a lock on the file until it is gone; what is there without a lock is what a killed process has left
/// (`InterruptedRecords`). Of several processes that drain beside one log, the second has `LOG.open.2`, and so on.
///
/// No line of it is a record for a reader of the log, because their `v` is 0: the first says how far the log had come, and each other
/// has an open exchange's record as its `open`.
public final class OpenRecordsFile {
  private static let mostProcesses = 8
  /// How a line with a record begins, and ends.
  static let opening = Array(#"{"v":0,"open":"#.utf8)
  static let closing = UInt8(ascii: "}")

  /// Where it is.
  public let path: String
  private var descriptor: Int32
  private let firstLine: [UInt8]

  static func paths(log: String) -> [String] {
    (1...mostProcesses).map { log + ".open" + ($0 == 1 ? "" : ".\($0)") }
  }

  /// Makes the file.
  /// - Parameter log: the path of a log that is a regular file.
  /// - Returns: nil where none can be made (`errno`).
  public init?(log: String) {
    for path in Self.paths(log: log) {
      let descriptor = Self.create(path)
      guard descriptor >= 0 else { return nil }
      // What a killed process has left is not ours to replace.
      guard Self.lock(descriptor, path), LogPlace(descriptor: descriptor).bytes == 0 else {
        close(descriptor)
        continue
      }
      self.path = path
      self.descriptor = descriptor
      firstLine = LogPlace(path: log).line
      return
    }
    errno = EEXIST
    return nil
  }

  deinit { close(descriptor) }

  private static func create(_ path: String, truncating: Bool = false) -> Int32 {
    unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (truncating ? O_TRUNC : 0), 0o640)
  }

  /// Locks what was opened at `path`.
  /// - Returns: false where another process has it, or the path leads to another file now.
  static func lock(_ descriptor: Int32, _ path: String) -> Bool {
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return false }
    var (named, opened) = (stat(), stat())
    return unsafe stat(path, &named) == 0 && fstat(descriptor, &opened) == 0 && named.st_ino == opened.st_ino
      && named.st_dev == opened.st_dev
  }

  /// Puts these records in place of the earlier ones, all or none: killed in between, the earlier ones are there.
  /// - Returns: false where they cannot be written (`errno`), as on a full disk.
  public func replace(_ lines: some Sequence<[UInt8]>) -> Bool {
    var bytes = firstLine
    for line in lines {
      bytes += Self.opening
      bytes += line
      bytes += [Self.closing, UInt8(ascii: "\n")]
    }
    let fresh = Self.create(Self.temporary(path), truncating: true)
    guard fresh >= 0 else { return false }
    // Locked before it has the name by which it is found.
    let isWhole = flock(fresh, LOCK_EX | LOCK_NB) == 0 && Self.write(bytes, to: fresh)
    guard isWhole, unsafe rename(Self.temporary(path), path) == 0 else {
      let reason = errno
      unsafe unlink(Self.temporary(path))
      close(fresh)
      errno = reason
      return false
    }
    close(descriptor)
    descriptor = fresh
    return true
  }

  static func temporary(_ path: String) -> String { path + ".new" }

  static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var written = 0
    while written < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe Glibc.write(descriptor, buffer.baseAddress.map { unsafe $0 + written }, buffer.count - written)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      written += count
    }
    return true
  }

  /// Removes the file: every exchange has its record.
  public func remove() { unsafe unlink(path) }
}
