// The list of a record's fields against what users read: the tables of Record.md, its example, and README's.
import Foundation
import Measurement
import Testing

@testable import RecordLog

/// The name and the type of every field, in order.
private struct FieldList: RecordFieldVisitor {
  var entries: [[String]] = []

  private mutating func add(_ key: RecordKey, _ type: String) { entries.append(["\(key.name)", type]) }

  mutating func visitVersion(_ key: RecordKey) { add(key, "integer") }
  mutating func visitTime(_ key: RecordKey, _ field: inout Int64) { add(key, "string") }
  mutating func visit(_ key: RecordKey, _ field: inout ExchangeID) { add(key, "string") }
  mutating func visit(_ key: RecordKey, _ field: inout String) { add(key, "string") }
  mutating func visit(_ key: RecordKey, _ field: inout Outcome) { add(key, "string") }
  mutating func visit<Word: RawRepresentable<String>>(_ key: RecordKey, _ field: inout Word?) { add(key, "string") }
  mutating func visit(_ key: RecordKey, _ field: inout String?) { add(key, "string") }
  mutating func visit(_ key: RecordKey, _ field: inout Bool?) { add(key, "boolean") }
  mutating func visit(_ key: RecordKey, _ field: inout Int?) { add(key, "integer") }
  mutating func visit(_ key: RecordKey, _ field: inout Double?) { add(key, "number") }
  mutating func visit(_ key: RecordKey, _ field: inout Quantiles?) { add(key, "object") }
  mutating func visit(_ key: RecordKey, _ field: inout DeliveryQuantiles?) { add(key, "object") }
  mutating func visit(_ key: RecordKey, _ field: inout ServerReport?) { add(key, "object") }
  mutating func visit(_ key: RecordKey, _ field: inout Stalls?) { add(key, "object") }
  mutating func visit(_ key: RecordKey, _ field: inout [TimelineEntry]?) { add(key, "array") }

  static var all: [[String]] {
    var (list, record) = (FieldList(), ExchangeRecord())
    RecordFields.visit(&record, with: &list)
    return list.entries
  }
}

/// A file of the repository.
private func repositoryFile(_ path: String) throws -> String {
  let top = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  return try String(contentsOf: top.appendingPathComponent(path), encoding: .utf8)
}

private let recordArticle = "Sources/tachograph/Documentation.docc/Record.md"

@Suite("The record's fields")
struct RecordFieldsTests {
  @Test("Record.md's tables have every key, in order, with its type")
  func article() throws {
    let text = try repositoryFile(recordArticle)
    let keys = try #require(text.split(separator: "## Example").first)
    // Other tables of the article, such as that of the error's kinds, have other heads.
    let tables = keys.split(separator: "\n\n").filter { $0.hasPrefix("| key | type |") }.joined(separator: "\n")
    let rows = tables.matches(of: /(?m)^\| `(\w+)` \| (\w+) \|/).map { [String($0.1), String($0.2)] }
    #expect(rows == FieldList.all)
  }

  @Test(
    "The example records of Record.md and README have every key, in order", arguments: [recordArticle, "README.md"])
  func example(path: String) throws {
    let text = try repositoryFile(path)
    let example = try #require(text.firstMatch(of: /\{"v":1,"id"[^`]*\}/)).0
    let line = example.replacing(/\n */, with: "")
    // A key stands at the depth of the record itself; the objects in it have keys of their own.
    let flat = line.dropFirst().dropLast().replacing(/\{[^}]*\}/, with: "null")
    #expect(flat.matches(of: /(?:^|,)"(\w+)":/).map { String($0.1) } == FieldList.all.map { $0[0] })
    guard case .record(let record) = RecordParser().parse(Array(line.utf8).span.bytes) else {
      Issue.record("the example is no record")
      return
    }
    #expect(RecordLogTests.line(record) == line + "\n", "the encoder writes it differently")
  }

  @Test("A line has the list's keys in its order")
  func encoded() {
    let text = line(ExchangeRecord())
    #expect(text.matches(of: /[{,]"(\w+)":/).map { String($0.1) } == FieldList.all.map { $0[0] })
  }

  @Test(
    "No two numbers of the record that the encoder's test writes are the same: two keys that changed places would show")
  func distinctNumbers() {
    let flat = line(fullRecord()).dropFirst().replacing(/\{[^}]*\}|\[.*\]/, with: "null")
    let numbers = flat.matches(of: /"\w+":([\d.]+)/).map { $0.1 }
    #expect(numbers.count > 25)
    #expect(Set(numbers).count == numbers.count, "\(numbers)")
  }

  @Test("What is written of a record is read back")
  func roundTrip() {
    var record = fullRecord()
    record.timestampNanoseconds -= record.timestampNanoseconds % 1_000
    record.uploadMilliseconds = 0.25
    record.connectMilliseconds = 0.5
    record.ttltMilliseconds = 150.5
    guard case .record(let read) = RecordParser().parse(Array(line(record).utf8.dropLast()).span.bytes) else {
      Issue.record("it is no record")
      return
    }
    #expect(read == record)
  }
}
