// Requests as upstream will see them, and those that it never sees.
import TestSupport
import Testing

@testable import HTTP
@testable import HTTP1

@Suite("Requests")
struct RequestTests {
  @Test("A request keeps its order, case and bytes, and loses what was for its neighbour only")
  func plainRequest() {
    let request =
      "POST /v1/chat/completions?x=1 HTTP/1.1\r\nHoSt: a:80\r\nX-Empty:\r\nx-obs: \u{e9}  \r\nConnection: close, X-A\r\n"
      + "X-A: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nContent-Length: 5\r\nX-B:  two  words \r\n\r\nhello"
    let expected =
      "POST /v1/chat/completions?x=1 HTTP/1.1\r\nHoSt: a:80\r\nX-Empty: \r\nx-obs: \u{e9}\r\nContent-Length: 5\r\n"
      + "X-B: two  words\r\n\r\nhello"
    for pieces in everySplit(request) {
      #expect(relayRequest(pieces) == Relayed(bytes: expected, isComplete: true))
    }
  }

  @Test("Fields that frame, route or identify stay, whatever Connection claims (case 2)")
  func protectedFields() {
    let relayed = relayRequest([
      Array(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1\r\nConnection: Host, Content-Length, X-Forwarded-For\r\n\r\n"
          .utf8)
    ])
    #expect(relayed.bytes == "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1\r\n\r\n")
  }

  @Test("Fields that tell who sends a request stay, too: what the record says is what the server is told")
  func identifyingFields() throws {
    let names = [
      "X-API-Key", "api-key", "Authorization", "X-Request-Id", "Traceparent", "Cookie", "X-User-Id", "X-Other",
    ]
    let fields = names.map { "\($0): v\r\n" }.joined()
    let text = "GET / HTTP/1.1\r\nHost: a\r\nConnection: \(names.joined(separator: ", "))\r\n\(fields)\r\n"
    let parser = MessageParser(.request, limits: .test())
    _ = parser.parse(Array(text.utf8).span.bytes, into: BodyRanges())
    var policy = ForwardingPolicy()
    policy.endToEnd = ["x-user-id"]
    let output = OutputBuffer()
    try RequestHead(parser).write(to: output, defaultHost: "a", policy: policy)
    let kept = names.dropLast().map { "\($0): v\r\n" }.joined()
    #expect(String(decoding: output.bytes, as: UTF8.self) == "GET / HTTP/1.1\r\nHost: a\r\n\(kept)\r\n")
  }

  @Test("Names in Connection are found among many that are as long and nearly the same")
  func manyNames() {
    let stem = String(repeating: "n", count: 400)
    let named = (10..<40).map { "\(stem)\($0)" }
    let others = (40..<70).map { "\(stem)\($0)" }
    let fields = (named + others).map { "\($0): v\r\n" }.joined()
    let relayed = relayRequest([
      Array(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: \(named.joined(separator: ",").uppercased())\r\n\(fields)\r\n".utf8)
    ])
    #expect(relayed.bytes == "GET / HTTP/1.1\r\nHost: a\r\n" + others.map { "\($0): v\r\n" }.joined() + "\r\n")
  }

  @Test("An HTTP/1.0 request loses its Expect, which would mean something in HTTP/1.1", arguments: ["1.0", "1.1"])
  func expectation(version: String) {
    let fields = "Host: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok"
    let relayed = relayRequest([Array("POST / HTTP/\(version)\r\n\(fields)".utf8)])
    let sent = version == "1.0" ? fields.replacing("Expect: 100-continue\r\n", with: "") : fields
    #expect(relayed.bytes == "POST / HTTP/1.1\r\n" + sent)
  }

  @Test("A chunked body is chunked anew, extensions dropped, trailers kept but for forbidden ones")
  func chunkedRequest() {
    let head = "PUT /f HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    let relayed = relayRequest([
      Array(
        (head
          + "5;ext=1\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-T: v \r\nSet-Cookie: 9\r\nVia: x\r\nX-forwarded-for: 6.6.6.6\r\n\r\nGET ")
          .utf8)
    ])
    #expect(relayed.bytes == head + "5\r\nhello\r\na\r\n0123456789\r\n0\r\nX-T: v\r\n\r\n")
    #expect(relayed.isComplete)
    #expect(relayed.leftOver == "GET ")
  }

  @Test("A chunked body split at every byte holds the same content")
  func chunkedSplit() {
    let head = "PUT /f HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    for pieces in everySplit(head + "5\r\nhello\r\n2\r\n!!\r\n0\r\nX: y\r\n\r\n") {
      let relayed = relayRequest(pieces)
      #expect(relayed.isComplete && relayed.error == nil)
      let again = relayRequest([Array(relayed.bytes.utf8)])
      #expect(again.isComplete)
      #expect(again.bytes.hasSuffix("0\r\nX: y\r\n\r\n"))
    }
  }

  @Test(
    "An absolute-form target gives its authority to Host, and no path is the root's (case 7)",
    arguments: [
      ("GET http://b/x?y", "GET /x?y"), ("GET HTTP://b", "GET /"), ("GET http://b?y=/", "GET /?y=/"),
      ("OPTIONS http://b", "OPTIONS *"), ("OPTIONS http://b?y", "OPTIONS /?y"),
    ])
  func absoluteForm(asked: String, passedOn: String) {
    for pieces in everySplit("\(asked) HTTP/1.1\r\nHost: a\r\n\r\n") {
      #expect(relayRequest(pieces).bytes == "\(passedOn) HTTP/1.1\r\nHost: b\r\n\r\n")
    }
  }

  @Test(
    "What a refused request had asked for is told as far as it was said plainly",
    arguments: [
      ("\r\nPOST /v1/x?key=1 HTTP/1.1\r\nHost : a\r\n\r\n", "POST", "/v1/x"),
      ("GET /a HTTP/1.1\r\n\r\n", "GET", "/a"), ("GET http://u:p@b/x HTTP/1.1\r\n\r\n", "GET", "/x"),
      ("GET * HTTP/1.1\r\n\r\n", "GET", "*"), ("CONNECT a:80 HTTP/1.1\r\n\r\n", "CONNECT", nil),
      ("GET /cut", "GET", nil), ("PROPFIND / HTTP/1.1\r\n\r\n", "PROPFIND", "/"),
      // What is left of a body that was longer than its head said.
      ("hunter2 is /my password\r\n", nil, nil), ("GET /my secret plan\r\n", "GET", nil),
      ("DELETE it HTTP/1.1\r\n", "DELETE", nil), ("G\"ET / HTTP/1.1\r\n\r\n", nil, nil), ("", nil, nil),
    ])
  func partialRequestLine(request: String, method: String?, path: String?) {
    var fields = Fields()
    fields.bytes = Array(request.utf8)
    let partialRequestLine = PartialRequestLine(fields)
    #expect(partialRequestLine.method == method)
    #expect(partialRequestLine.path == path)
  }

  @Test("A request without a body is whole with its head", arguments: ["", "Content-Length: 0\r\n"])
  func withoutBody(field: String) {
    for pieces in everySplit("GET / HTTP/1.1\r\nHost: a\r\n\(field)\r\n") {
      #expect(relayRequest(pieces).isComplete)
    }
  }

  @Test("An HTTP/1.0 request without Host is sent on with upstream's, which HTTP/1.1 requires")
  func version10() {
    let relayed = relayRequest([Array("GET / HTTP/1.0\r\n\r\n".utf8)])
    #expect(relayed.bytes == "GET / HTTP/1.1\r\nHost: upstream:80\r\n\r\n")
  }

  static let refused: [(String, Int)] = [
    ("GET / HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
    ("GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    ("get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("DESCRIBE / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("PRI / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("PRI x HTTP/2.0\r\n\r\nSM\r\n\r\n", 501),
    ("GET /a\u{0}b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /\u{e9}\u{1} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /\u{e9} b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /\u{e9}\tb HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /\u{e9} HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    ("GET /\u{e9} HTTP/1.1\r\nHost: \u{e9}\r\n\r\n", 400),
    ("GET http://\u{e9}/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET \u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400),
    ("POST /\u{e9} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1e1\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \u{ff15}\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \u{0b}5\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nCONTENT_LENGTH: 6\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", 501),
    ("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: [1:2]\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a%62\r\n\r\n", 400),
    ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n", 501),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", 501),
    ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n", 400),
    ("GET / HTTP/1.1\nHost: a\n\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\u{7f}\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\u{0}\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
  ]

  @Test("A head that is not that of one unambiguous message is refused, whole or split", arguments: refused)
  func refusedHeads(request: String, status: Int) {
    for pieces in everySplit(request) {
      let relayed = relayRequest(pieces)
      #expect(relayed.error?.kind.requestStatus == status, "\(relayed)")
      #expect(relayed.error?.detail.contains("HPE") == false)
      #expect(relayed.bytes.isEmpty)
    }
  }

  @Test("What is said of a refused request's framing is true, whole or split", arguments: openFramings)
  func refusedFraming(fields: String, reason: String) {
    for pieces in everySplit("POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n") {
      #expect(relayRequest(pieces).error?.detail == reason)
    }
  }

  @Test("HTTP/2's preface is told from what is malformed", arguments: ["", "\u{0}\u{0}\u{4}\u{4}\u{0}"])
  func preface(frames: String) {
    for pieces in everySplit("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames) {
      #expect(relayRequest(pieces).error == HTTPParseError(.unsupportedVersion, "HTTP/2 is not served"))
    }
  }

  @Test("RTSP and ICE, which llhttp takes for HTTP, are refused", arguments: ["RTSP/1.1", "ICE/1.0"])
  func otherProtocols(version: String) {
    for method in ["GET", "OPTIONS", "SOURCE", "DESCRIBE"] {
      #expect(relayRequest([Array("\(method) / \(version)\r\nHost: a\r\n\r\n".utf8)]).error != nil)
    }
  }

  @Test(
    "Hosts as clients write them are taken as they come",
    arguments: ["a", "a:", "a:80", "A-b_c~d.e.", "127.0.0.1:8080", "[::1]", "[1:2:3:4:5:6:7:8]:1", "[::ffff:1.2.3.4]"])
  func goodHosts(host: String) {
    #expect(relayRequest([Array("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n".utf8)]).isComplete)
  }

  static let badBodies = [
    "5;\r\nhello\r\n0\r\n\r\n", "5;a=\r\nhello\r\n0\r\n\r\n", "5;a=\"b\r\nhello\r\n0\r\n\r\n",
    "5;a=\"b\\\r\n\"\r\nhello\r\n0\r\n\r\n", "5 ;a\r\nhello\r\n0\r\n\r\n", "5;a =b\r\nhello\r\n0\r\n\r\n",
    "00000000000000005\r\nhello\r\n0\r\n\r\n", "8000000000000000\r\nhello", "5;a\n\r\nhello\r\n0\r\n\r\n",
    "5\r\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\r\n",
    "5\r\nhello\r\n0\r\nA : b\r\n\r\n",
    "5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n", "5\r\nhello\r\n0\r\nA: b\u{0}\r\n\r\n", "5\r\nhello\r\n0\r\n: b\r\n\r\n",
    "5\r\nhello\r\n0\r\ntransfer-Encoding: b\r\n\r\n", "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n", "\r\n", "+5\r\n",
    ";a\r\n",
    "5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n",
    "12345678901234567\r\nhello", "-1\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "5;a=\n1\r\nhello\r\n0\r\n\r\n",
  ]

  @Test("A chunked body that goes bad is an error, never the end of a message (case 28)", arguments: badBodies)
  func badChunks(body: String) {
    for pieces in everySplit("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body) {
      let relayed = relayRequest(pieces)
      #expect(relayed.error != nil)
      #expect(!relayed.isComplete)
      #expect(!relayed.bytes.hasSuffix("0\r\n\r\n"))
    }
  }

  @Test("As many fields as may be pass, and one more is refused")
  func fieldLimit() {
    for (count, status) in [(8, nil), (9, 431)] {
      let fields = (1..<count).map { "X-\($0): a\r\n" }.joined()
      let request = Array("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n".utf8)
      let relayed = relayRequest([request], limits: HTTPLimits.test(fieldCount: 8))
      #expect(relayed.error?.kind.requestStatus == status)
      #expect(relayed.isComplete == (status == nil))
    }
  }

  @Test("Heads, chunk extensions and trailers beyond their limits are refused")
  func limits() {
    let big = String(repeating: "x", count: 70_000)
    #expect(
      relayRequest([Array("GET / HTTP/1.1\r\nHost: a\r\nX: \(big)\r\n\r\n".utf8)]).error?.kind.requestStatus == 431)
    #expect(relayRequest([Array("GET /\(big) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)]).error?.kind.requestStatus == 414)
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    #expect(relayRequest([Array("\(head)1;\(big)\r\nx\r\n0\r\n\r\n".utf8)]).error?.kind.requestStatus == 400)
    #expect(relayRequest([Array("\(head)0\r\nX: \(big)\r\n\r\n".utf8)]).error?.kind.requestStatus == 431)
  }
}

@Suite("Kinds of parse errors")
struct ParseErrorKindTests {
  static let kinds: [(String, HTTPParseError.Kind)] = [
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
    ("GET /\u{1} HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
    ("GET / HTTP/1.1 x\r\nHost: a\r\n\r\n", .malformedStartLine),
    ("GET / HTTP/1.1\r\n\r\n", .invalidHost),
    ("GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", .malformedField),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", .unsupportedVersion),
    ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", .methodNotAllowed),
    ("FOO / HTTP/1.1\r\nHost: a\r\n\r\n", .unsupportedMethod),
    ("POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\n", .unsupportedExpectation),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", .ambiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", .ambiguousFraming),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .unsupportedTransferCoding),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx", .malformedChunk),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n: x", .malformedTrailers),
  ]

  @Test("The kind says which rule was broken", arguments: kinds)
  func kind(request: String, kind: HTTPParseError.Kind) {
    #expect(relayRequest([Array(request.utf8)]).error?.kind == kind)
  }

  @Test("Each limit has its kind")
  func limits() {
    let limits = HTTPLimits.test(
      headBytes: 200, fieldCount: 4, targetBytes: 20, trailerBytes: 20, chunkExtensionBytes: 20)
    let long = String(repeating: "x", count: 30)
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    let requests: [(String, HTTPParseError.Kind)] = [
      ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 200))\r\n\r\n", .headTooLarge),
      ("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n", .tooManyFields),
      ("GET /\(long) HTTP/1.1\r\nHost: a\r\n\r\n", .targetTooLong),
      ("\(chunked)1;\(long)\r\nx\r\n0\r\n\r\n", .chunkExtensionsTooLarge),
      ("\(chunked)0\r\nX: \(long)\r\n\r\n", .trailersTooLarge),
    ]
    for (request, kind) in requests {
      #expect(relayRequest([Array(request.utf8)], limits: limits).error?.kind == kind)
    }
  }
}
