// One exchange to one line of JSON: the keys of Documentation.docc/Record.md in its order, nulls written.
import JSON
import Measurement

/// Encodes records into a buffer of lines that it owns and reuses.
public struct RecordEncoder: ~Copyable {
  private var json: JSONWriter

  /// Makes an encoder with room for `capacity` bytes of lines; it grows as needed.
  public init(capacity: Int = 64 * 1_024) { json = JSONWriter(capacity: capacity) }

  /// Bytes of the lines encoded since `removeAll`.
  public var count: Int { json.count }

  /// The lines encoded since `removeAll`, each with its newline.
  public borrowing func withLines<Result>(_ body: (RawSpan) -> Result) -> Result { json.withBytes(body) }

  /// Drops the lines, and frees memory beyond `bytes`.
  public mutating func removeAll(keeping bytes: Int = .max) { json.removeAll(keeping: bytes) }

  /// Appends the line of `record`, which is not changed: it is read in place (`RecordFieldVisitor`).
  public mutating func append(_ record: inout ExchangeRecord) {
    RecordFields.visit(&record, with: &self)
    json.raw("}\n")
  }

  /// Appends the notice that `dropped` records are missing before it.
  public mutating func append(dropped: Int, realtimeNanoseconds: Int64, instance: String) {
    var (time, instance) = (realtimeNanoseconds, instance)
    visitVersion(.version)
    json.member(RecordKey.dropped.name, dropped)
    visitTime(.timestamp, &time)
    visit(.instance, &instance)
    json.raw("}\n")
  }
}

extension RecordEncoder: RecordFieldVisitor {
  @inline(__always)
  mutating func visitVersion(_ key: RecordKey) {
    json.key(key.name, isFirst: true)
    // ExchangeRecord.version
    json.raw("1")
  }

  @inline(__always)
  mutating func visitTime(_ key: RecordKey, _ field: inout Int64) {
    json.key(key.name)
    json.timestamp(realtimeNanoseconds: field)
  }

  @inline(__always)
  mutating func visit(_ key: RecordKey, _ field: inout ExchangeID) {
    json.key(key.name)
    if let text = field.other { return json.string(text) }
    unsafe json.plainString(ExchangeID.uuidLength) { unsafe field.writeUUID(to: $0) }
  }

  @inline(__always)
  mutating func visit(_ key: RecordKey, _ field: inout String) {
    json.key(key.name)
    json.string(field)
  }

  @inline(__always)
  mutating func visit(_ key: RecordKey, _ field: inout Outcome) { json.member(key.name, field.rawValue) }

  @inline(__always)
  mutating func visit<Word: RawRepresentable<String>>(_ key: RecordKey, _ field: inout Word?) {
    json.member(key.name, field?.rawValue)
  }

  @inline(__always)
  mutating func visit(_ key: RecordKey, _ field: inout String?) { json.member(key.name, field) }

  @inline(__always)
  mutating func visit(_ key: RecordKey, _ field: inout Bool?) { json.member(key.name, field) }

  @inline(__always)
  mutating func visit(_ key: RecordKey, _ field: inout Int?) { json.member(key.name, field) }

  @inline(__always)
  mutating func visit(_ key: RecordKey, _ field: inout Double?) { json.member(key.name, field) }

  @inline(__always)
  mutating func visit(_ key: RecordKey, _ field: inout Quantiles?) {
    json.key(key.name)
    guard let field else { return json.raw("null") }
    json.member(RecordKey.p50.name, field.p50, isFirst: true)
    json.member(RecordKey.p90.name, field.p90)
    json.member(RecordKey.p99.name, field.p99)
    json.member(RecordKey.max.name, field.max)
    json.raw("}")
  }

  @inline(__always)
  mutating func visit(_ key: RecordKey, _ field: inout DeliveryQuantiles?) {
    json.key(key.name)
    guard let field else { return json.raw("null") }
    json.member(RecordKey.p50.name, field.p50, isFirst: true)
    json.member(RecordKey.p99.name, field.p99)
    json.member(RecordKey.max.name, field.max)
    json.raw("}")
  }

  @inline(__always)
  mutating func visit(_ key: RecordKey, _ field: inout ServerReport?) {
    json.key(key.name)
    guard let field else { return json.raw("null") }
    var isFirst = true
    member(.serverQueue, field.queueMilliseconds, &isFirst)
    member(.serverLoad, field.loadMilliseconds, &isFirst)
    member(.serverPrefill, field.prefillMilliseconds, &isFirst)
    member(.serverDecode, field.decodeMilliseconds, &isFirst)
    member(.serverTotal, field.totalMilliseconds, &isFirst)
    member(.serverTTFT, field.ttftMilliseconds, &isFirst)
    member(.serverITL, field.itlMilliseconds, &isFirst)
    member(.draftTokens, field.draftTokens, &isFirst)
    member(.acceptedTokens, field.acceptedTokens, &isFirst)
    member(.acceptanceRate, field.acceptanceRate, &isFirst)
    member(.acceptanceLength, field.acceptanceLength, &isFirst)
    json.raw(isFirst ? "{}" : "}")
  }

  /// The same for a count.
  private mutating func member(_ key: RecordKey, _ value: Int?, _ isFirst: inout Bool) {
    guard let value else { return }
    json.member(key.name, value, isFirst: isFirst)
    isFirst = false
  }

  @inline(__always)
  mutating func visit(_ key: RecordKey, _ field: inout Stalls?) {
    json.key(key.name)
    guard let field else { return json.raw("null") }
    member(.stallsOfServer, field.server, isFirst: true)
    member(.stallsOfProxy, field.proxy)
    member(.stallsOfClient, field.client)
    json.raw("}")
  }

  /// A member of `stalls`: `[count, milliseconds]`.
  private mutating func member(_ key: RecordKey, _ tally: Stalls.Tally, isFirst: Bool = false) {
    json.key(key.name, isFirst: isFirst)
    json.raw("[")
    json.int(tally.count)
    json.raw(",")
    json.decimal(tally.milliseconds)
    json.raw("]")
  }

  /// A member of `server`: what the server did not say is left out.
  private mutating func member(_ key: RecordKey, _ value: Double?, _ isFirst: inout Bool) {
    guard let value else { return }
    json.member(key.name, value, isFirst: isFirst)
    isFirst = false
  }

  mutating func visit(_ key: RecordKey, _ field: inout [TimelineEntry]?) {
    json.key(key.name)
    guard let field else { return json.raw("null") }
    json.raw("[")
    for (place, entry) in field.enumerated() {
      json.raw(place == 0 ? "[" : ",[")
      json.int(Int(entry.offsetMicroseconds))
      json.raw(",")
      if let tokens = entry.tokens { json.int(tokens) } else { json.raw("null") }
      json.raw("]")
    }
    json.raw("]")
  }
}
