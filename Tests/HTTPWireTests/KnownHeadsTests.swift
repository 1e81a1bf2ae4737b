// Heads that are known by their bytes: they say what they would say if they were read in full.
import Testing

@testable import HTTPWire

@Suite("Known heads")
struct KnownHeadsTests {
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
    // What is known when a value comes depends on those before it: each follows each.
    for first in Self.values {
      let requests = KnownHeads(fixed: [])
      let responses = KnownHeads(fixed: [])
      for value in ["1", first, "7"] + Self.values {
        let request = Self.request(name, value)
        #expect(
          relayRequest(request, known: requests) == relayRequest(request, known: nil), "\(name): \(first), \(value)")
        let response = Self.response(name, value)
        for answersHead in [false, true] {
          #expect(
            relayResponse(response, answersHead: answersHead, known: responses)
              == relayResponse(response, answersHead: answersHead, known: nil), "\(name): \(first), \(value)")
        }
      }
    }
  }

  @Test("A head that is cut short is not taken for the one it begins like")
  func cutShort() {
    let known = KnownHeads(fixed: [])
    let whole = Self.request("X-Request-Id", "1")[0]
    _ = relayRequest([whole], known: known)
    _ = relayRequest(Self.request("X-Request-Id", "2"), known: known)
    for cut in 1..<whole.count {
      let pieces = [Array(whole.prefix(cut)), Array(whole.dropFirst(cut))]
      #expect(relayRequest(pieces, known: known) == relayRequest(pieces, known: nil))
    }
  }

  @Test("A head that comes in pieces is kept once")
  func pieces() {
    let known = KnownHeads(fixed: [])
    let whole = Self.request("X-Request-Id", "1")[0]
    for cut in [0, 20, 30, 0, 40] {
      _ = relayRequest([Array(whole.prefix(cut)), Array(whole.dropFirst(cut))].filter { !$0.isEmpty }, known: known)
      #expect(known.count == 1)
    }
  }

  @Test("Ids and lengths may differ, and the head is known all the same")
  func kin() throws {
    let known = KnownHeads(fixed: ["authorization"])
    func head(_ id: String, _ length: Int, key: String = "k") throws -> RequestHead {
      let parser = MessageParser(.request, limits: WireLimits(), spans: BodySpans(), known: known)
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
    #expect(first.kin !== second.kin)
    #expect(third.kin === (try head("five", 5)).kin)
    #expect(third.first(named: "x-request-id") == "three-and-more")
    #expect(third.first(named: "authorization") == "k")
    #expect(third.framing == .length(56))
    #expect(fourth.kin !== third.kin)
    #expect(try head("six", 6, key: "another").kin !== third.kin)
  }

  @Test("What nobody sends again is forgotten, and nothing is kept once other settings are in force")
  func forgetting() throws {
    let known = KnownHeads(fixed: [])
    func kin() throws -> HeadKin {
      let parser = MessageParser(.request, limits: WireLimits(), spans: BodySpans(), known: known)
      _ = parser.parse(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8).span.bytes)
      return try RequestHead.completed(by: parser, refusingVia: nil).kin
    }
    let first = try kin()
    known.sweep(after: 1)
    #expect(try kin() === first)
    known.sweep(after: 1)
    known.sweep(after: 1)
    let second = try kin()
    #expect(second !== first)
    #expect(try kin() === second)
    known.retire()
    #expect(try kin() !== second)
    #expect(try kin() !== kin())
  }

  @Test("More heads than are kept are all read right")
  func many() {
    let known = KnownHeads(fixed: [])
    for round in 0..<3 {
      for number in 0..<100 {
        let text = "GET /\(number) HTTP/1.1\r\nHost: a\r\nX-Round: \(round)\r\n\r\n"
        #expect(relayRequest([Array(text.utf8)], known: known).bytes == text)
      }
    }
  }

  @Test("A known head longer than heads may be is refused like any other")
  func limits() {
    let known = KnownHeads(fixed: [])
    for id in ["1", "2", String(repeating: "3", count: 70_000), "4"] {
      let request = Self.request("X-Request-Id", id)
      #expect(relayRequest(request, known: known) == relayRequest(request, known: nil))
    }
  }
}
