// Heads that are cache by their bytes: they say what they would say if they were read in full.
import Testing

@testable import HTTP
@testable import HTTP1

@Suite("Known heads")
struct HeadCacheTests {
  private static let values = [
    "1", "5", "0", "05", "+5", "5 ", " 5", "5\t", "", "12345678", "9223372036854775807", "9223372036854775808",
    "9999999999999999999", "18446744073709551616", "5, 5", "5\r\n 6", "5\r\n\t6", "a\tb", "a\u{1}b", "a\u{7f}",
    "\u{e9}", "a\nb",
    "a\rb", "a\0b", "chunked", "close", "100-continue", "x\r\nContent-Length: 3", "x\r\nTransfer-Encoding: chunked",
    "x\r\n\r\nGET / HTTP/1.1\r\nHost: b", String(repeating: "v", count: 300), "x: y", ":",
  ]
  private static let names = [
    "X-Request-Id", "Content-Length", "Host", "Connection", "Transfer-Encoding", "Expect", "Authorization", "Upgrade",
    "X-Forwarded-For", "TE", "Trailer", "Content-Encoding", "Date", "Keep-Alive", "Proxy-Connection",
  ]

  private static func request(_ name: String, _ value: String) -> [[UInt8]] {
    var head = "POST /v1/chat/completions HTTP/1.1\r\n"
    if name != "Host" { head += "Host: a:1\r\n" }
    head += "\(name): \(value)\r\nX-Last: 1\r\n"
    if name != "Content-Length", name != "Transfer-Encoding" { head += "Content-Length: 5\r\n" }
    return [Array((head + "\r\nhelloGET / HTTP/1.1\r\n").utf8)]
  }

  private static func response(_ name: String, _ value: String) -> [[UInt8]] {
    var head = "HTTP/1.1 200 OK\r\nServer: s\r\n\(name): \(value)\r\nX-Last: 1\r\n"
    if name != "Content-Length", name != "Transfer-Encoding" { head += "Content-Length: 5\r\n" }
    return [Array((head + "\r\nhello5\r\nhello\r\n0\r\n\r\n").utf8)]
  }

  @Test("A head with another value says what it says when it is read in full", arguments: names)
  func otherValues(name: String) {
    // What is cache when a value comes depends on those before it: each follows each.
    for first in Self.values {
      let requests = HeadCache(fixed: [])
      let responses = HeadCache(fixed: [])
      for value in ["1", first, "7"] + Self.values {
        let request = Self.request(name, value)
        #expect(
          relayRequest(request, cache: requests) == relayRequest(request, cache: nil), "\(name): \(first), \(value)")
        let response = Self.response(name, value)
        for answersHead in [false, true] {
          #expect(
            relayResponse(response, answersHead: answersHead, cache: responses)
              == relayResponse(response, answersHead: answersHead, cache: nil), "\(name): \(first), \(value)")
        }
      }
    }
  }

  @Test("A head that is cut short is not taken for the one it begins like")
  func cutShort() {
    let cache = HeadCache(fixed: [])
    let whole = Self.request("X-Request-Id", "1")[0]
    _ = relayRequest([whole], cache: cache)
    _ = relayRequest(Self.request("X-Request-Id", "2"), cache: cache)
    for cut in 1..<whole.count {
      let pieces = [Array(whole.prefix(cut)), Array(whole.dropFirst(cut))]
      #expect(relayRequest(pieces, cache: cache) == relayRequest(pieces, cache: nil))
    }
  }

  @Test("A head that comes in pieces is kept once")
  func pieces() {
    let cache = HeadCache(fixed: [])
    let whole = Self.request("X-Request-Id", "1")[0]
    for cut in [0, 20, 30, 0, 40] {
      _ = relayRequest([Array(whole.prefix(cut)), Array(whole.dropFirst(cut))].filter { !$0.isEmpty }, cache: cache)
      #expect(cache.count == 1)
    }
  }

  @Test("Ids and lengths may differ, and the head is cache all the same")
  func template() throws {
    let cache = HeadCache(fixed: ["authorization"])
    func head(_ id: String, _ length: Int, key: String = "k") throws -> RequestHead {
      let parser = MessageParser(.request, limits: HTTPLimits(), ranges: BodyRanges(), cache: cache)
      let text =
        "POST / HTTP/1.1\r\nHost: a\r\nx-request-id: \(id)\r\nAuthorization: \(key)\r\ncontent-length: \(length)\r\n\r\n"
      _ = parser.parse(Array(text.utf8).span.bytes)
      return try RequestHead.completed(by: parser, refusingVia: nil)
    }
    let first = try head("one", 7)
    let second = try head("two", 1234)
    // The third is the first that is found: what differs was learnt from the second.
    let third = try head("three-and-more", 56)
    let fourth = try head("", 3)
    #expect(first.template !== second.template)
    #expect(third.template === (try head("five", 5)).template)
    #expect(third.first(named: "x-request-id") == "three-and-more")
    #expect(third.first(named: "authorization") == "k")
    #expect(third.framing == .length(56))
    #expect(fourth.template !== third.template)
    #expect(try head("six", 6, key: "another").template !== third.template)
  }

  @Test("What nobody sends again is forgotten, and nothing is kept once other settings are in force")
  func forgetting() throws {
    let cache = HeadCache(fixed: [])
    func template() throws -> HeadTemplate {
      let parser = MessageParser(.request, limits: HTTPLimits(), ranges: BodyRanges(), cache: cache)
      _ = parser.parse(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8).span.bytes)
      return try RequestHead.completed(by: parser, refusingVia: nil).template
    }
    let first = try template()
    cache.evictIdle(after: 1)
    #expect(try template() === first)
    cache.evictIdle(after: 1)
    cache.evictIdle(after: 1)
    let second = try template()
    #expect(second !== first)
    #expect(try template() === second)
    cache.invalidate()
    #expect(try template() !== second)
    #expect(try template() !== template())
  }

  @Test("More heads than are kept are all read right")
  func many() {
    let cache = HeadCache(fixed: [])
    for round in 0..<3 {
      for number in 0..<100 {
        let text = "GET /\(number) HTTP/1.1\r\nHost: a\r\nX-Round: \(round)\r\n\r\n"
        #expect(relayRequest([Array(text.utf8)], cache: cache).bytes == text)
      }
    }
  }

  @Test("A cache head longer than heads may be is refused like any other")
  func limits() {
    let cache = HeadCache(fixed: [])
    for id in ["1", "2", String(repeating: "3", count: 70_000), "4"] {
      let request = Self.request("X-Request-Id", id)
      #expect(relayRequest(request, cache: cache) == relayRequest(request, cache: nil))
    }
  }
}
