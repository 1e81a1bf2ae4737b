// Keeps the records of open exchanges beside the log while the service drains: whoever kills it then loses none.
import Glibc
import Logging
import Measurement
import Proxy
import RecordLog
import Synchronization

/// Renews `LOG.open` each second, on a thread of its own, until it is ended. From any thread.
final class OpenRecordsKeeper: Sendable {
  private static let renewalMilliseconds: Int32 = 1_000
  /// How long to wait for the workers.
  private static let answerMilliseconds: Int32 = 200

  private let server: ProxyServer
  private let writer: RecordWriter
  private let path: String
  private let log: Log
  private let ending: Wakeup
  private let ended: Wakeup
  private let mustRemove = Atomic<Bool>(false)

  /// Starts it.
  /// - Parameter path: the log's, a regular file.
  /// - Returns: nil where the system has no thread or descriptors for it.
  init?(_ server: ProxyServer, _ writer: RecordWriter, path: String, log: Log) {
    guard let ending = Wakeup(), let ended = Wakeup() else { return nil }
    (self.server, self.writer, self.path, self.log) = (server, writer, path, log)
    (self.ending, self.ended) = (ending, ended)
    guard DetachedThread.start({ [self] in run() }) == 0 else { return nil }
  }

  /// Ends it; waits until it has ended.
  /// - Parameter removing: whether every record is in the log: then the file goes, else it is left for the next start.
  func end(removing: Bool) {
    mustRemove.store(removing, ordering: .releasing)
    ending.set()
    ended.wait(milliseconds: 2 * Self.renewalMilliseconds)
  }

  private func run() {
    defer { ended.set() }
    var lines = OpenLines()
    var file: OpenRecordsFile?
    var hasFailed = false
    repeat {
      let open = server.openRecords(waiting: Self.answerMilliseconds)
      lines.renew(open, accepted: writer.accepted, written: writer.statistics.written)
      if lines.isEmpty, file == nil { continue }
      file = file ?? OpenRecordsFile(log: path)
      if file?.replace(lines.all) == true || hasFailed { continue }
      hasFailed = true
      log.warning(
        "cannot keep the records of open exchanges in \(file?.path ?? path + ".open"): "
          + "\(unsafe String(cString: strerror(errno))); if the process is killed now they are lost")
    } while !isEnding(after: Self.renewalMilliseconds)
    if mustRemove.load(ordering: .acquiring) { file?.remove() }
  }

  private func isEnding(after milliseconds: Int32) -> Bool {
    ending.wait(milliseconds: milliseconds)
    return ending.isSet
  }
}

/// The lines of the exchanges that are open, and of those that have ended and whose records are not written yet.
struct OpenLines {
  private var open: [OpenRecord] = []
  private var unwritten: [(record: OpenRecord, accepted: Int)] = []

  /// All lines.
  var all: [[UInt8]] { (open + unwritten.map(\.record)).map(\.line) }
  var isEmpty: Bool { open.isEmpty && unwritten.isEmpty }

  /// Takes over what is open now.
  /// - Parameters:
  ///   - accepted: records that the log's writer had accepted after these were found.
  ///   - written: records that it has written.
  mutating func renew(_ now: [OpenRecord], accepted: Int, written: Int) {
    let ids = Set(now.map(\.id))
    // The record of an exchange that has ended is among those accepted.
    unwritten += open.filter { !ids.contains($0.id) }.map { ($0, accepted) }
    unwritten.removeAll { written >= $0.accepted }
    open = now
  }
}
