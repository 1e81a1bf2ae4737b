// Requests and responses: parsed, written anew, and read once more by somebody who was not there.
import HTTP
import HTTP1
import TestSupport

/// What the proxy understood of one message, and what it would have sent on.
struct Understood: Equatable {
  /// The method, or the status.
  var start: ArraySlice<UInt8>
  var fields: [StrictField]
  var body: [UInt8] = []
  /// Where the message ended in what was parsed; nil where it did not.
  var end: Int?
}

/// What became of some bytes.
struct Relayed: Equatable {
  var messages: [Understood] = []
  var error: HTTPParseError?
  var emitted: [UInt8] = []
  /// The final message's body ends with the connection.
  var isUntilClose = false
}

/// The sides of a relay that differ between requests and responses.
private struct Side {
  let parser: MessageParser
  /// Takes the head that the bytes begin with from a cache and serializes it; its size, how the body is sent, and what was
  /// understood.
  let cached: (RawSpan, OutputBuffer) -> (consumed: Int, (sent: BodyFraming, Understood))?
  /// Validates a head and serializes it; how the body is sent, and what was understood.
  let pass: (OutputBuffer) throws(HTTPParseError) -> (sent: BodyFraming, Understood)
  /// Whether another message may follow this one.
  let goesOn: (Understood) -> Bool
}

/// Such that short inputs reach them.
let fuzzLimits = HTTPLimits(
  headBytes: 1200, fieldCount: 24, targetBytes: 300, trailerBytes: 100, chunkExtensionBytes: 50)

private func relay(_ pieces: [ArraySlice<UInt8>], _ side: Side, _ run: FuzzRun) -> Relayed {
  var relayed = Relayed()
  let parser = side.parser
  let (ranges, output) = (run.ranges, run.output)
  output.removeAll()
  var sent = BodyFraming.none
  var offset = 0
  pieces: for piece in pieces {
    var rest = piece
    parsing: while true {
      if let (consumed, (framing, understood)) = unsafe side.cached(rest.span.bytes, output) {
        sent = framing
        relayed.messages.append(understood)
        offset += consumed
        rest = rest.dropFirst(consumed)
      }
      let (consumed, progress) = unsafe parser.parse(rest.span.bytes, into: ranges)
      if progress != .headComplete, parser.isHeadComplete {
        for index in 0..<ranges.count {
          let span = ranges[index]
          let start = rest.startIndex + span.lowerBound
          relayed.messages[relayed.messages.count - 1].body += rest[start..<start + span.count]
        }
        if case .failed = progress {
          unsafe BodyEncoder.append(ranges, of: rest.span.bytes, framing: sent, to: output)
        } else {
          let taken = rest.prefix(consumed)
          unsafe BodyEncoder.append(ranges, by: parser, of: taken.span.bytes, framing: sent, to: output)
        }
      }
      offset += consumed
      rest = rest.dropFirst(consumed)
      switch progress {
      case .needsMore:
        break parsing
      case .headComplete:
        do throws(HTTPParseError) {
          let (framing, understood) = try side.pass(output)
          sent = framing
          relayed.messages.append(understood)
        } catch {
          relayed.error = error
          break pieces
        }
      case .messageComplete:
        let last = relayed.messages.count - 1
        relayed.messages[last].end = offset
        parser.reset()
        guard side.goesOn(relayed.messages[last]) else { break pieces }
        if rest.isEmpty { break parsing }
      case .failed(let error):
        relayed.error = error
        break pieces
      }
    }
  }
  relayed.emitted = output.bytes
  return relayed
}

private func understood(_ start: String, _ fields: Fields) -> Understood {
  Understood(
    start: Array(start.utf8)[...],
    fields: fields.list.map { StrictField(name: fields.bytes[$0.name], value: fields.bytes[$0.value]) })
}

/// A cache with the first head of `bytes`, and with one that has other values in its fields: whoever reads with it finds
/// `bytes` there, and has to understand the same.
private func warmed<Head>(
  with bytes: [UInt8], _ kind: MessageParser.Kind, answersHead: Bool = false, _ run: FuzzRun,
  _ head: (MessageParser) throws -> Head
) -> HeadCache<Head, Void> {
  let cache = HeadCache<Head, Void>()
  for text in [bytes, otherValues(bytes)] {
    let parser = MessageParser(kind, limits: fuzzLimits)
    parser.answersHead = answersHead
    guard case (_, .headComplete) = unsafe parser.parse(text.span.bytes, into: run.ranges),
      let head = try? head(parser)
    else { break }
    cache.insert(head, from: parser)
  }
  return cache
}

/// The letters and digits of each first field value replaced by their neighbours.
private func otherValues(_ bytes: [UInt8]) -> [UInt8] {
  var line = 0
  var isValue = false
  return bytes.map { byte in
    if byte == UInt8(ascii: "\n") {
      line += 1
      isValue = false
    } else if byte == UInt8(ascii: ":"), line > 0 {
      isValue = true
    } else if isValue {
      switch byte {
      case UInt8(ascii: "1")..<UInt8(ascii: "9"), UInt8(ascii: "a")..<UInt8(ascii: "z"): return byte + 1
      default: return byte
      }
    }
    return byte
  }
}

/// Splits never matter, nor does the cache; what the proxy took for messages are messages to the letter; and what it wrote
/// anew are the same.
func checkRequests(_ bytes: [UInt8], _ run: FuzzRun) throws(Finding) {
  let relayed = request([bytes[...]], .null(), run)
  try checkError(relayed)
  let cache = run.isOne(of: 2) ? warmed(with: bytes, .request, run) { try RequestHead($0) } : .null()
  for way in run.ways(bytes) { try compare(request(way, cache, run), relayed) }

  var given = StrictReader(bytes, .request)
  var sent = StrictReader(relayed.emitted, .ownRequest)
  for message in relayed.messages {
    guard let end = message.end else { break }
    let original = try whole(&given, "the client's bytes")
    try hold(given.position == end, "another end: \(given.position) in place of \(end)")
    try hold(original.body == message.body, "another body than the client's")
    try hold(original.fields == message.fields, "other fields than the client's")
    let anew = try whole(&sent, "what goes upstream")
    try hold(anew.start[0] == message.start && original.start[0] == message.start, "another method")
    try checkTarget(original.start[1], anew.start[1], original.fields, anew.fields)
    try hold(anew.body == message.body, "another body goes upstream")
    try checkKept(anew.fields, original.fields, rewritten: ["host", "content-length", "transfer-encoding"])
    try checkKept(anew.trailers, original.trailers, rewritten: [])
    try checkLost(original.fields, anew.fields)
  }
  try checkUnended(&sent, relayed)
}

private func request(
  _ pieces: [ArraySlice<UInt8>], _ cache: HeadCache<RequestHead, Void>, _ run: FuzzRun
) -> Relayed {
  let parser = MessageParser(.request, limits: fuzzLimits)
  func pass(_ head: RequestHead, _ output: OutputBuffer) -> (sent: BodyFraming, Understood) {
    head.write(to: output, defaultHost: "upstream:80")
    return (head.framing, understood(head.method.rawValue, head.fields))
  }
  return relay(
    pieces,
    Side(parser: parser) { bytes, output in
      cache.lookup(bytes, for: parser).map { ($0.head.fields.bytes.count, pass($0.head, output)) }
    } pass: { output throws(HTTPParseError) in
      pass(try RequestHead(parser), output)
    } goesOn: { _ in
      true
    }, run)
}

/// The same for responses, to both versions of clients and for both kinds of requests.
func checkResponses(_ bytes: [UInt8], _ run: FuzzRun) throws(Finding) {
  for (answersHead, client11) in run.some(of: [(false, true), (false, false), (true, true)]) {
    let relayed = respond([bytes[...]], answersHead, client11, .null(), run)
    try checkError(relayed)
    let cache =
      run.isOne(of: 2)
      ? warmed(with: bytes, .response, answersHead: answersHead, run) { try ResponseHead($0) } : .null()
    for way in run.ways(bytes) { try compare(respond(way, answersHead, client11, cache, run), relayed) }
    var given = StrictReader(bytes, .response(answersHead: answersHead), hasEnded: true)
    var sent = StrictReader(relayed.emitted, .response(answersHead: answersHead), hasEnded: relayed.isUntilClose)
    for message in relayed.messages {
      guard let end = message.end else { break }
      let original = try whole(&given, "upstream's bytes")
      try hold(given.position == end, "another end: \(given.position) in place of \(end)")
      try hold(original.body == message.body, "another body than upstream's")
      try hold(original.fields == message.fields, "other fields than upstream's")
      if message.start.first == UInt8(ascii: "1"), !client11 { continue }
      let anew = try whole(&sent, "what goes to the client")
      try hold(anew.start[1] == original.start[1] && anew.start[2] == original.start[2], "another status line")
      try hold(isText(anew.start[0], "HTTP/1.1"), "another version")
      try hold(anew.body == message.body, "another body goes to the client")
      try checkKept(anew.fields, original.fields, rewritten: ["connection", "transfer-encoding"])
      try checkKept(anew.trailers, original.trailers, rewritten: [])
    }
    try checkUnended(&sent, relayed)
  }
}

private func respond(
  _ pieces: [ArraySlice<UInt8>], _ answersHead: Bool, _ client11: Bool, _ cache: HeadCache<ResponseHead, Void>,
  _ run: FuzzRun
) -> Relayed {
  let parser = MessageParser(.response, limits: fuzzLimits)
  parser.answersHead = answersHead
  var isUntilClose = false
  var sentUntilClose = false
  func pass(_ head: ResponseHead, _ output: OutputBuffer) -> (sent: BodyFraming, Understood) {
    if !head.isInformational || client11 { head.write(to: output, client11: client11, closing: !client11) }
    let sent = head.framing(forVersion11: client11)
    isUntilClose = head.framing == .untilClose
    sentUntilClose = sent == .untilClose
    return (sent, understood("\(head.status)", head.fields))
  }
  var relayed = relay(
    pieces,
    Side(parser: parser) { bytes, output in
      cache.lookup(bytes, for: parser).map { ($0.head.fields.bytes.count, pass($0.head, output)) }
    } pass: { output throws(HTTPParseError) in
      pass(try ResponseHead(parser), output)
    } goesOn: { message in
      parser.answersHead = answersHead
      return message.start.first == UInt8(ascii: "1")
    }, run)
  // The connection ends behind the last piece: only a body without another end is whole then.
  if isUntilClose, relayed.error == nil, let last = relayed.messages.indices.last, relayed.messages[last].end == nil {
    relayed.messages[last].end = pieces.reduce(0) { $0 + $1.count }
    let output = OutputBuffer()
    BodyEncoder.appendEnd(framing: sentUntilClose ? .untilClose : .chunked, trailers: Fields(), to: output)
    relayed.emitted += output.bytes
  }
  // A body without length to a client without chunks: the close is its end, and a reset what breaks it off.
  relayed.isUntilClose = sentUntilClose && relayed.messages.last?.end != nil
  return relayed
}

// MARK: What is compared

private func compare(_ way: Relayed, _ whole: Relayed) throws(Finding) {
  try hold(way.messages == whole.messages, "split otherwise, other messages are understood")
  try hold(
    isSame(way.error, whole.error),
    "split otherwise, another end: \(String(describing: way.error)), not \(String(describing: whole.error))")
}

/// Whether both are refused for one reason. Of a message with two faults, of which one is its size, either may be seen first.
private func isSame(_ error: HTTPParseError?, _ other: HTTPParseError?) -> Bool {
  guard let error, let other else { return error == other }
  return error == other || isAboutSize(error) || isAboutSize(other)
}

private func isAboutSize(_ error: HTTPParseError) -> Bool {
  switch error.kind {
  case .headTooLarge, .tooManyFields, .targetTooLong, .trailersTooLarge, .chunkExtensionsTooLarge: true
  default: false
  }
}

/// What a refusal says is ours.
private func checkError(_ relayed: Relayed) throws(Finding) {
  guard let detail = relayed.error?.detail else { return }
  try hold(detail.utf8.allSatisfy { $0 < 0x80 } && !detail.contains("HPE"), "refused with \(detail)")
}

private func whole(_ reader: inout StrictReader, _ what: String) throws(Finding) -> StrictMessage {
  do throws(StrictError) { return try reader.next() } catch {
    throw Finding("\(what) is no whole message (\(error)): \(shown(reader.bytes[reader.position...]))")
  }
}

/// Behind what was whole there is at most the beginning of a message.
private func checkUnended(_ sent: inout StrictReader, _ relayed: Relayed) throws(Finding) {
  guard !sent.isAtEnd else { return }
  do throws(StrictError) {
    let message = try sent.next()
    throw StrictError.malformed("one more message: \(shown(message.start.joined()))")
  } catch {
    try hold(error == .incomplete, "\(error): \(shown(sent.bytes[sent.position...]))")
  }
}

private func checkTarget(
  _ given: ArraySlice<UInt8>, _ sent: ArraySlice<UInt8>, _ fields: [StrictField], _ sentFields: [StrictField]
) throws(Finding) {
  let hosts = sentFields.filter { $0.isNamed("host") }.map(\.value)
  try hold(hosts.count == 1, "\(hosts.count) Host fields go upstream")
  if given == sent {
    let own = fields.first { $0.isNamed("host") }?.value
    return try hold(own.map { $0 == hosts[0] } ?? isText(hosts[0], "upstream:80"), "another Host goes upstream")
  }
  let implied = isText(sent, "*") ? [] : sent
  let scheme = given.prefix(7)
  try hold(isWord(scheme, "http://"), "another target goes upstream: \(shown(sent))")
  let isWhole = scheme + hosts[0] + sent == given
  let isImplied = scheme + hosts[0] + implied == given || scheme + hosts[0] + sent.dropFirst() == given
  try hold(isWhole || isImplied, "another target goes upstream: \(shown(sent)) of \(shown(hosts[0]))")
}

/// What was sent is, in order, among what was given; but for what the proxy itself has to say.
private func checkKept(_ sent: [StrictField], _ given: [StrictField], rewritten: [StaticString]) throws(Finding) {
  var rest = given[...]
  for field in sent where !rewritten.contains(where: { field.isNamed($0) }) {
    guard let index = rest.firstIndex(where: { isSame($0, field) }) else {
      throw Finding("a field that did not come, or not there: \(shown(field.name)): \(shown(field.value))")
    }
    rest = rest[(index + 1)...]
  }
}

/// Whether a field went on as it came; of a length its leading zeros do not (Documentation.docc/HTTPCases.md, "Re-emitting messages").
private func isSame(_ given: StrictField, _ sent: StrictField) -> Bool {
  guard given.isNamed("content-length"), given.name == sent.name else { return given == sent }
  let digits = given.value.drop { $0 == UInt8(ascii: "0") }
  return digits.isEmpty ? isText(sent.value, "0") : digits == sent.value
}

private let hopByHop: [StaticString] = ["connection", "proxy-connection", "keep-alive", "te", "upgrade"]

/// What does not go on was hop-by-hop, or Connection named it.
private func checkLost(_ given: [StrictField], _ sent: [StrictField]) throws(Finding) {
  var rest = sent[...]
  for field in given {
    if let index = rest.firstIndex(where: { $0.name == field.name }) {
      rest = rest[(index + 1)...]
      continue
    }
    try hold(
      hopByHop.contains(where: { field.isNamed($0) }) || isNamed(field, by: given),
      "a field was lost: \(shown(field.name))")
  }
}

/// Whether Connection, or what some clients write in its place, names `field`.
private func isNamed(_ field: StrictField, by fields: [StrictField]) -> Bool {
  fields.contains { option in
    (option.isNamed("connection") || option.isNamed("proxy-connection"))
      && option.value.split(separator: UInt8(ascii: ",")).contains { element in
        isWord(element.filter { $0 != 0x20 && $0 != 0x09 }[...], field.name)
      }
  }
}
