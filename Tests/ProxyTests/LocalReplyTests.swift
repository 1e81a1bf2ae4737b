// The proxy's own answers: whole HTTP messages whose body is JSON, whatever the reason.
import Foundation
import HTTP
import Measurement
import TestSupport
import Testing

@testable import HTTP1
@testable import Proxy

@Suite("The proxy's own answers")
struct LocalReplyTests {
  private func reply(_ kind: ExchangeFailure.Kind, _ detail: String, answersHead: Bool = false) -> [UInt8] {
    LocalReply(for: ExchangeFailure(kind, detail)).bytes(answersHead: answersHead, retryAfter: .milliseconds(1500))
  }

  @Test("A reply has its status, its length and its close, and a JSON body", arguments: ExchangeFailure.Kind.allCases)
  func whole(kind: ExchangeFailure.Kind) throws {
    let status = LocalReply.status(for: kind)
    let text = String(decoding: reply(kind, "so it is"), as: UTF8.self)
    let parts = text.components(separatedBy: "\r\n\r\n")
    try #require(parts.count == 2)
    #expect(parts[0].hasPrefix("HTTP/1.1 \(status) "))
    #expect(!parts[0].contains("\(status) Error"))
    #expect(parts[0].contains("\r\nContent-Length: \(parts[1].utf8.count)\r\n"))
    #expect(parts[0].hasSuffix("\r\nConnection: close"))
    let object = try JSONSerialization.jsonObject(with: Data(parts[1].utf8)) as? [String: [String: Any]]
    #expect(object?["error"]?["message"] as? String == "tachograph: so it is")
    #expect(object?["error"]?["type"] as? String == "proxy_error")
    #expect(object?["error"]?["code"] as? Int == status)
  }

  @Test("Each failure has its status, and those that may pass say when to try again")
  func statuses() {
    let expected: [(ExchangeFailure.Kind, Int)] = [
      (.requestMalformed, 400), (.requestChunkExtensionsTooLarge, 400), (.methodNotAllowed, 405),
      (.requestHeadTimeout, 408), (.requestBodyTimeout, 408), (.requestBodyRate, 408), (.requestBodyTooLarge, 413),
      (.requestTargetTooLarge, 414), (.expectationFailed, 417), (.tooManyClientConnections, 429),
      (.requestHeadTooLarge, 431), (.requestTrailersTooLarge, 431), (.requestNotImplemented, 501),
      (.nameNotResolved, 502), (.connectFailed, 502), (.upstreamClosed, 502), (.upstreamReset, 502),
      (.responseMalformed, 502), (.responseHeadTooLarge, 502), (.tooManyConnections, 503), (.queueFull, 503),
      (.waitingRequestsFull, 503),
      (.queueTimeout, 503), (.shutDown, 503), (.connectTimeout, 504), (.upstreamStalledTimeout, 504),
      (.responseTimeout, 504), (.responseHeadTimeout, 504), (.httpVersionNotSupported, 505), (.loopDetected, 508),
    ]
    for (kind, status) in expected {
      let text = String(decoding: reply(kind, "why"), as: UTF8.self)
      #expect(text.hasPrefix("HTTP/1.1 \(status) "), "\(kind)")
      #expect(text.contains("\r\nRetry-After: 2\r\n") == [429, 503].contains(status), "\(kind)")
      #expect(text.contains("\r\nAllow: GET, ") == (status == 405))
    }
  }

  @Test("A refused request has the status of any server", arguments: HTTPParseError.Kind.allCases)
  func parseErrors(kind: HTTPParseError.Kind) {
    let failure = ExchangeFailure(request: HTTPParseError(kind, "why"))
    #expect(LocalReply.status(for: failure.kind) == kind.requestStatus)
  }

  @Test("A HEAD is answered with the head alone")
  func head() {
    let whole = reply(.upstreamClosed, "r")
    let head = reply(.upstreamClosed, "r", answersHead: true)
    #expect(whole.starts(with: head))
    #expect(head.suffix(4).elementsEqual("\r\n\r\n".utf8))
    #expect(head.count < whole.count)
  }

  @Test("Quotes and backslashes cannot break the JSON")
  func quoting() throws {
    let text = String(decoding: reply(.upstreamClosed, #"a "b" \c"#), as: UTF8.self)
    let body = text.components(separatedBy: "\r\n\r\n").last ?? ""
    let object = try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: [String: Any]]
    #expect(object?["error"]?["message"] as? String == "tachograph: a 'b' 'c")
  }

  @Test("A method that was not understood is named, and a web page may read the reply where its origin is told")
  func wordAndOrigin() {
    let reply = LocalReply(
      for: ExchangeFailure(.requestNotImplemented, "method not implemented"), naming: "BREW",
      origin: "https://a.example")
    let text = String(decoding: reply.bytes(answersHead: false, retryAfter: .seconds(1)), as: UTF8.self)
    #expect(text.hasPrefix("HTTP/1.1 501 "))
    #expect(text.contains("\r\nAccess-Control-Allow-Origin: https://a.example\r\nVary: Origin\r\n"))
    #expect(text.contains("tachograph: method not implemented: BREW\""))
    let plain = String(decoding: self.reply(.queueFull, "why"), as: UTF8.self)
    #expect(!plain.contains("Access-Control") && !plain.contains("Vary"))
  }
}

@Suite("Origins of web pages")
struct WebOriginTests {
  /// Values of an Origin field, and what of them is repeated.
  static let values: [(String, String?)] = [
    ("http://localhost:3000", "http://localhost:3000"), ("https://a-b.example", "https://a-b.example"),
    ("null", "null"),
    ("http://[::1]:80", "http://[::1]:80"),
    ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
    (" https://a\t", "https://a"), ("https://a https://b", nil), ("https://a, https://b", nil), ("https://a/path", nil),
    ("https://u@a", nil), ("*", nil), ("", nil), ("a.example", nil), ("://a", nil), ("1a://b", nil),
    ("http://a:b", nil),
    ("http://a\u{e9}", nil), ("http://\"", nil), ("NULL", nil), ("http://" + String(repeating: "a", count: 300), nil),
  ]

  @Test("An origin is repeated only if it is one, of a whole head and of one that was refused", arguments: values)
  func origins(value: String, repeated: String?) throws {
    let text = "GET / HTTP/1.1\r\nHost: a\r\noRigin:\(value)\r\nX: y\r\n\r\n"
    #expect(WebOrigin.text(inHead: Array(text.utf8)) == repeated)
    let parser = MessageParser(.request, limits: .test())
    _ = parser.parse(Array(text.utf8).span.bytes, into: BodyRanges())
    #expect(WebOrigin.text(of: try RequestHead(parser)) == repeated)
  }

  @Test("Of two origins, of one in the request line or in the body, and of one that is not whole, none is repeated")
  func others() {
    for text in [
      "GET / HTTP/1.1\r\nOrigin: http://a\r\nOrigin: http://a\r\n\r\n", "Origin: http://a\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\nOrigin: http://a\r\n", "GET / HTTP/1.1\r\nOrigin: http://a", "",
      "GET / HTTP/1.1\r\nX-Origin: http://a\r\n",
    ] {
      #expect(WebOrigin.text(inHead: Array(text.utf8)) == nil, "\(text)")
    }
    #expect(WebOrigin.text(inHead: Array("BREW / HTTP/1.1\r\nOrigin: http://a\r\nX".utf8)) == "http://a")
  }
}
