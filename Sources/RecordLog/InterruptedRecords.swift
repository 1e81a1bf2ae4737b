// What a drain that was killed has left beside the log, and how it comes into the log.
import Glibc
import JSON
import Measurement

/// Records of exchanges that were open when their proxy was killed.
public enum InterruptedRecords {
  /// What came of looking for them.
  public struct Outcome: Sendable {
    /// The stages of those that were put into the log.
    public var stages: [Stage?] = []
    /// Why some could not be; they are kept for the next start.
    public var failure: String?
  }

  /// Moves what stands in `LOG.open` into the log: each exchange once, and none of which the log has a record. The files of
  /// processes that still drain are left alone. Call it before the log is written.
  ///
  /// Killed in between, the next start finds in the log what was moved, and moves the rest.
  /// - Parameter log: the path of a log that is a regular file, or is still to be made.
  public static func takeOver(log: String) -> Outcome {
    var outcome = Outcome()
    for path in OpenRecordsFile.paths(log: log) {
      let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
      guard descriptor >= 0 else { continue }
      defer { close(descriptor) }
      guard OpenRecordsFile.lock(descriptor, path) else { continue }
      do throws(RecordReadError) {
        let open = try openRecords(path, log: log)
        try append(open.map(\.line), to: log)
        outcome.stages += open.map(\.stage)
        unsafe unlink(OpenRecordsFile.temporary(path))
        unsafe unlink(path)
      } catch {
        outcome.failure = error.description
      }
    }
    return outcome
  }

  private typealias Found = (id: ExchangeID, stage: Stage?, line: [UInt8])

  /// The records in a file of open ones, of which the log has none.
  private static func openRecords(_ path: String, log: String) throws(RecordReadError) -> [Found] {
    let parser = RecordParser()
    var found: [Found] = []
    var place: LogPlace?
    _ = try RecordReader(path: path).forEachLine { line in
      guard let record = recordBytes(line) else { return place = place ?? LogPlace(line: line) }
      guard case .record(let parsed) = unsafe parser.parse(record.span.bytes) else { return }
      found.append((parsed.id, parsed.stage, record))
    }
    guard !found.isEmpty else { return [] }
    let known = try ids(Set(found.map(\.id)), in: log, behind: place)
    return found.filter { !known.contains($0.id) }
  }

  /// The record in a line of such a file; nil where it is another line, or was cut.
  private static func recordBytes(_ line: RawSpan) -> [UInt8]? {
    let bytes = unsafe line.withUnsafeBytes { unsafe Array($0) }
    guard bytes.starts(with: OpenRecordsFile.opening), bytes.last == OpenRecordsFile.closing else { return nil }
    return Array(bytes[OpenRecordsFile.opening.count...].dropLast())
  }

  // MARK: What the log has

  /// Which of `ids` have a record that was written since `place`, also to a file that was rotated meanwhile.
  private static func ids(
    _ ids: Set<ExchangeID>, in log: String, behind place: LogPlace?
  ) throws(RecordReadError) -> Set<ExchangeID> {
    var known: Set<ExchangeID> = []
    let parser = RecordParser()
    for path in files(of: log, since: place) {
      let reader = try RecordReader(path: path)
      let isSame = place.map { $0.inode == LogPlace(path: path).inode } ?? false
      func note(_ line: RawSpan) {
        let id: RecordLine<ExchangeID> = parser.parse(line) { id, _ in id.string.map { ExchangeID($0) } }
        if case .record(let id) = id, ids.contains(id) { known.insert(id) }
      }
      if isSame, let place, let count = reader.byteCount {
        if place.bytes < count { _ = try reader.forEachLine(startingIn: place.bytes..<count) { note($0) } }
      } else {
        _ = try reader.forEachLine { note($0) }
      }
    }
    return known
  }

  /// The log's file, and those beside it that have its name and something more, and were written since `place`.
  private static func files(of log: String, since place: LogPlace?) -> [String] {
    let slash = log.lastIndex(of: "/")
    let folder = slash.map { String(log[...$0]) } ?? "./"
    let name = slash.map { String(log[log.index(after: $0)...]) } ?? log
    guard let directory = unsafe opendir(folder) else { return [log] }
    defer { unsafe closedir(directory) }
    var files: [String] = []
    while let entry = unsafe readdir(directory) {
      let other = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
        unsafe String(cString: UnsafeRawPointer(name).assumingMemoryBound(to: CChar.self))
      }
      guard other.hasPrefix(name), !other.hasPrefix(name + ".open") else { continue }
      var status = stat()
      guard unsafe stat(folder + other, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
      // A compressed file has the times of the file that it was.
      if let place, status.st_mtim.tv_sec < place.seconds - 1 { continue }
      files.append(folder + other)
    }
    return files
  }

  // MARK: Writing

  /// Appends lines to the log, behind the end of a line that was cut.
  private static func append(_ lines: [[UInt8]], to log: String) throws(RecordReadError) {
    guard !lines.isEmpty else { return }
    func failure(_ call: String) -> RecordReadError { .system(path: log, call: call, errno: errno) }
    let descriptor = unsafe open(log, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o640)
    guard descriptor >= 0 else { throw failure("open") }
    defer { close(descriptor) }
    // As every writer of the log does (FileSink).
    flock(descriptor, LOCK_SH | LOCK_NB)
    var last = UInt8(ascii: "\n")
    let size = LogPlace(descriptor: descriptor).bytes
    if size > 0, unsafe pread(descriptor, &last, 1, off_t(size - 1)) != 1 { throw failure("read") }
    let newline = UInt8(ascii: "\n")
    let bytes = (last == newline ? [] : [newline]) + lines.flatMap { $0 + [newline] }
    guard OpenRecordsFile.write(bytes, to: descriptor), fsync(descriptor) == 0 || errno == EINVAL else {
      throw failure("write to")
    }
  }
}
