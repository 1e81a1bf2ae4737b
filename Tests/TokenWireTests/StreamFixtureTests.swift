// Every response of Tests/Streams, however it is cut and framed.
import TestSupport
import Testing
import TokenWire

extension DecodedEvent {
  /// One line of an `.expected` file.
  var line: String {
    var words: [String] = []
    for output in outputs {
      let kinds = [(OutputKinds.answer, "answer"), (.reasoning, "reasoning"), (.toolCall, "tool")]
        .filter { output.kinds.contains($0.0) }.map(\.1)
      words.append(
        "token of \(output.choice) \(kinds.isEmpty ? "empty" : kinds.joined(separator: "+")) \(output.scalars)")
      if let tokens = output.tokens { words.append("ids \(tokens)") }
      if output.toolCalls > 0 { words.append("calls \(output.toolCalls)") }
    }
    for silent in silentChoices {
      words.append("silent \(silent.choice)" + (silent.tokens.map { " ids \($0)" } ?? ""))
    }
    if isMedia { words.append("media") }
    if isOfUnknownDialect { words.append("unknown") }
    if let usage { words.append("usage \(Self.line(usage))") }
    if let serverCounts { words.append("server \(Self.line(serverCounts))") }
    if let countedChoice { words.append("beside \(countedChoice)") }
    if let times = serverDurations {
      let all = [
        ("queue", times.queueMilliseconds), ("load", times.loadMilliseconds), ("prefill", times.prefillMilliseconds),
        ("decode", times.decodeMilliseconds), ("total", times.totalMilliseconds), ("ttft", times.ttftMilliseconds),
        ("itl", times.itlMilliseconds), ("drafted", times.draftTokens.map(Double.init)),
        ("accepted", times.acceptedTokens.map(Double.init)), ("rate", times.acceptanceRate),
        ("length", times.acceptanceLength),
      ]
      words.append("times " + all.compactMap { name, value in value.map { "\(name)=\($0)" } }.joined(separator: " "))
    }
    if let finishReason { words.append("finish \(finishReason)") }
    if let responseModel { words.append("model \(responseModel)") }
    if let errorKind { words.append("error \(errorKind)") }
    if isTerminator { words.append("end") }
    return "event: " + (words.isEmpty ? "-" : words.joined(separator: ", "))
  }

  private static func line(_ counts: TokenUsage) -> String {
    [
      ("in", counts.input), ("cached", counts.cached), ("written", counts.cacheWrite), ("out", counts.output),
      ("reasoning", counts.reasoning),
    ].compactMap { name, count in count.map { "\(name)=\($0)" } }.joined(separator: " ")
  }
}

extension StreamFixture: CustomTestStringConvertible {
  package var testDescription: String { description }

  fileprivate func lines(_ parts: [ArraySlice<UInt8>], _ context: DecodingContext) -> [String] {
    let type = Dialects.matching(method: "POST", path: path)
    var decoder = ResponseDecoder(
      dialect: type ?? UndecidedDialect.self, isSettled: type?.settles(path: path) ?? false,
      limits: DecoderLimits(eventBytes: 1 << 20, bodyBytes: 4 << 20))
    decoder.begin(AnnouncedBody(status: 200, contentType: contentType, contentEncoding: []))
    var lines: [String] = []
    for part in parts {
      decoder.feed(part.span.bytes, context: context) { lines.append(DecodedEvent($0).line) }
    }
    decoder.finish(complete: true, context: context) { lines.append(DecodedEvent($0).line) }
    let words = [
      decoder.dialect?.name ?? "no dialect", decoder.isStream == true ? "events" : "body",
      decoder.isWhole ? "whole" : "cut", "malformed \(decoder.malformedEvents)", decoder.problem,
    ]
    return lines + ["stream: " + words.compactMap(\.self).joined(separator: ", ")]
  }
}

@Suite("Responses of every dialect")
struct StreamFixtureTests {
  @Test("Each says what is expected of it, however it is cut", arguments: StreamFixture.all)
  func cut(fixture: StreamFixture) throws {
    let bytes = fixture.bytes
    let lines = fixture.lines(fixture.parts, DecodingContext(usesCache: false))
    if StreamFixture.isWriting { return try fixture.write(lines, "event", "stream") }
    #expect(lines == fixture.expected("event", "stream"))
    // A piece of sound is what a read brings.
    guard !fixture.description.hasSuffix("/sound") else { return }
    let warm = DecodingContext()
    var random = SeededRandom(seed: 0x57EA)
    var ways = [[bytes[...]], bytes.indices.map { bytes[$0...$0] }]
    for _ in 0..<20 { ways.append(random.cut(bytes)) }
    for way in ways {
      for context in [DecodingContext(usesCache: false), warm, warm] {
        #expect(fixture.lines(way, context) == lines, "cut at \(way.map(\.startIndex))")
      }
    }
  }

  @Test("Changed at random, it says the same with and without the cache", arguments: StreamFixture.all)
  func changed(fixture: StreamFixture) throws {
    guard !StreamFixture.isWriting else { return }
    var random = SeededRandom(seed: 0xCAC4E)
    let candidates = Array("\"\\{}[],:0159.-eau \n".utf8) + [0x00, 0x1F, 0x80, 0xC3, 0xA9, 0xED, 0xFF]
    let (warm, parsing) = (DecodingContext(), DecodingContext(usesCache: false))
    // The same events once more and again, each a little otherwise: what is known of one is asked of the others.
    for _ in 0..<(fixture.bytes.count > 20_000 ? 3 : 20) {
      let bytes = random.changed(fixture.bytes + fixture.bytes, 4, to: candidates)
      let expected = fixture.lines([bytes[...]], parsing)
      for _ in 0..<2 {
        #expect(fixture.lines([bytes[...]], warm) == expected, "\(String(decoding: bytes, as: UTF8.self))")
      }
    }
  }

  @Test("Line ends, comments and a last blank line that is missing change nothing", arguments: StreamFixture.all)
  func framed(fixture: StreamFixture) throws {
    let lines = fixture.expected("event", "stream")
    guard !StreamFixture.isWriting, lines.last?.contains(", events") == true, !lines.contains("event: media") else {
      return
    }
    let text = String(decoding: fixture.bytes, as: UTF8.self).replacing("\r\n", with: "\n")
    let context = DecodingContext()
    var ways = [text.replacing("\n", with: "\r\n")]
    if fixture.isEventStream {
      ways += [
        ": open\n\n" + text.replacing("\n\n", with: "\n\n: ping - now\n\n"), text.replacing("\n\n", with: "\n\n\n"),
      ]
    }
    for way in ways {
      let bytes = Array(way.utf8)
      #expect(fixture.lines([bytes[...]], context) == lines)
      #expect(fixture.lines(bytes.indices.map { bytes[$0...$0] }, context) == lines)
    }
    // The last event is none by the rules, but what it says of the end counts.
    let short = Array(text.utf8.reversed().drop { $0 == 0x0A }.reversed())
    let unfinished = fixture.lines([short[...]], context)
    #expect(unfinished.prefix(lines.count - 2) == lines.prefix(lines.count - 2))
    if lines.dropLast().last == "event: end" { #expect(unfinished == lines) }
  }
}
