// The one list of a record's fields: each key with its field, in the order of a line. Encoder and parser both walk it.
import Measurement

/// Does one thing with every field of a record.
///
/// A field's type in the line follows from the overload that its Swift type chooses. Fields are `inout` so that a visitor may set
/// them; that also lets an encoder read them in place, where a copy of the record would retain a dozen strings.
protocol RecordFieldVisitor: ~Copyable {
  /// The version, which is no field: 1.
  mutating func visitVersion(_ key: RecordKey)
  /// A time of UTC, nanoseconds since 1970; a string in the line.
  mutating func visitTime(_ key: RecordKey, _ field: inout Int64)

  mutating func visit(_ key: RecordKey, _ field: inout ExchangeID)
  mutating func visit(_ key: RecordKey, _ field: inout String)
  mutating func visit(_ key: RecordKey, _ field: inout Outcome)
  /// A word of a fixed set; a string in the line.
  mutating func visit<Word: RawRepresentable<String>>(_ key: RecordKey, _ field: inout Word?)
  mutating func visit(_ key: RecordKey, _ field: inout String?)
  mutating func visit(_ key: RecordKey, _ field: inout Bool?)
  mutating func visit(_ key: RecordKey, _ field: inout Int?)
  mutating func visit(_ key: RecordKey, _ field: inout Double?)
  mutating func visit(_ key: RecordKey, _ field: inout Quantiles?)
  mutating func visit(_ key: RecordKey, _ field: inout DeliveryQuantiles?)
  mutating func visit(_ key: RecordKey, _ field: inout ServerReport?)
  mutating func visit(_ key: RecordKey, _ field: inout Stalls?)
  mutating func visit(_ key: RecordKey, _ field: inout [TimelineEntry]?)
}

/// The fields of a record. Inlined into each visitor, so that every key is a constant there.
enum RecordFields {
  /// Visits every field, in the order of a line (Documentation.docc/Record.md, "Keys").
  @inline(__always)
  static func visit<Visitor: RecordFieldVisitor & ~Copyable>(
    _ record: inout ExchangeRecord, with visitor: inout Visitor
  ) {
    visitIdentity(&record, &visitor)
    visitRequest(&record, &visitor)
    visitCounts(&record, &visitor)
    visitTimes(&record, &visitor)
    visitServerAndProxy(&record, &visitor)
  }

  @inline(__always)
  private static func visitIdentity<Visitor: RecordFieldVisitor & ~Copyable>(
    _ record: inout ExchangeRecord, _ visitor: inout Visitor
  ) {
    visitor.visitVersion(.version)
    visitor.visit(.id, &record.id)
    visitor.visitTime(.timestamp, &record.timestampNanoseconds)
    visitor.visit(.instance, &record.instance)
    visitor.visit(.user, &record.user)
    visitor.visit(.userFrom, &record.userFrom)
    visitor.visit(.session, &record.session)
    visitor.visit(.client, &record.client)
    visitor.visit(.requestID, &record.requestID)
    visitor.visit(.traceID, &record.traceID)
    visitor.visit(.responseID, &record.responseID)
    visitor.visit(.task, &record.task)
  }

  @inline(__always)
  private static func visitRequest<Visitor: RecordFieldVisitor & ~Copyable>(
    _ record: inout ExchangeRecord, _ visitor: inout Visitor
  ) {
    visitor.visit(.method, &record.method)
    visitor.visit(.path, &record.path)
    visitor.visit(.dialect, &record.dialect)
    visitor.visit(.model, &record.model)
    visitor.visit(.responseModel, &record.responseModel)
    visitor.visit(.stream, &record.stream)
    visitor.visit(.status, &record.status)
    visitor.visit(.outcome, &record.outcome)
    visitor.visit(.stage, &record.stage)
    visitor.visit(.error, &record.error)
    visitor.visit(.finishReason, &record.finishReason)
    visitor.visit(.upstream, &record.upstream)
    visitor.visit(.upstreamReused, &record.upstreamReused)
    visitor.visit(.inFlight, &record.inFlight)
    visitor.visit(.requestRead, &record.requestRead)
  }

  @inline(__always)
  private static func visitCounts<Visitor: RecordFieldVisitor & ~Copyable>(
    _ record: inout ExchangeRecord, _ visitor: inout Visitor
  ) {
    visitor.visit(.requestBytes, &record.requestBytes)
    visitor.visit(.responseBytes, &record.responseBytes)
    visitor.visit(.inputTokens, &record.inputTokens)
    visitor.visit(.cachedTokens, &record.cachedTokens)
    visitor.visit(.cacheWriteTokens, &record.cacheWriteTokens)
    visitor.visit(.outputTokens, &record.outputTokens)
    visitor.visit(.reasoningTokens, &record.reasoningTokens)
    visitor.visit(.toolCalls, &record.toolCalls)
    visitor.visit(.lateTokens, &record.lateTokens)
    visitor.visit(.undeliveredTokens, &record.undeliveredTokens)
    visitor.visit(.tokensFrom, &record.tokensFrom)
    visitor.visit(.outputChars, &record.outputChars)
    visitor.visit(.choices, &record.choices)
    visitor.visit(.events, &record.events)
    visitor.visit(.coalescedEvents, &record.coalescedEvents)
    visitor.visit(.reads, &record.reads)
  }

  @inline(__always)
  private static func visitTimes<Visitor: RecordFieldVisitor & ~Copyable>(
    _ record: inout ExchangeRecord, _ visitor: inout Visitor
  ) {
    visitor.visit(.upload, &record.uploadMilliseconds)
    visitor.visit(.connect, &record.connectMilliseconds)
    visitor.visit(.ttfb, &record.ttfbMilliseconds)
    visitor.visit(.ttfe, &record.ttfeMilliseconds)
    visitor.visit(.ttft, &record.ttftMilliseconds)
    visitor.visit(.ttfa, &record.ttfaMilliseconds)
    visitor.visit(.ttlt, &record.ttltMilliseconds)
    visitor.visit(.total, &record.totalMilliseconds)
    visitor.visit(.waited, &record.waitedMilliseconds)
    visitor.visit(.tpot, &record.tpotMilliseconds)
    visitor.visit(.tokensPerSecond, &record.tokensPerSecond)
    visitor.visit(.tokensPerSecondEndToEnd, &record.tokensPerSecondEndToEnd)
    visitor.visit(.charsPerSecond, &record.charsPerSecond)
    visitor.visit(.gaps, &record.gapsMilliseconds)
    visitor.visit(.itl, &record.itlMilliseconds)
  }

  @inline(__always)
  private static func visitServerAndProxy<Visitor: RecordFieldVisitor & ~Copyable>(
    _ record: inout ExchangeRecord, _ visitor: inout Visitor
  ) {
    visitor.visit(.server, &record.server)
    visitor.visit(.delivery, &record.deliveryMicroseconds)
    visitor.visit(.clientStalled, &record.clientStalledMilliseconds)
    visitor.visit(.loopLag, &record.loopLagMicroseconds)
    visitor.visit(.clock, &record.clock)
    visitor.visit(.encoding, &record.encoding)
    visitor.visit(.buffered, &record.buffered)
    visitor.visit(.stalls, &record.stalls)
    visitor.visit(.timeline, &record.timeline)
  }
}
