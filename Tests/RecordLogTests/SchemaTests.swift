// That the schema for DuckDB in Documentation.docc/Record.md has every key of a record, in its type.
import Foundation
import Measurement
import Testing

@testable import RecordLog

/// The column type of each field.
private struct ColumnTypes: RecordFieldVisitor {
  var columns: [String] = []

  private mutating func add(_ key: RecordKey, _ type: String) { columns.append("\(key.name): '\(type)'") }

  mutating func visitVersion(_ key: RecordKey) { add(key, "INTEGER") }
  mutating func visitTime(_ key: RecordKey, _ field: inout Int64) { add(key, "TIMESTAMPTZ") }
  mutating func visit(_ key: RecordKey, _ field: inout ExchangeID) { add(key, "VARCHAR") }
  mutating func visit(_ key: RecordKey, _ field: inout String) { add(key, "VARCHAR") }
  mutating func visit(_ key: RecordKey, _ field: inout Outcome) { add(key, "VARCHAR") }
  mutating func visit<Word: RawRepresentable<String>>(_ key: RecordKey, _ field: inout Word?) { add(key, "VARCHAR") }
  mutating func visit(_ key: RecordKey, _ field: inout String?) { add(key, "VARCHAR") }
  mutating func visit(_ key: RecordKey, _ field: inout Bool?) { add(key, "BOOLEAN") }
  mutating func visit(_ key: RecordKey, _ field: inout Int?) {
    add(key, "\(key.name)" == "status" ? "INTEGER" : "BIGINT")
  }
  mutating func visit(_ key: RecordKey, _ field: inout Double?) { add(key, "DOUBLE") }
  mutating func visit(_ key: RecordKey, _ field: inout Quantiles?) {
    add(key, "STRUCT(p50 DOUBLE, p90 DOUBLE, p99 DOUBLE, \"max\" DOUBLE)")
  }
  mutating func visit(_ key: RecordKey, _ field: inout DeliveryQuantiles?) {
    add(key, "STRUCT(p50 DOUBLE, p99 DOUBLE, \"max\" DOUBLE)")
  }
  mutating func visit(_ key: RecordKey, _ field: inout ServerReport?) {
    let times = ["queue_ms", "load_ms", "prefill_ms", "decode_ms", "total_ms", "ttft_ms", "itl_ms"]
    let counts = ["draft_tokens", "accepted_tokens"]
    let ratios = ["acceptance_rate", "acceptance_length"]
    let members = times.map { "\($0) DOUBLE" } + counts.map { "\($0) BIGINT" } + ratios.map { "\($0) DOUBLE" }
    add(key, "STRUCT(\(members.joined(separator: ", ")))")
  }
  mutating func visit(_ key: RecordKey, _ field: inout Stalls?) {
    add(key, "STRUCT(\"server\" DOUBLE[], \"proxy\" DOUBLE[], \"client\" DOUBLE[])")
  }
  mutating func visit(_ key: RecordKey, _ field: inout [TimelineEntry]?) { add(key, "BIGINT[][]") }
}

@Suite("The schema for DuckDB")
struct SchemaTests {
  @Test("It has every key of a record, in the order of a line and in its type")
  func columns() throws {
    let root = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }
    let text = try String(
      contentsOfFile: root + "/Sources/tachograph/Documentation.docc/Record.md", encoding: .utf8)
    let start = try #require(text.range(of: "columns = {"))
    let end = try #require(text.range(of: "\n})", range: start.upperBound..<text.endIndex))
    let stated = text[start.upperBound..<end.lowerBound].split(whereSeparator: \.isWhitespace).joined(separator: " ")
    var (record, types) = (ExchangeRecord(), ColumnTypes())
    RecordFields.visit(&record, with: &types)
    #expect(stated == types.columns.joined(separator: ", "))
  }
}
