// Whole files read by several threads: the same report as by one, whatever the pieces.
import CZlib
import Glibc
import RecordLog
import TestSupport
import Testing

@testable import Report

@Suite("Scanning logs")
struct ReportScanTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private let lines = (0..<300).map { index in
    line([
      "ts": "\"2026-10-01T12:\(10 + index * 7 % 50):00Z\"", "user": "\"u\(index % 7)\"",
      "ttft_ms": "\(index * index % 977)", "in_flight": "\(index % 9 + 1)",
    ])
  }

  /// The lines in two files, the first of which ends within one.
  private func scan(pieceBytes: Int) throws -> ReportScan {
    let first = try folder.write(lines[..<200].joined(separator: "\n") + "\ntorn {", to: "first")
    let second = try folder.write(lines[200...].joined(separator: "\n"), to: "second")
    return try ReportScan(paths: [first, second], pieceBytes: pieceBytes)
  }

  private func json(_ tally: ReportTally) -> String { ReportSummary(tally, top: .max).json { "\($0)" } }

  private var expected: String { json(tally(lines + ["torn {"], by: .user)) }

  @Test(
    "Parts that count pieces in turn make the report that one makes, to the last digit", arguments: [2, 3, 5],
    [1_000, 20_000])
  func parts(_ count: Int, _ pieceBytes: Int) throws {
    let scan = try scan(pieceBytes: pieceBytes)
    let shared = SharedScan()
    var parts = (0..<count).map { _ in ScanPart(of: scan, into: ReportTally(by: .user)) }
    var turn = 0
    while parts[turn % count].countNextPiece(shared) { turn += 1 }
    for part in parts {
      #expect((1..<300).contains(part.tally.reading.records), "every part has some lines, and none has all")
      shared.add(part.tally)
    }
    #expect(json(try #require(shared.tally)) == expected)
  }

  @Test("So do threads", arguments: [1, 2, 4], [1_000, 1 << 20])
  func threads(_ threads: Int, _ pieceBytes: Int) throws {
    let tally = try scan(pieceBytes: pieceBytes).run(into: ReportTally(by: .user), threads: threads)
    #expect(json(tally) == expected)
  }

  @Test("A compressed file is one piece, and makes the same report", arguments: [1, 3])
  func compressed(_ threads: Int) throws {
    let first = try folder.write(lines[..<200].joined(separator: "\n") + "\ntorn {", to: "first")
    let second = folder.file("second.gz")
    let file = try #require(gzopen(second, "wb"))
    let bytes = Array(lines[200...].joined(separator: "\n").utf8)
    #expect(gzwrite(file, bytes, UInt32(bytes.count)) == Int32(bytes.count))
    #expect(gzclose(file) == Z_OK)
    let scan = try ReportScan(paths: [first, second], pieceBytes: 1_000)
    #expect(scan.byteCount != nil)
    #expect(json(try scan.run(into: ReportTally(by: .user), threads: threads)) == expected)
  }

  @Test("After a failure no piece is given out")
  func failure() {
    let shared = SharedScan()
    #expect(shared.nextPiece(of: 2) == 0)
    shared.fail(.isDirectory(path: "first"))
    shared.fail(.isDirectory(path: "second"))
    #expect(shared.nextPiece(of: 2) == nil)
    #expect(shared.failure == .isDirectory(path: "first"))
  }

  @Test("A log that is not there fails before anything is read")
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
