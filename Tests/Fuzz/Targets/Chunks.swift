// Chunked bodies: where they end, and what is in them, as two readers say that share no code.
import HTTP
import HTTP1

/// What became of a chunked body.
private struct ReadBody: Equatable {
  var body: [UInt8] = []
  var trailers: [StrictField] = []
  /// Where it ended; nil where it did not.
  var end: Int?
  var error: HTTPParseError?
}

/// The head of a response whose body is chunked.
private let head = Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)

private func read(_ pieces: [ArraySlice<UInt8>], _ run: FuzzRun) throws(Finding) -> ReadBody {
  let parser = MessageParser(.response, limits: fuzzLimits)
  guard case (head.count, .headComplete) = unsafe parser.parse(head.span.bytes, into: run.ranges) else {
    throw Finding("no head")
  }
  var read = ReadBody()
  var before = 0
  for piece in pieces {
    let (consumed, progress) = unsafe parser.parse(piece.span.bytes, into: run.ranges)
    for index in 0..<run.ranges.count {
      let range = run.ranges[index]
      read.body += piece[(piece.startIndex + range.lowerBound)..<(piece.startIndex + range.upperBound)]
    }
    before += consumed
    switch progress {
    case .needsMore: continue
    case .headComplete: throw Finding("a second head")
    case .failed(let error): read.error = error
    case .messageComplete:
      read.end = before
      let trailers = parser.trailers
      read.trailers = trailers.list.map { StrictField(name: trailers.bytes[$0.name], value: trailers.bytes[$0.value]) }
    }
    return read
  }
  return read
}

/// A chunked body is the same however it is cut; what one reader takes for whole or for broken is so for the other; and what is
/// refused before its end cannot be completed.
func checkChunks(_ bytes: [UInt8], _ run: FuzzRun) throws(Finding) {
  let whole = try read([bytes[...]], run)
  for way in run.ways(bytes) {
    let other = try read(way, run)
    try hold(other == whole, "split otherwise: \(other) in place of \(whole)")
  }
  var strict = StrictReader(head + bytes, .response(answersHead: false))
  let message: StrictMessage
  do throws(StrictError) { message = try strict.next() } catch {
    guard error == .incomplete else {
      return try hold(whole.error != nil, "malformed for one and not for the other: \(error): \(whole)")
    }
    try hold(whole.end == nil, "whole for one and not for the other: \(whole)")
    return try checkRefusedEarly(whole, bytes)
  }
  if let error = whole.error { return try hold(isOurs(error), "refused: \(error.detail), and it is whole") }
  try hold(
    whole.end == strict.position - head.count, "another end: \(whole), not \(strict.position - head.count)")
  try hold(whole.body == message.body, "another body")
  try hold(whole.trailers == message.trailers, "other trailers")
}

private func checkRefusedEarly(_ read: ReadBody, _ bytes: [UInt8]) throws(Finding) {
  guard let error = read.error, !isOurs(error) else { return }
  for ending in endings {
    var completed = StrictReader(head + bytes + ending, .response(answersHead: false))
    guard (try? completed.next()) == nil else { throw Finding("refused, and can be completed: \(error.detail)") }
  }
}

/// What may complete a body that was cut.
private let endings = [
  "\r\n\r\n", "\n\r\n", "\r\n", "\n", "\r\n0\r\n\r\n", "0\r\n\r\n", "\n0\r\n\r\n", "x:\r\n\r\n", "\"\r\n\r\n",
]
.map { Array($0.utf8) }

/// Rules of the proxy's own: sizes, and what a trailer may say.
private func isOurs(_ error: HTTPParseError) -> Bool {
  [.chunkExtensionsTooLarge, .trailersTooLarge].contains(error.kind) || error.detail == "a trailer that would frame"
}
