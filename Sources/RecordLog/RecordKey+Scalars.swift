// The keys of a record whose values are single ones: those that a condition can be put on.
import Measurement

extension RecordKey {
  /// Every key whose value is a string, a number or a Boolean, in the order of a line.
  package static let scalars: [RecordKey] = {
    var record = ExchangeRecord()
    var collector = ScalarKeys()
    RecordFields.visit(&record, with: &collector)
    return collector.keys
  }()
}

/// Collects the keys of single values.
private struct ScalarKeys: RecordFieldVisitor {
  var keys: [RecordKey] = []

  mutating func visitVersion(_ key: RecordKey) {}
  mutating func visitTime(_ key: RecordKey, _ field: inout Int64) { keys.append(key) }
  mutating func visit(_ key: RecordKey, _ field: inout ExchangeID) { keys.append(key) }
  mutating func visit(_ key: RecordKey, _ field: inout String) { keys.append(key) }
  mutating func visit(_ key: RecordKey, _ field: inout Outcome) { keys.append(key) }
  mutating func visit<Word: RawRepresentable<String>>(_ key: RecordKey, _ field: inout Word?) { keys.append(key) }
  mutating func visit(_ key: RecordKey, _ field: inout String?) { keys.append(key) }
  mutating func visit(_ key: RecordKey, _ field: inout Bool?) { keys.append(key) }
  mutating func visit(_ key: RecordKey, _ field: inout Int?) { keys.append(key) }
  mutating func visit(_ key: RecordKey, _ field: inout Double?) { keys.append(key) }
  mutating func visit(_ key: RecordKey, _ field: inout Quantiles?) {}
  mutating func visit(_ key: RecordKey, _ field: inout DeliveryQuantiles?) {}
  mutating func visit(_ key: RecordKey, _ field: inout ServerReport?) {}
  mutating func visit(_ key: RecordKey, _ field: inout Stalls?) {}
  mutating func visit(_ key: RecordKey, _ field: inout [TimelineEntry]?) {}
}
