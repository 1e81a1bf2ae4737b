// Whole files read by several threads: the same report as by one, whatever the pieces.
// It must not test how lines are told apart.
import Glibc
import RecordLog
import TestSupport
import Testing

@testable import Report

@Suite("Scanning logs")
struct ReportScanTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test(
    "Several threads and pieces make the report that one makes, to the last digit", arguments: [1, 2, 4],
    [1_000, 20_000, 1 << 20])
  func threads(_ threads: Int, _ pieceBytes: Int) throws {
    let lines = (0..<300).map { place in
      line(["user": "\"u\(place % 7)\"", "ttft_ms": "\(place * place % 977)", "in_flight": "\(place % 9 + 1)"])
    }
    let first = try folder.write(lines[..<200].joined(separator: "\n") + "\ntorn {", to: "first")
    let second = try folder.write(lines[200...].joined(separator: "\n"), to: "second")
    let scan = try ReportScan(paths: [first, second], pieceBytes: pieceBytes)
    let scanned = try scan.run(into: ReportTally(by: .user), threads: threads)
    let expected = ReportSummary(tally(lines + ["torn {"], by: .user), top: .max).json { "\($0)" }
    #expect(ReportSummary(scanned, top: .max).json { "\($0)" } == expected)
  }

  @Test("A log that is not there is told before anything is read")
  func missing() throws {
    let path = try folder.write(line(), to: "log")
    #expect(throws: RecordReadError.system(path: path + ".gone", call: "open", errno: ENOENT)) {
      try ReportScan(paths: [path, path + ".gone"])
    }
  }

  @Test("An empty log is an empty report")
  func empty() throws {
    let path = try folder.write("", to: "log")
    let tally = try ReportScan(paths: [path]).run(into: ReportTally(by: .model), threads: 2)
    #expect(ReportSummary(tally, top: 5).all.requests == 0)
  }
}
