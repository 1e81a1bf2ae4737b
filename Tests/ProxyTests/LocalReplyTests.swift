// The proxy's own answers: whole HTTP messages whose body is JSON, whatever the reason.
import Foundation
import HTTP
import HTTP1
import Measurement
import Testing

@testable import Proxy

@Suite("The proxy's own answers")
struct LocalReplyTests {
  private func reply(_ kind: ExchangeFailure.Kind, _ detail: String, answersHead: Bool = false) -> [UInt8] {
    LocalReply.bytes(for: ExchangeFailure(kind, detail), answersHead: answersHead, retryAfter: .milliseconds(1500))
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
}
