// What a record says of every response of Tests/Streams.
import Clocks
import Measurement
import TestSupport
import Testing
import TokenWire

extension StreamFixture: CustomTestStringConvertible {
  package var testDescription: String { description }

  /// The record of the response whose parts come 10 ms apart, the first 100 ms after the request.
  fileprivate func record() throws -> (ExchangeRecord, isWhole: Bool, error: String?) {
    let type = Dialects.matching(method: "POST", path: path)
    let context = DecodingContext()
    var facts = RequestFacts()
    if let request { _ = facts.read(Array(request.utf8).span.bytes, type ?? UndecidedDialect.self, context) }
    var decoder = ResponseDecoder(
      dialect: type ?? UndecidedDialect.self, isSettled: type?.settles(path: path) ?? false,
      limits: DecoderLimits(eventBytes: 1 << 20, bodyBytes: 4 << 20))
    decoder.begin(AnnouncedBody(status: 200, contentType: contentType, contentEncoding: []))
    var exchange = Exchange()
    exchange.meter.requestComplete(at: Exchange.at(0))
    exchange.meter.responseHead(firstByteAt: Exchange.at(50), completeAt: Exchange.at(50))
    exchange.meter.echoesPrompt = facts.echo == true
    for (place, part) in parts.enumerated() {
      exchange.read(100 + 10 * Double(place))
      Self.feed(&decoder, &exchange.meter, part, context)
      if let isStream = decoder.isStream { exchange.meter.measures(isStream ? .stream : .whole) }
    }
    Self.finish(&decoder, &exchange.meter, context)
    let error = exchange.meter.errorKind
    let dialect = decoder.dialect?.name
    return (exchange.record { $0.dialect = dialect }, decoder.isWhole, error)
  }

  private static func feed(
    _ decoder: inout ResponseDecoder, _ meter: inout ExchangeMeter, _ part: ArraySlice<UInt8>,
    _ context: DecodingContext
  ) {
    decoder.feed(part.span.bytes, context: context) { observation in
      meter.measures(.stream)
      meter.observe(observation)
    }
    if decoder.hasPendingEvent { meter.eventPending() }
  }

  private static func finish(
    _ decoder: inout ResponseDecoder, _ meter: inout ExchangeMeter, _ context: DecodingContext
  ) {
    decoder.finish(complete: true, context: context) { meter.observe($0) }
  }

  /// One line of an `.expected` file; instants are told by the part that brought them.
  fileprivate func line() throws -> String {
    let (record, isWhole, error) = try record()
    func part(_ milliseconds: Double?) -> String? { milliseconds.map { "part \(Int(($0 - 100) / 10))" } }
    let outcome = error.map { "error \($0)" } ?? (isWhole ? "ok" : "cut")
    let tokens = record.outputTokens.map { "\($0) by \(record.tokensFrom?.rawValue ?? "?")" }
    let values: [(String, String?)] = [
      ("tokens", tokens), ("in", record.inputTokens.map(String.init)), ("cached", record.cachedTokens.map(String.init)),
      ("reasoning", record.reasoningTokens.map(String.init)),
      ("calls", record.toolCalls.flatMap { $0 > 0 ? "\($0)" : nil }), ("choices", record.choices.map(String.init)),
      ("events", record.events.map(String.init)), ("chars", record.outputChars.map(String.init)),
      ("first event", part(record.ttfeMilliseconds)), ("first token", part(record.ttftMilliseconds)),
      ("first answer", part(record.ttfaMilliseconds)), ("last token", part(record.ttltMilliseconds)),
      ("finish", record.finishReason), ("model", record.responseModel),
    ]
    return "record: "
      + ([outcome] + values.compactMap { name, value in value.map { "\(name) \($0)" } }).joined(separator: ", ")
  }
}

@Suite("Records of every dialect")
struct StreamRecordTests {
  @Test("Counts and instants are as expected", arguments: StreamFixture.all)
  func record(fixture: StreamFixture) throws {
    let line = try fixture.line()
    if StreamFixture.isWriting { return try fixture.write([line], "record") }
    #expect([line] == fixture.expected("record"))
  }
}
