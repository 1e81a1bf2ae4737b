// The proxy's own answers: whole HTTP messages whose body is JSON, whatever the reason.
import Foundation
import Testing

@testable import Proxy

@Suite("The proxy's own answers")
struct LocalReplyTests {
  @Test(
    "An answer has its status, its length and its close, and a JSON body", arguments: [400, 413, 431, 502, 503, 504])
  func whole(status: Int) throws {
    let text = String(decoding: LocalReply.bytes(status: status, reason: "so it is", answersHead: false), as: UTF8.self)
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

  @Test("A HEAD is answered with the head alone")
  func head() {
    let whole = LocalReply.bytes(status: 502, reason: "r", answersHead: false)
    let head = LocalReply.bytes(status: 502, reason: "r", answersHead: true)
    #expect(whole.starts(with: head))
    #expect(head.suffix(4).elementsEqual("\r\n\r\n".utf8))
    #expect(head.count < whole.count)
  }

  @Test("Quotes and backslashes cannot break the JSON")
  func quoting() throws {
    let text = String(decoding: LocalReply.bytes(status: 502, reason: #"a "b" \c"#, answersHead: false), as: UTF8.self)
    let body = text.components(separatedBy: "\r\n\r\n").last ?? ""
    let object = try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: [String: Any]]
    #expect(object?["error"]?["message"] as? String == "tachograph: a 'b' 'c")
  }
}
