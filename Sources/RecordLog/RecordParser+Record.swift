// A line's members into a whole ExchangeRecord, in the order of a line, so that one pass finds them all.
// What is missing, null or of another type is nil: nothing is guessed.
import JSON
import Measurement

extension ExchangeRecord {
  /// - Returns: nil where `ts` or `outcome` are missing or unknown: a reader must not take such a line for a success.
  init?(id: JSONValue, members: inout JSONMembers) {
    guard let id = id.string else { return nil }
    self.init()
    self.id = ExchangeID(id)
    var reader = RecordFieldReader(members: members)
    RecordFields.visit(&self, with: &reader)
    guard reader.isWhole else { return nil }
  }
}

/// Sets each field to the value that a line has for it.
private struct RecordFieldReader: RecordFieldVisitor {
  private var members: JSONMembers
  /// False once a field without which there is no record was missing.
  private(set) var isWhole = true

  init(members: JSONMembers) { self.members = members }

  /// Version and id have told the caller that this is a record; both are read.
  mutating func visitVersion(_ key: RecordKey) {}
  mutating func visit(_ key: RecordKey, _ field: inout ExchangeID) {}

  mutating func visitTime(_ key: RecordKey, _ field: inout Int64) {
    guard let time = RecordParser.timestampNanoseconds(members.present(key)) else { return isWhole = false }
    field = time
  }

  mutating func visit(_ key: RecordKey, _ field: inout Outcome) {
    guard let outcome = members.present(key).flatMap(Outcome.init(_:)) else { return isWhole = false }
    field = outcome
  }

  mutating func visit<Word: RawRepresentable<String>>(_ key: RecordKey, _ field: inout Word?) {
    field = members.present(key)?.string.flatMap(Word.init(rawValue:))
  }

  mutating func visit(_ key: RecordKey, _ field: inout String) { field = members.present(key)?.string ?? "" }
  mutating func visit(_ key: RecordKey, _ field: inout String?) { field = members.present(key)?.string }
  mutating func visit(_ key: RecordKey, _ field: inout Bool?) { field = members.present(key)?.bool }
  mutating func visit(_ key: RecordKey, _ field: inout Int?) { field = members.present(key)?.int }
  mutating func visit(_ key: RecordKey, _ field: inout Double?) { field = members.present(key)?.double }

  mutating func visit(_ key: RecordKey, _ field: inout Quantiles?) {
    field = members.present(key).flatMap(Quantiles.init(_:))
  }

  mutating func visit(_ key: RecordKey, _ field: inout DeliveryQuantiles?) {
    field = members.present(key).flatMap(DeliveryQuantiles.init(_:))
  }

  mutating func visit(_ key: RecordKey, _ field: inout ServerReport?) {
    field = members.present(key).flatMap(ServerReport.init(_:))
  }

  mutating func visit(_ key: RecordKey, _ field: inout Stalls?) {
    field = members.present(key).flatMap(Stalls.init(_:))
  }

  mutating func visit(_ key: RecordKey, _ field: inout [TimelineEntry]?) {
    field = members.present(key).flatMap(TimelineEntry.entries(_:))
  }
}

extension JSONMembers {
  /// The member named `key` (see `present(_: StaticString)`).
  package mutating func present(_ key: RecordKey) -> JSONValue? { present(key.name) }

  fileprivate mutating func double(_ key: RecordKey) -> Double? { present(key)?.double }
}

extension Outcome {
  /// The outcome that `value` names, found without a copy of its text; nil where it names none of version 1's.
  public init?(_ value: JSONValue) {
    // Nearly every line says so.
    if value.equals("ok") {
      self = .ok
      return
    }
    guard let name = value.string, let outcome = Outcome(rawValue: name) else { return nil }
    self = outcome
  }
}

extension Quantiles {
  fileprivate init?(_ value: JSONValue) {
    guard var members = value.members, let p50 = members.double(.p50), let p90 = members.double(.p90),
      let p99 = members.double(.p99), let max = members.double(.max)
    else { return nil }
    self.init(p50: p50, p90: p90, p99: p99, max: max)
  }
}

extension DeliveryQuantiles {
  fileprivate init?(_ value: JSONValue) {
    guard var members = value.members, let p50 = members.double(.p50), let p99 = members.double(.p99),
      let max = members.double(.max)
    else { return nil }
    self.init(p50: p50, p99: p99, max: max)
  }
}

extension ServerReport {
  /// Nil where `value` is no object.
  package init?(_ value: JSONValue) {
    guard var members = value.members else { return nil }
    self.init()
    queueMilliseconds = members.double(.serverQueue)
    loadMilliseconds = members.double(.serverLoad)
    prefillMilliseconds = members.double(.serverPrefill)
    decodeMilliseconds = members.double(.serverDecode)
    totalMilliseconds = members.double(.serverTotal)
    ttftMilliseconds = members.double(.serverTTFT)
    itlMilliseconds = members.double(.serverITL)
    draftTokens = members.present(.draftTokens)?.int
    acceptedTokens = members.present(.acceptedTokens)?.int
    acceptanceRate = members.double(.acceptanceRate)
    acceptanceLength = members.double(.acceptanceLength)
  }
}

extension Stalls {
  fileprivate init?(_ value: JSONValue) {
    guard var members = value.members, let server = members.present(.stallsOfServer).flatMap(Tally.init(_:)),
      let proxy = members.present(.stallsOfProxy).flatMap(Tally.init(_:)),
      let client = members.present(.stallsOfClient).flatMap(Tally.init(_:))
    else { return nil }
    self.init()
    (self.server, self.proxy, self.client) = (server, proxy, client)
  }
}

extension Stalls.Tally {
  /// One pair `[count, milliseconds]`; nil where it is none.
  fileprivate init?(_ pair: JSONValue) {
    guard pair.count == 2 else { return nil }
    var numbers: [Double] = []
    pair.forEachElement { element in
      if let number = element.double { numbers.append(number) }
    }
    guard numbers.count == 2, let count = Int(exactly: numbers[0]) else { return nil }
    self.init(count: count, milliseconds: numbers[1])
  }
}

extension TimelineEntry {
  /// A whole timeline; nil where `value` is none, or holds anything but pairs that start with a whole number.
  static func entries(_ value: JSONValue) -> [TimelineEntry]? {
    guard value.isArray else { return nil }
    var entries: [TimelineEntry] = []
    entries.reserveCapacity(value.count ?? 0)
    var isWhole = true
    value.forEachElement { pair in
      guard let entry = TimelineEntry(pair) else {
        isWhole = false
        return
      }
      entries.append(entry)
    }
    return isWhole ? entries : nil
  }

  /// One pair `[offset_us, tokens]`; nil where it is none.
  public init?(_ pair: JSONValue) {
    guard pair.count == 2 else { return nil }
    var offset: Int?
    var tokens: Int?
    var place = 0
    pair.forEachElement { element in
      if place == 0 { offset = element.int } else { tokens = element.int }
      place += 1
    }
    guard let offset else { return nil }
    self.init(offsetMicroseconds: Int64(offset), tokens: tokens)
  }
}
