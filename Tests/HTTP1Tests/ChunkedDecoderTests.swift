// Chunked bodies read whole, in two pieces and byte by byte: each way comes to the same. And chunks as they are written.
import TestSupport
import Testing

@testable import HTTP
@testable import HTTP1

@Suite("Chunks")
struct ChunkedDecoderTests {
  /// What reading came to.
  private struct Outcome: Equatable {
    var content = ""
    var consumed = 0
    var isComplete = false
    var trailers = 0
    var error: HTTPParseError?
  }

  private func read(_ pieces: [[UInt8]]) -> Outcome {
    var body = ChunkedDecoder()
    var outcome = Outcome()
    let ranges = BodyRanges()
    for piece in pieces where !body.isComplete {
      ranges.removeAll()
      piece.withUnsafeBytes { bytes in
        do throws(HTTPParseError) {
          outcome.consumed += try body.read(bytes, from: 0, limits: HTTPLimits.test(), ranges: ranges)
        } catch {
          outcome.error = error
        }
      }
      for index in 0..<ranges.count { outcome.content += String(decoding: piece[ranges[index]], as: UTF8.self) }
      if outcome.error != nil { break }
    }
    // Where a refused body stood is nobody's concern.
    if outcome.error != nil { outcome.consumed = 0 }
    outcome.isComplete = body.isComplete
    outcome.trailers = body.trailers.list.count
    return outcome
  }

  static let bodies = [
    "1\r\na\r\n0\r\n\r\n", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\nbehind", "a\r\n0123456789\r\n0\r\n\r\n",
    "A\r\n0123456789\r\n00\r\n\r\n", "0000001\r\na\r\n0\r\n\r\n", "00000001\r\na\r\n0\r\n\r\n",
    "000000000000000a\r\n0123456789\r\n0\r\n\r\n", "0000000000000000a\r\n0123456789\r\n0\r\n\r\n",
    "10\r\n0123456789abcdef\r\n0\r\nX: y\r\nZ: 1\r\n\r\n", "2;ext\r\nab\r\n3;a=\"q\"\r\ncde\r\n0;x\r\n\r\n",
    "0\r\n\r\n", "0\r\nA: b\r\n\r\n", "2\r\n\r\n\r\n0\r\n\r\n", "4\r\n0\r\n\r\r\n0\r\n\r\n",
    "\r\n", "1\na\n0\n\n", "1\r\na\n0\r\n\r\n", "1\r\na\r0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "2\r\na\r\n0\r\n\r\n",
    "1\r\na\r\n\r\n0\r\n\r\n", "1\rX", "1 \r\na\r\n", " 1\r\na\r\n", "-1\r\na\r\n", "0x1\r\na\r\n", "g\r\n",
    "1\r\na\r\ng",
    "ffffffffffffffff\r\na", "fffffff\r\na", "1\r\na\r\n0\r\n\rX", "1\r\na\r\n0\r\nContent-Length: 1\r\n\r\n",
  ]

  @Test("A body is the same, whole or split", arguments: bodies)
  func splits(body: String) {
    let byByte = read(body.utf8.map { [$0] })
    for pieces in everySplit(body) { #expect(read(pieces) == byByte) }
  }

  @Test("What a chunk's size and its end look like decides")
  func verdicts() {
    let taken = Self.bodies.filter { read([Array($0.utf8)]).error == nil }
    // The first fourteen but for the one whose size has too many digits, and one that has not come to its end.
    #expect(taken == Self.bodies.prefix(14).filter { !$0.hasPrefix("0000000000000000a") } + ["fffffff\r\na"])
  }

  static let asWritten = [
    "1\r\na\r\n", "a\r\n0123456789\r\n", "1\r\na\r\n2\r\nbc\r\n", "10\r\n0123456789abcdef\r\n",
    "1f\r\n0123456789abcdef0123456789abcde\r\n3\r\n\r\n0\r\n", "1\r\na\r\n0\r\n\r\n", "0\r\n\r\n",
    "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
  ]

  @Test("A read that is said to be as it would be written is, wherever it is cut", arguments: bodies + asWritten)
  func verbatim(body: String) {
    for pieces in everySplit(body) {
      let parser = MessageParser(.response, limits: HTTPLimits.test())
      let head = Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
      #expect(parser.parse(head.span.bytes, into: BodyRanges()).progress == .headComplete)
      #expect(!parser.isCanonical)
      for piece in pieces {
        let (ranges, output) = (BodyRanges(), OutputBuffer())
        let (consumed, progress) = parser.parse(piece.span.bytes, into: ranges)
        BodyEncoder.append(ranges, of: piece.span.bytes, framing: .chunked, to: output)
        if progress == .messageComplete {
          BodyEncoder.appendEnd(framing: .chunked, trailers: parser.trailers, to: output)
        }
        if parser.isCanonical { #expect(output.bytes == Array(piece.prefix(consumed))) }
        if !isFailed(progress) {
          let byParser = OutputBuffer()
          let taken = piece.span.bytes.extracting(0..<consumed)
          BodyEncoder.append(ranges, by: parser, of: taken, framing: .chunked, to: byParser)
          #expect(byParser.bytes == output.bytes)
        }
        // Told of where it holds: all whole chunks, from a chunk's beginning.
        if pieces.count == 1, Self.asWritten.contains(body) { #expect(parser.isCanonical) }
        guard progress == .needsMore else { break }
      }
    }
  }

  private func isFailed(_ progress: MessageParser.Progress) -> Bool {
    if case .failed = progress { true } else { false }
  }

  @Test("A chunk is written with its size in plain hexadecimal digits")
  func written() {
    for count in [1, 9, 10, 15, 16, 17, 159, 160, 255, 256, 4_095, 4_096, 65_535, 65_536, 1 << 20] {
      let body = [UInt8](repeating: UInt8(ascii: "x"), count: count)
      let ranges = BodyRanges()
      ranges.append(0, count: count)
      let output = OutputBuffer()
      BodyEncoder.append(ranges, of: body.span.bytes, framing: .chunked, to: output)
      #expect(output.bytes == Array(String(count, radix: 16).utf8) + [13, 10] + body + [13, 10])
    }
  }
}
