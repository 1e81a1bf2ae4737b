// LOG.open: what a drain that is killed leaves beside the log, and that it comes into the log once.
import Foundation
import Glibc
import Measurement
import TestSupport
import Testing

@testable import RecordLog

@Suite("Records of open exchanges")
struct InterruptedRecordsTests {
  private let folder: TemporaryFolder
  private var log: String { folder.file("log.jsonl") }

  init() throws { folder = try TemporaryFolder() }

  private func open(_ number: Int) -> OpenRecord {
    var encoder = RecordEncoder()
    var record = record(number)
    record.outcome = .interrupted
    record.stage = .streaming
    return OpenRecord(&record, &encoder)
  }

  /// A process writes its open records, and is killed: nothing removes the file, and its lock goes.
  private func kill(withOpen numbers: [Int], earlier: [Int] = []) throws {
    let file = try #require(OpenRecordsFile(log: log))
    #expect(file.replace(earlier.map { open($0).line }))
    #expect(file.replace(numbers.map { open($0).line }))
  }

  private func write(_ numbers: [Int], to name: String = "log.jsonl") throws {
    for number in numbers { try folder.append(String(decoding: open(number).line, as: UTF8.self) + "\n", to: name) }
  }

  private func ids() throws -> [String] { try lines(log).compactMap { id($0) } }

  private var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() }
  }

  @Test("The next start moves them into the log, once")
  func moved() throws {
    defer { folder.remove() }
    try write([1])
    try kill(withOpen: [3, 4], earlier: [2, 3])
    let outcome = InterruptedRecords.takeOver(log: log)
    #expect(outcome.stages == [.streaming, .streaming] && outcome.failure == nil)
    #expect(try ids() == ["r1", "r3", "r4"])
    #expect(try names == ["log.jsonl"])
    #expect(InterruptedRecords.takeOver(log: log).stages.isEmpty)
    #expect(try ids() == ["r1", "r3", "r4"])
  }

  @Test("A log that is not there yet is made")
  func freshLog() throws {
    defer { folder.remove() }
    try kill(withOpen: [1])
    #expect(InterruptedRecords.takeOver(log: log).stages.count == 1)
    #expect(try ids() == ["r1"])
  }

  @Test(
    "An exchange that has a record is left out, whether the log was rotated or compressed meanwhile",
    arguments: [0, 1, 2])
  func known(rotation: Int) throws {
    defer { folder.remove() }
    try write([1])
    var file = OpenRecordsFile(log: log)
    #expect(file?.replace([2, 3].map { open($0).line }) == true)
    try write([2])
    if rotation > 0 { #expect(rename(log, folder.file("log.jsonl.1")) == 0) }
    if rotation > 1 {
      let gzip = try Process.run(URL(filePath: "/bin/gzip"), arguments: [folder.file("log.jsonl.1")])
      gzip.waitUntilExit()
    }
    if rotation > 0 { try write([5]) }
    // Its process ends.
    file = nil
    #expect(InterruptedRecords.takeOver(log: log).stages.count == 1)
    #expect(try ids() == (rotation == 0 ? ["r1", "r2", "r3"] : ["r5", "r3"]))
  }

  @Test("Killed between the move and the removal, the next start moves none of them again")
  func killedBetween() throws {
    defer { folder.remove() }
    try write([1])
    try kill(withOpen: [2, 3])
    let left = try Data(contentsOf: URL(filePath: log + ".open"))
    _ = InterruptedRecords.takeOver(log: log)
    try left.write(to: URL(filePath: log + ".open"))
    #expect(InterruptedRecords.takeOver(log: log).stages.isEmpty)
    #expect(try ids() == ["r1", "r2", "r3"])
    #expect(try names == ["log.jsonl"])
  }

  @Test("Killed within the move, the line that was cut is ended, and its record is moved")
  func killedWithin() throws {
    defer { folder.remove() }
    try write([1])
    try kill(withOpen: [2, 3])
    try write([2])
    try folder.append(String(decoding: open(3).line.prefix(40), as: UTF8.self), to: "log.jsonl")
    #expect(InterruptedRecords.takeOver(log: log).stages.count == 1)
    #expect(try ids() == ["r1", "r2", "r3"])
    #expect(try lines(log).count == 4)
  }

  @Test("A process that still drains keeps its file, and another has one of its own")
  func draining() throws {
    defer { folder.remove() }
    let first = try #require(OpenRecordsFile(log: log))
    #expect(first.replace([open(1).line]))
    let second = try #require(OpenRecordsFile(log: log))
    #expect(second.path == log + ".open.2" && second.replace([open(2).line]))
    #expect(InterruptedRecords.takeOver(log: log).stages.isEmpty)
    first.remove()
    #expect(try names == ["log.jsonl.open.2"])
    second.remove()
    #expect(try names == [])
  }

  @Test("What a killed process has left is not replaced by the next one that drains")
  func leftover() throws {
    defer { folder.remove() }
    try kill(withOpen: [1])
    try kill(withOpen: [2])
    #expect(try names == ["log.jsonl.open", "log.jsonl.open.2"])
    #expect(InterruptedRecords.takeOver(log: log).stages.count == 2)
    #expect(try ids() == ["r1", "r2"])
  }

  @Test("For a reader of the log none of the lines is a record, and a line that was cut is skipped")
  func otherLines() throws {
    defer { folder.remove() }
    try kill(withOpen: [1, 2])
    let parser = RecordParser()
    let text = try String(contentsOfFile: log + ".open", encoding: .utf8)
    for line in text.split(separator: "\n") {
      #expect(parser.parse(Array(line.utf8).span.bytes) == .otherVersion)
    }
    try Data(text.utf8.dropLast(9)).write(to: URL(filePath: log + ".open"))
    #expect(InterruptedRecords.takeOver(log: log).stages.count == 1)
    #expect(try ids() == ["r1"])
  }

  @Test("Where the log cannot be written they are kept, and the reason is told")
  func kept() throws {
    defer { folder.remove() }
    try kill(withOpen: [1])
    try FileManager.default.createDirectory(atPath: log, withIntermediateDirectories: false)
    let outcome = InterruptedRecords.takeOver(log: log)
    #expect(outcome.stages.isEmpty && outcome.failure?.contains(log) == true)
    #expect(try names == ["log.jsonl", "log.jsonl.open"])
  }

  @Test("Where the folder is not there, no file is made")
  func noFolder() { #expect(OpenRecordsFile(log: "/nonexistent/log.jsonl") == nil) }

  @Test("A place in a log is read as it was written")
  func place() throws {
    defer { folder.remove() }
    try write([1])
    let place = LogPlace(path: log)
    #expect(place.bytes > 100 && place.inode > 0)
    #expect(LogPlace(line: place.line.span.bytes) == place)
    #expect(LogPlace(line: Array(#"{"v":0}"#.utf8).span.bytes) == nil)
  }
}
