// Configuration and record logs: texts that people and programs write, edit and cut.
import Configuration
import Glibc
import Measurement
import RecordLog
import SettingValues

/// A file, and behind the first and second NUL an environment and assignments, a line each: loaded or refused in words.
func checkConfiguration(_ bytes: [UInt8]) throws(Finding) {
  let parts = bytes.split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false).map {
    String(decoding: $0, as: UTF8.self)
  }
  func lines(_ index: Int) -> [String] {
    index < parts.count ? parts[index].split(separator: "\n").map(String.init) : []
  }
  var results: [Result<Settings, SettingsErrors>] = []
  for _ in 0..<2 {
    var loader = SettingsLoader()
    loader.addFile(path: "fuzz.yaml", contents: parts[0])
    var environment: [String: String] = [:]
    for line in lines(1) {
      let pair = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      if pair.count == 2 { environment["TACHOGRAPH_" + pair[0]] = pair[1] }
    }
    loader.addEnvironment(environment)
    loader.addAssignments(lines(2))
    do throws(SettingsErrors) { results.append(.success(try loader.load())) } catch {
      results.append(.failure(error))
    }
  }
  try hold(results[0] == results[1], "loaded twice, it is not the same")
  guard case .failure(let errors) = results[0] else { return }
  try hold(!errors.problems.isEmpty, "refused for no reason")
  for problem in errors.problems {
    let text = problem.description
    try hold(!text.isEmpty && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }, "said: \(text)")
  }
}

/// A log: each line is told apart without a crash, a record that is written again is the same, and lines are lines.
func checkRecords(_ bytes: [UInt8]) throws(Finding) {
  let parser = RecordParser()
  let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
  for line in lines {
    guard case .record(let record) = unsafe parser.parse(line.span.bytes) else { continue }
    // A number that no record can hold is unknown once it is written; from then on nothing changes.
    let once = try rewritten(record, parser)
    let twice = try rewritten(once, parser)
    try hold(once == twice || hasLongNumber(line), "written again, it is another: \(once) then \(twice)")
  }
  // An empty line is none.
  try checkLines(bytes, lines.filter { !$0.isEmpty })
}

private func rewritten(_ record: ExchangeRecord, _ parser: RecordParser) throws(Finding) -> ExchangeRecord {
  var encoder = RecordEncoder()
  var record = record
  encoder.append(&record)
  let line: [UInt8] = encoder.withLines { unsafe $0.withUnsafeBytes { unsafe Array($0.dropLast()) } }
  guard case .record(let reread) = unsafe parser.parse(line.span.bytes) else {
    throw Finding("written again, it is no record: \(shown(line))")
  }
  return reread
}

/// Whether there are thirteen digits in a row: as milliseconds, three centuries, and no thousandths.
private func hasLongNumber(_ bytes: ArraySlice<UInt8>) -> Bool {
  bytes.split { !(0x30...0x39).contains($0) }.contains { $0.count >= 13 }
}

private func checkLines(_ bytes: [UInt8], _ lines: [ArraySlice<UInt8>]) throws(Finding) {
  var path = Array("/dev/shm/tachograph-fuzz-XXXXXX\0".utf8CString)
  let descriptor = unsafe mkstemp(&path)
  guard descriptor >= 0 else { return }
  defer { close(descriptor) }
  unsafe unlink(path)
  _ = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
  do {
    let reader = try RecordReader(path: "/proc/self/fd/\(descriptor)")
    let middle = bytes.count / 2
    for ranges in [[0..<bytes.count], [0..<middle, middle..<bytes.count]] {
      var read: [[UInt8]] = []
      for range in ranges {
        _ = try reader.forEachLine(startingIn: range) { line in
          read.append(unsafe line.withUnsafeBytes { unsafe Array($0) })
        }
      }
      try hold(read == lines.map(Array.init), "\(read.count) lines in place of \(lines.count), or others")
    }
  } catch let finding as Finding {
    throw finding
  } catch {
    // A compressed log is refused by its first bytes.
    return
  }
}
