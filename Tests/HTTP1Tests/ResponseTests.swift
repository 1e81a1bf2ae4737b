// Responses as the client will see them, and those that become a 502.
import Testing

@testable import HTTP
@testable import HTTP1

@Suite("Responses")
struct ResponseTests {
  @Test("A chunked event stream keeps its chunks, whole or split at every byte it keeps its content")
  func chunkedStream() {
    let response =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\n\r\n"
      + "6\r\ndata:1\r\n2\r\n\n\n\r\n0\r\n\r\n"
    let expected =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
      + "6\r\ndata:1\r\n2\r\n\n\n\r\n0\r\n\r\n"
    #expect(relayResponse([Array(response.utf8)]) == Relayed(bytes: expected, isComplete: true))
    for pieces in everySplit(response) {
      let relayed = relayResponse(pieces)
      #expect(relayed.isComplete)
      #expect(relayResponse([Array(relayed.bytes.utf8)]).isComplete)
    }
  }

  @Test("A body that only the close would end is chunked for HTTP/1.1 and closed for HTTP/1.0 (case 18)")
  func closeDelimited() {
    let response = Array("HTTP/1.0 200 OK\r\nX: y\r\n\r\nabc".utf8)
    let to11 = relayResponse([response])
    #expect(to11.bytes == "HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    #expect(!to11.isComplete)
    let to10 = relayResponse([response], client11: false)
    #expect(to10.bytes == "HTTP/1.1 200 OK\r\nX: y\r\nConnection: keep-alive\r\n\r\nabc")
  }

  @Test("204, 304 and answers to HEAD have no body, whatever they claim (cases 15 and 16)")
  func noBody() {
    for status in ["204 No Content", "304 Not Modified"] {
      let relayed = relayResponse([Array("HTTP/1.1 \(status)\r\nContent-Length: 3\r\n\r\nabc".utf8)])
      #expect(relayed.isComplete)
      #expect(relayed.leftOver == "abc")
    }
    let head = relayResponse([Array("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc".utf8)], answersHead: true)
    #expect(head == Relayed(bytes: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", isComplete: true, leftOver: "abc"))
  }

  @Test(
    "A length goes to the client in its one form, however it was spelt",
    arguments: ["3", "03", "003", "000000000000000003", " 3 "])
  func lengths(spelt: String) {
    let head = { (length: String) in "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: \(length)\r\nC: d\r\n\r\n" }
    for pieces in everySplit(head(spelt) + "abc") {
      #expect(relayResponse(pieces) == Relayed(bytes: head("3") + "abc", isComplete: true))
    }
    #expect(relayResponse([Array(head(spelt).utf8)], answersHead: true).bytes == head("3"))
    let notModified = "HTTP/1.1 304 N\r\nContent-Length: \(spelt)\r\n\r\n"
    #expect(relayResponse([Array(notModified.utf8)]).bytes == "HTTP/1.1 304 N\r\nContent-Length: 3\r\n\r\n")
    let empty = relayResponse([Array("HTTP/1.1 200 OK\r\nContent-Length: 000\r\n\r\n".utf8)])
    #expect(empty == Relayed(bytes: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", isComplete: true))
  }

  @Test(
    "A length that is no plain number is no length, of a HEAD's response or a 304 neither",
    arguments: ["5, 5", "+5", "5,", "0x5", "5.", "", "1e1", "\u{ff15}"])
  func noLengths(spelt: String) {
    for (status, answersHead) in [("200 OK", false), ("200 OK", true), ("304 N", false), ("204 N", false)] {
      let text = "HTTP/1.1 \(status)\r\nContent-Length: \(spelt)\r\n\r\nhello"
      #expect(relayResponse([Array(text.utf8)], answersHead: answersHead).error != nil, "\(status)")
    }
  }

  @Test("A 1xx is a message of its own")
  func informational() {
    let relayed = relayResponse([Array("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n".utf8)])
    #expect(
      relayed
        == Relayed(
          bytes: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", isComplete: true, leftOver: "HTTP/1.1 200 OK\r\n"))
  }

  static let refused = [
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t,\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
    "HTTP/1.1 000 OK\r\n\r\n", "HTTP/1.1 600 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "RTSP/1.0 200 OK\r\n\r\n",
    "HTTP/1.1 200 O\u{1}K\r\n\r\n", "garbage\r\n\r\n",
  ]

  @Test("An ambiguous or malformed response is an error before any byte of it is sent (case 32)", arguments: refused)
  func refusedResponses(response: String) {
    for pieces in everySplit(response) {
      let relayed = relayResponse(pieces)
      #expect(relayed.error != nil, "\(relayed)")
      #expect(relayed.bytes.isEmpty)
    }
  }

  @Test("What is said of a refused response's framing is true, whole or split", arguments: openFramings)
  func refusedFraming(fields: String, reason: String) {
    for pieces in everySplit("HTTP/1.1 200 OK\r\n\(fields)\r\n\r\n") {
      #expect(relayResponse(pieces).error?.detail == reason)
    }
  }
}
