// The simulator's truth: one JSON line for each request, with the time at which each token was written.
// It must not contain any text of a request but its x-request-id.
import Clocks
import Glibc

/// What became of one request, as the server knows it.
struct TruthEntry {
  enum Outcome: String {
    case ok, error, cut, tear, reset, garbage, hang, aborted
    case status
    case noTerminator = "no_done"
  }
  /// One write of one token-bearing event.
  struct Write {
    var beforeAt: Instant
    var afterAt: Instant
    var tokens: Int
  }

  var number: Int
  var path: String
  var requestID: String?
  var status = 200
  var isStreamed = false
  var choices = 1
  var completeAt: Instant
  var startedAt: Instant?
  var endAt: Instant?
  var abortedAt: Instant?
  var outcome = Outcome.ok
  /// Tokens of all choices.
  var tokens = 0
  /// Writes that the socket did not take at once.
  var queuedWrites = 0
  var writes: [Write] = []

  /// The line, with the keys that README.md of this module explains. Instants are nanoseconds of CLOCK_MONOTONIC.
  func append(to line: inout [UInt8]) {
    line.append("{\"id\":\"sim-" as StaticString)
    line.append(decimal: number)
    line.append("\",\"request_id\":" as StaticString)
    if let requestID { line.append(jsonString: requestID) } else { line.append("null" as StaticString) }
    line.append(",\"path\":" as StaticString)
    line.append(jsonString: path)
    line.append(",\"status\":" as StaticString)
    line.append(decimal: status)
    line.append(isStreamed ? ",\"stream\":true" : ",\"stream\":false" as StaticString)
    line.append(",\"outcome\":\"" as StaticString)
    line.append(outcome.rawValue)
    line.append("\",\"choices\":" as StaticString)
    line.append(decimal: choices)
    line.append(",\"tokens\":" as StaticString)
    line.append(decimal: tokens)
    append("complete_ns", completeAt, to: &line)
    append("start_ns", startedAt, to: &line)
    append("end_ns", endAt, to: &line)
    append("aborted_at_ns", abortedAt, to: &line)
    line.append(",\"queued_writes\":" as StaticString)
    line.append(decimal: queuedWrites)
    line.append(",\"writes\":[" as StaticString)
    for (index, write) in writes.enumerated() {
      line.append(index == 0 ? "[" : ",[" as StaticString)
      line.append(decimal: write.beforeAt.nanoseconds)
      line.append(UInt8(ascii: ","))
      line.append(decimal: write.afterAt.nanoseconds)
      line.append(UInt8(ascii: ","))
      line.append(decimal: write.tokens)
      line.append(UInt8(ascii: "]"))
    }
    line.append("]}\n" as StaticString)
  }

  private func append(_ key: StaticString, _ instant: Instant?, to line: inout [UInt8]) {
    line.append(",\"" as StaticString)
    line.append(key)
    line.append("\":" as StaticString)
    if let instant { line.append(decimal: instant.nanoseconds) } else { line.append("null" as StaticString) }
  }
}

/// The file of truth lines. Each is written with one call as its request ends, so that readers can follow the file.
final class TruthFile {
  private let path: String
  private let descriptor: Int32
  private var isLost = false

  /// Creates the file, or empties it.
  init(path: String) throws(SimulatorError) {
    self.path = path
    descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw Self.failure(path) }
  }

  deinit { close(descriptor) }

  private static func failure(_ path: String) -> SimulatorError {
    SimulatorError("cannot write the truth to '\(path)': \(unsafe String(cString: strerror(errno)))")
  }

  /// Writes a line. Once that has failed nothing more is written: the next line would become part of a torn one.
  /// - Throws: why it cannot be written, the first time only.
  func write(_ entry: TruthEntry) throws(SimulatorError) {
    guard !isLost else { return }
    var line: [UInt8] = []
    line.reserveCapacity(320 + 40 * entry.writes.count)
    entry.append(to: &line)
    var start = 0
    while start < line.count {
      let written = unsafe line.withUnsafeBytes { bytes in
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[start...])
        return unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
      }
      if written > 0 {
        start += written
      } else if written == 0 || errno != EINTR {
        isLost = true
        throw Self.failure(path)
      }
    }
  }
}
