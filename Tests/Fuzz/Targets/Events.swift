// Event streams, bodies and requests of the dialects: cut differently, framed by somebody else, cached or not; and members
// of JSON objects found in one pass or one by one. Nothing here expects anything of a particular dialect.
import JSON
import TokenWire

/// Everything that an observation says, to compare.
private struct DecodedEvent: Equatable {
  let outputs: [ChoiceOutput]
  let silentChoices: [Int]
  let usage: TokenUsage?
  let usageChoice: Int?
  let serverCounts: TokenUsage?
  let serverDurations: ServerDurations?
  let finishReason: String?
  let responseModel: String?
  let errorKind: String?
  let isTerminator: Bool

  init(_ observation: borrowing Observation) {
    outputs = observation.outputs
    silentChoices = observation.silentChoices
    usage = observation.usage
    usageChoice = observation.usageChoice
    serverCounts = observation.serverCounts
    serverDurations = observation.serverDurations
    finishReason = observation.finishReason
    responseModel = observation.responseModel
    errorKind = observation.errorKind
    isTerminator = observation.isTerminator
  }
}

/// What a decoder made of a body.
private struct Decoded: Equatable {
  /// Of each event that was whole.
  var events: [DecodedEvent] = []
  /// Of what stood at the end without being an event.
  var unfinished: [DecodedEvent] = []
  var malformed = 0
  var problem: String?
  var isWhole = false
}

private func decode(
  _ dialect: any Dialect.Type, _ type: String?, _ pieces: [ArraySlice<UInt8>], _ context: DecodingContext
) -> Decoded {
  var decoded = Decoded()
  var decoder = ResponseDecoder(dialect: dialect, limits: DecoderLimits(eventBytes: 4096, bodyBytes: 16_384))
  decoder.begin(AnnouncedBody(status: 200, contentType: type, contentEncoding: nil))
  for piece in pieces {
    unsafe decoder.feed(piece.span.bytes, context: context) { decoded.events.append(DecodedEvent($0)) }
  }
  decoded.malformed = decoder.malformedEvents
  decoder.finish(complete: true, context: context) { decoded.unfinished.append(DecodedEvent($0)) }
  decoded.problem = decoder.problem
  decoded.isWhole = decoder.isWhole
  return decoded
}

/// A dialect on bytes as its stream, as a body, and as whatever it looks like; and as a request.
func checkDialect(_ name: String, _ bytes: [UInt8], _ run: FuzzRun) throws(Finding) {
  guard let dialect = Dialects.named(name) else { throw Finding("no dialect \(name)") }
  let stream = dialect.framing == .serverSentEvents ? "text/event-stream" : "application/x-ndjson"
  for type in run.some(of: [stream, "application/json", nil], for: bytes) {
    let parsed = decode(dialect, type, [bytes[...]], run.parsing)
    for way in run.ways(bytes) {
      for context in [run.caching, run.parsing] {
        let decoded = decode(dialect, type, way, context)
        try hold(decoded == parsed, "\(type ?? "no type"): \(decoded) in place of \(parsed)")
      }
    }
  }
  var facts = RequestFacts()
  _ = unsafe facts.read(bytes.span.bytes, dialect, run.parsing)
}

/// Event framing: the same events whatever the cuts, and the same as somebody else frames.
func checkEvents(_ bytes: [UInt8], _ run: FuzzRun) throws(Finding) {
  for (type, dialect, framed) in [
    ("text/event-stream", "openai.chat", framedEvents(bytes)),
    ("application/x-ndjson", "ollama.chat", framedLines(bytes)),
  ] {
    guard let dialect = Dialects.named(dialect) else { throw Finding("no dialect \(dialect)") }
    let decoded = decode(dialect, type, [bytes[...]], run.caching)
    for way in run.ways(bytes) {
      let other = decode(dialect, type, way, run.caching)
      try hold(decoded == other, "\(type): \(other) in place of \(decoded)")
    }
    // What is too long for one is too long for the other; where exactly it stops is the decoder's own affair.
    if decoded.problem != nil { continue }
    let reference = decode(dialect, type, [framed[...]], run.parsing)
    try hold(
      decoded.events == reference.events && decoded.malformed == reference.malformed,
      "\(type): \(decoded) where another's framing gives \(reference)")
  }
}

/// Names that a table may take for one another.
private enum Key: String, JSONKey {
  case a, id, index, content, contents
  case reasoningContent = "reasoning_content"
  case reasoningDetails = "reasoning_details"
  static let table = JSONKeys<Key>()
}

/// JSON texts: of every object the members that one pass finds are those that a search for each finds.
func checkJSON(_ bytes: [UInt8], _ run: FuzzRun) throws(Finding) {
  var finding: Finding?
  _ = unsafe run.json.parse(bytes.span.bytes) { root in
    finding = difference(root, depth: 0)
    _ = run.json.unread(in: root)
  }
  if let finding { throw finding }
}

private func difference(_ value: JSONValue, depth: Int) -> Finding? {
  let found = JSONObject<Key>(value)
  let expected = [
    value["a"], value["id"], value["index"], value["content"], value["contents"], value["reasoning_content"],
    value["reasoning_details"],
  ]
  for (key, expected) in zip(Key.allCases, expected) {
    if let one = found[key], let other = expected, one.isIdentical(to: other) { continue }
    if found[key] == nil, expected == nil { continue }
    return Finding("\(key.rawValue) is found by one way and not by the other")
  }
  guard depth < 50 else { return nil }
  for case let member? in expected {
    if let finding = difference(member, depth: depth + 1) { return finding }
    var inside: Finding?
    member.forEachElement { element in inside = inside ?? difference(element, depth: depth + 1) }
    if let inside { return inside }
  }
  return nil
}

/// The whole events of a stream by the HTML standard's own words (§9.2.6), written plainly again.
private func framedEvents(_ bytes: [UInt8]) -> [UInt8] {
  var rest = bytes[...]
  if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
  var framed: [UInt8] = []
  var data: [ArraySlice<UInt8>] = []
  var name: ArraySlice<UInt8> = []
  while let end = rest.firstIndex(where: { $0 == 0x0A || $0 == 0x0D }) {
    let line = rest[..<end]
    let isPair = rest[end] == 0x0D && end + 1 < rest.endIndex && rest[end + 1] == 0x0A
    rest = rest[(end + (isPair ? 2 : 1))...]
    if line.isEmpty {
      if !data.isEmpty {
        if !name.isEmpty { framed += Array("event: ".utf8) + name + [0x0A] }
        for value in data { framed += Array("data: ".utf8) + value + [0x0A] }
        framed.append(0x0A)
      }
      data = []
      name = []
      continue
    }
    let field = line.prefix { $0 != 0x3A }
    var value = line.dropFirst(field.count + 1)
    if value.first == 0x20 { value = value.dropFirst() }
    if field.elementsEqual("data".utf8) { data.append(value) }
    if field.elementsEqual("event".utf8) { name = value }
  }
  return framed
}

/// The whole lines that are not empty.
private func framedLines(_ bytes: [UInt8]) -> [UInt8] {
  var framed: [UInt8] = []
  for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast()
  where !(line.last == 0x0D ? line.dropLast() : line).isEmpty {
    framed += line + [0x0A]
  }
  return framed
}
