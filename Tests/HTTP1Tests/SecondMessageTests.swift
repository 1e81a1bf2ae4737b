// Nothing of one message is left for the next that the same parser reads.
import HTTP
import HTTP1
import TestSupport
import Testing

/// What one parser makes of messages that follow one another on one connection.
private func progress(_ messages: [String], limits: HTTPLimits) -> [MessageParser.Progress] {
  let parser = MessageParser(.request, limits: limits)
  return messages.map { text in
    let bytes = Array(text.utf8)
    var start = 0
    while true {
      let rest = bytes[start...]
      let (consumed, progress) = parser.parse(rest.span.bytes, into: BodyRanges())
      start += consumed
      if progress == .headComplete { continue }
      parser.reset()
      return progress
    }
  }
}

@Suite("A parser's second message")
struct SecondMessageTests {
  private static let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

  @Test("Each message has the whole of its limits")
  func limits() {
    let limits = HTTPLimits.test(
      headBytes: 200, fieldCount: 4, targetBytes: 20, trailerBytes: 20, chunkExtensionBytes: 20)
    let messages = [
      "\(Self.chunked)1;abcdefghij\r\nx\r\n0\r\n\r\n",
      "\(Self.chunked)1\r\nx\r\n0\r\nA: 23456789\r\n\r\n",
      "GET /abcdefghijkl HTTP/1.1\r\nHost: a\r\nB: 1\r\nC: 1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 120))\r\n\r\n",
      "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ]
    for message in messages {
      #expect(
        progress([message, message, message], limits: limits) == [.messageComplete, .messageComplete, .messageComplete])
    }
  }

  @Test("Trailers of one message are not those of the next")
  func trailers() {
    let parser = MessageParser(.request, limits: HTTPLimits.test())
    for (trailer, count) in [("A: b\r\n", 1), ("", 0), ("C: d\r\nE: f\r\n", 2)] {
      let head = Array(Self.chunked.utf8)
      #expect(parser.parse(head.span.bytes, into: BodyRanges()).progress == .headComplete)
      let body = Array("1\r\nx\r\n0\r\n\(trailer)\r\n".utf8)
      #expect(parser.parse(body.span.bytes, into: BodyRanges()).progress == .messageComplete)
      #expect(parser.trailers.list.count == count)
      #expect(parser.isCanonical == (count == 0))
      parser.reset()
    }
  }

  @Test("A response to a HEAD does not make the next one have no body")
  func answersHead() {
    let parser = MessageParser(.response, limits: HTTPLimits.test())
    let head = Array("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n".utf8)
    parser.answersHead = true
    #expect(parser.parse(head.span.bytes, into: BodyRanges()).progress == .headComplete)
    #expect(parser.isComplete)
    parser.reset()
    #expect(parser.parse(head.span.bytes, into: BodyRanges()).progress == .headComplete)
    #expect(!parser.isComplete)
  }

  @Test("A parser that has failed reads the next message after a reset")
  func failure() {
    let bad = "GET / HTTP/3.0\r\nHost: a\r\n\r\n"
    let good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    let outcomes = progress([bad, good], limits: HTTPLimits.test())
    #expect(outcomes.last == .messageComplete)
  }
}
