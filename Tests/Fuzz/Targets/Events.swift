// Event streams, bodies and requests of the dialects: cut differently, framed by somebody else, cached or not. Nothing here
// expects anything of a particular dialect.
import TestSupport
import TokenWire

/// What a decoder made of a body.
private struct Decoded: Equatable {
  /// Of each event that was whole.
  var events: [DecodedEvent] = []
  /// Of what stood at the end without being an event.
  var unfinished: [DecodedEvent] = []
  var malformed = 0
  var problem: String?
  var isWhole = false
  var isTooLong = false
}

/// So small that short inputs reach them.
private let decoderLimits = DecoderLimits(eventBytes: 1024, bodyBytes: 2048)

private func decode(
  _ dialect: any Dialect.Type, _ type: String?, _ pieces: [ArraySlice<UInt8>], _ context: DecodingContext
) -> Decoded {
  var decoded = Decoded()
  var decoder = ResponseDecoder(dialect: dialect, limits: decoderLimits)
  decoder.begin(AnnouncedBody(status: 200, contentType: type, contentEncoding: []))
  for piece in pieces {
    unsafe decoder.feed(piece.span.bytes, context: context) { observation in
      let event = DecodedEvent(observation)
      // Of audio each read is an event, so that their number is the cuts'.
      if event.isMedia, decoded.events.last == event { return }
      decoded.events.append(event)
    }
  }
  decoded.malformed = decoder.malformedEvents
  decoder.finish(complete: true, context: context) { decoded.unfinished.append(DecodedEvent($0)) }
  decoded.problem = decoder.problem
  decoded.isWhole = decoder.isWhole
  decoded.isTooLong = decoder.isTooLong
  return decoded
}

/// A dialect on bytes as its stream, as a body, and as whatever it looks like; and as a request.
func checkDialect(_ name: String, _ bytes: [UInt8], _ run: FuzzRun) throws(Finding) {
  guard let dialect = Dialects.named(name) else { throw Finding("no dialect \(name)") }
  let stream = dialect.framing == .serverSentEvents ? "text/event-stream" : "application/x-ndjson"
  for type in run.some(of: [stream, "application/json", nil]) {
    let parsed = decode(dialect, type, [bytes[...]], run.parsing)
    for way in run.ways(bytes) {
      for context in run.some(of: [run.caching, run.parsing]) {
        let decoded = decode(dialect, type, way, context)
        try hold(decoded == parsed, "\(type ?? "no type"): \(decoded) in place of \(parsed)")
      }
    }
  }
  var facts = RequestFacts()
  _ = unsafe facts.read(bytes.span.bytes, dialect, run.parsing)
}

/// The same for a dialect that the first byte chooses, of all there are.
func checkDialects(_ bytes: [UInt8], _ run: FuzzRun) throws(Finding) {
  guard let first = bytes.first else { return }
  try checkDialect(dialectNames[Int(first) % dialectNames.count], Array(bytes.dropFirst()), run)
}

private let dialectNames = Dialects.all.map { $0.name }.sorted()

/// Event framing: the same events whatever the cuts, and the same as somebody else frames.
func checkEvents(_ bytes: [UInt8], _ run: FuzzRun) throws(Finding) {
  for (type, dialect, frame) in run.some(of: [
    ("text/event-stream", "openai.chat", framedEvents), ("application/x-ndjson", "ollama.chat", framedLines),
  ]) {
    guard let dialect = Dialects.named(dialect) else { throw Finding("no dialect \(dialect)") }
    // The first bytes decide what a body is: only where they agree with the type is it framed so.
    let start = bytes.drop { $0 == 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D || [0xEF, 0xBB, 0xBF].contains($0) }
    if type == "text/event-stream" ? start.first == 0x7B || start.first == 0x5B : start.first != 0x7B { continue }
    let decoded = decode(dialect, type, [bytes[...]], run.caching)
    for way in run.ways(bytes) {
      let other = decode(dialect, type, way, run.caching)
      try hold(decoded == other, "\(type): \(other) in place of \(decoded)")
    }
    // What is too long for one is too long for the other; where exactly it stops is the decoder's own affair.
    if decoded.problem != nil || decoded.isTooLong { continue }
    let reference = decode(dialect, type, [frame(bytes)[...]], run.parsing)
    try hold(
      decoded.events == reference.events && decoded.malformed == reference.malformed,
      "\(type): \(decoded) where another's framing gives \(reference)")
  }
}

/// The whole events of a stream by the HTML standard's own words (§9.2.6), written plainly again.
///
/// With our two rules of our own: an object behind an object is an event of its own, and so is a line `error: {…}`.
private func framedEvents(_ bytes: [UInt8]) -> [UInt8] {
  var rest = bytes[...]
  if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
  var framed: [UInt8] = []
  var data: [ArraySlice<UInt8>] = []
  var name: ArraySlice<UInt8> = []
  var later: ArraySlice<UInt8>?
  func emit(_ rest: inout [UInt8], _ data: [ArraySlice<UInt8>], _ name: ArraySlice<UInt8>) {
    guard !data.isEmpty else { return }
    if !name.isEmpty { rest += Array("event: ".utf8) + name + [0x0A] }
    for value in data { rest += Array("data: ".utf8) + value + [0x0A] }
    rest.append(0x0A)
  }
  func isObject(_ data: [ArraySlice<UInt8>]) -> Bool {
    let text = Array(data.joined(separator: [0x0A])).drop { isSpace($0) }
    guard text.first == 0x7B, text.count > 1 else { return false }
    return text.last { !isSpace($0) } == 0x7D && text.dropFirst().contains(0x7D)
  }
  func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }
  func begins(_ value: ArraySlice<UInt8>) -> Bool {
    let first = value.first { !isSpace($0) }
    return first == 0x7B || first == 0x5B
  }
  func add(_ value: ArraySlice<UInt8>) {
    if isObject(data), begins(value) {
      emit(&framed, data, name)
      data = []
      name = later ?? name
      later = nil
    }
    data.append(value)
  }
  while let end = rest.firstIndex(where: { $0 == 0x0A || $0 == 0x0D }) {
    let line = rest[..<end]
    let isPair = rest[end] == 0x0D && end + 1 < rest.endIndex && rest[end + 1] == 0x0A
    rest = rest[(end + (isPair ? 2 : 1))...]
    if line.isEmpty {
      emit(&framed, data, later ?? name)
      data = []
      name = []
      later = nil
      continue
    }
    let field = line.prefix { $0 != 0x3A }
    var value = line.dropFirst(field.count + 1)
    if value.first == 0x20 { value = value.dropFirst() }
    if field.elementsEqual("data".utf8) { add(value) }
    if field.elementsEqual("event".utf8) {
      if isObject(data) { later = value.prefix(64) } else { name = value.prefix(64) }
    }
    if field.elementsEqual("error".utf8), begins(value) {
      add(value)
      name = ArraySlice("error".utf8)
    }
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
