// Record logs: texts that programs write, and that a crash cuts.
import Measurement
import RecordLog

/// A log: each line is told apart without a crash, a record that is written again is the same, and lines are lines.
func checkRecords(_ bytes: [UInt8], _ run: FuzzRun) throws(Finding) {
  let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
  for line in lines {
    guard case .record(let record) = unsafe run.records.parse(line.span.bytes) else { continue }
    // A number that no record can hold is unknown once it is written; from then on nothing changes.
    let once = try rewritten(record, run.records)
    let twice = try rewritten(once, run.records)
    try hold(once == twice || hasLongNumber(line), "written again, it is another: \(once) then \(twice)")
  }
  // Files cost much more than lines do.
  guard run.isOne(of: 4) else { return }
  // An empty line is none.
  try checkLines(bytes, lines.filter { !$0.isEmpty }, run)
}

private func rewritten(_ record: ExchangeRecord, _ parser: RecordParser) throws(Finding) -> ExchangeRecord {
  var encoder = RecordEncoder(capacity: 2048)
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

private func checkLines(_ bytes: [UInt8], _ lines: [ArraySlice<UInt8>], _ run: FuzzRun) throws(Finding) {
  guard run.file.write(bytes) else { return }
  do {
    let reader = try RecordReader(path: run.file.path)
    // What looks compressed is inflated as far as it can be.
    guard reader.byteCount != nil else { return _ = try reader.forEachLine { _ in } }
    let middle = bytes.count / 2
    for ranges in run.some(of: [[0..<bytes.count], [0..<middle, middle..<bytes.count]]) {
      var count = 0
      var isSame = true
      for range in ranges {
        _ = try reader.forEachLine(startingIn: range) { line in
          isSame = isSame && count < lines.count && isEqual(line, lines[count])
          count += 1
        }
      }
      try hold(isSame && count == lines.count, "\(count) lines in place of \(lines.count), or others")
    }
  } catch let finding as Finding {
    throw finding
  } catch {
    // Some compressed logs are refused by their first bytes, and damaged ones.
    return
  }
}

private func isEqual(_ line: RawSpan, _ other: ArraySlice<UInt8>) -> Bool {
  unsafe line.withUnsafeBytes { unsafe $0.elementsEqual(other) }
}
