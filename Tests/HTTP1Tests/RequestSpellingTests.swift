// Methods, targets, framing and Host in the spellings in which they come, and how they go on.
import Foundation
import TestSupport
import Testing

@testable import HTTP
@testable import HTTP1

@Suite("Spellings of requests")
struct RequestSpellingTests {
  @Test("Each method that llhttp knows as HTTP's is forwarded as it came", arguments: Method.allCases)
  func methods(method: Method) {
    let text = "\(method.rawValue) /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok"
    for pieces in everySplit(text) {
      #expect(relayRequest(pieces) == Relayed(bytes: text, isComplete: true))
    }
  }

  @Test(
    "A method that is not known is named as far as it is a token of bearable length, whole or split",
    arguments: [
      ("BREW", "BREW"), ("get", "get"), ("M-SEARCHES", "M-SEARCHES"), ("DESCRIBE", "DESCRIBE"), ("P'W`N|~", "P'W`N|~"),
      (String(repeating: "A", count: 33), String(repeating: "A", count: 32) + "..."),
      (String(repeating: "B", count: 5000), String(repeating: "B", count: 32) + "..."),
    ])
  func unknownMethod(method: String, named: String) {
    let text = "\(method) / HTTP/1.1\r\nHost: a\r\n\r\n"
    for pieces in method.utf8.count > 100 ? [[Array(text.utf8)]] : Array(everySplit(text)) {
      let error = relayRequest(pieces).error
      #expect(error?.kind == .unsupportedMethod && error?.word == named)
      // What a record may have names nothing.
      #expect(error?.detail == "method not implemented")
    }
  }

  /// Targets that nginx forwards as they come and RFC 3986 does not know.
  static let unusualTargets = [
    "/\u{e9}", "/v1/\u{4f60}\u{597d}?q=\u{1f600}", "/a\"b", "/<a>", "/?q=\"<x>\"", "/a\\b", "/a\\..\\b", "/#f",
    "/a#b?c#d",
    "/a|b^c`{d}", "//\u{e9}//", "/\u{80}\u{ff}",
  ]

  @Test(
    "An unusual target goes on as it came, whole or split; by RFC 3986 alone it is refused", arguments: unusualTargets)
  func unusual(target: String) {
    let text = "POST \(target) HTTP/1.1\r\nHost: a\r\nX-\u{e9}: no\r\nContent-Length: 2\r\n\r\nok"
      .replacing("X-\u{e9}: no", with: "X: \u{e9}")
    for pieces in everySplit(text) {
      #expect(relayRequest(pieces) == Relayed(bytes: text, isComplete: true))
      let refused = relayRequest(pieces, isStrict: true)
      // Outside of a path and a query these are what browsers send.
      let isPlain = target == "/a|b^c`{d}"
      #expect(refused.error?.kind == (isPlain ? nil : .malformedTarget))
    }
  }

  @Test("A target's bytes that are no UTF-8 go on as they came")
  func rawTarget() {
    let text = Array("GET /a".utf8) + [0xE9, 0x80, 0xFF, 0xC0] + Array("?b HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    for cut in 0...text.count {
      let parser = MessageParser(.request, limits: .test())
      let ranges = BodyRanges()
      for piece in [Array(text[..<cut]), Array(text[cut...])] where !piece.isEmpty {
        _ = parser.parse(piece.span.bytes, into: ranges)
      }
      let output = OutputBuffer()
      #expect(throws: Never.self) { try RequestHead(parser).write(to: output, defaultHost: "a") }
      #expect(output.bytes == text)
    }
  }

  @Test("Behind a raw target the next request of the same connection is read as any other, whole or in two")
  func behindRawTarget() throws {
    let targets = ["/\u{e9}", "/plain", "/\u{4f60}\u{597d}?\u{e9}", "/x", "/", "/\u{e9}"]
    for cut in 1..<30 {
      let parser = MessageParser(.request, limits: .test())
      for target in targets {
        let text = Array("GET \(target) HTTP/1.1\r\nHost: a\r\nX: \u{e9}\r\n\r\n".utf8)
        var progress = MessageParser.Progress.needsMore
        for piece in [Array(text.prefix(cut)), Array(text.dropFirst(cut))] {
          progress = parser.parse(piece.span.bytes, into: BodyRanges()).progress
        }
        try #require(progress == .headComplete, "\(target) cut at \(cut)")
        let output = OutputBuffer()
        try RequestHead(parser).write(to: output, defaultHost: "a")
        #expect(output.bytes == text)
        parser.reset()
      }
    }
  }

  @Test("A raw target counts against its limit", arguments: [("/\u{e9}" + String(repeating: "x", count: 30))])
  func rawTargetLimit(target: String) {
    for pieces in everySplit("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n") {
      #expect(relayRequest(pieces, limits: .test(targetBytes: 20)).error?.kind == .targetTooLong)
      #expect(relayRequest(pieces, limits: .test(fieldCount: 1, targetBytes: 40)).error == nil)
    }
  }

  @Test(
    "The path of a target ends at its query or fragment",
    arguments: [("/a#b?c", "/a"), ("/a?b#c", "/a"), ("/a\\b", "/a\\b"), ("http://b/#c", "/")])
  func pathOfUnusual(target: String, path: String) throws {
    let parser = MessageParser(.request, limits: .test())
    _ = parser.parse(Array("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n".utf8).span.bytes, into: BodyRanges())
    #expect(try RequestHead(parser).path == path)
  }

  @Test(
    "A length goes out in its one form, however it was spelt",
    arguments: ["5", "05", "010", "0000000000000000005", "  5", "5  ", "00", "0"])
  func lengths(spelt: String) {
    let number = Int(spelt.trimmingCharacters(in: .whitespaces)) ?? -1
    let body = String(repeating: "x", count: number)
    for pieces in everySplit("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(spelt)\r\n\r\n\(body)") {
      let text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(number)\r\n\r\n\(body)"
      #expect(relayRequest(pieces) == Relayed(bytes: text, isComplete: true))
    }
  }

  @Test("A coding goes out in its one form, however it was spelt", arguments: ["Chunked", "CHUNKED", "  chunked "])
  func codings(spelt: String) {
    for pieces in everySplit("POST / HTTP/1.1\r\nHost: a\r\nTransfer-encoding: \(spelt)\r\n\r\n0\r\n\r\n") {
      let text = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
      #expect(relayRequest(pieces).bytes == text)
    }
  }

  @Test(
    "A chunk's size goes out in its one form, however it was spelt",
    arguments: ["a", "A", "0A", "000000000000000a", "0a;x=y", "A;\"q\"".replacing("\"", with: "")])
  func chunkSizes(spelt: String) {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    let relayed = relayRequest([Array("\(head)\(spelt)\r\n0123456789\r\n000\r\n\r\n".utf8)])
    #expect(relayed == Relayed(bytes: "\(head)a\r\n0123456789\r\n0\r\n\r\n", isComplete: true))
  }

  @Test("Host is what the policy says, in its place, for every kind of request")
  func host() {
    let rest = " HTTP/1.1\r\nA: b\r\nHost: one\r\nC: d\r\n\r\n"
    for (asked, target) in [("GET /x", "GET /x"), ("GET http://two/x", "GET /x")] {
      for (field, sent) in [
        (ForwardingPolicy.HostField.pass, asked.contains("two") ? "two" : "one"), (.upstream, "upstream:80"),
        (.name("llm.example:81"), "llm.example:81"),
      ] {
        var policy = ForwardingPolicy()
        policy.host = field
        for pieces in everySplit(asked + rest) {
          #expect(relayRequest(pieces, policy: policy).bytes == target + rest.replacing("one", with: sent))
        }
        let old = relayRequest([Array("GET / HTTP/1.0\r\n\r\n".utf8)], policy: policy).bytes
        #expect(old == "GET / HTTP/1.1\r\nHost: \(field == .pass ? "upstream:80" : sent)\r\n\r\n")
      }
    }
  }
}
