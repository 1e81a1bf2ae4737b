// Cached heads mean what they would mean if they were read in full, and are removed when they are not used.
import HTTP
import TestSupport
import Testing

@testable import HTTP1

@Suite("Head cache")
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
    // What is cached when a value comes depends on those before it: each follows each.
    for first in Self.values {
      let requests = RequestCache()
      let responses = ResponseCache()
      for value in ["1", first, "7"] + Self.values {
        let request = Self.request(name, value)
        #expect(
          relayRequest(request, cache: requests) == relayRequest(request, cache: .null()), "\(name): \(first), \(value)"
        )
        let response = Self.response(name, value)
        for answersHead in [false, true] {
          #expect(
            relayResponse(response, answersHead: answersHead, cache: responses)
              == relayResponse(response, answersHead: answersHead, cache: .null()), "\(name): \(first), \(value)")
        }
      }
    }
  }

  @Test("A head that is cut short is not taken for the one it begins like")
  func cutShort() {
    let cache = RequestCache()
    let whole = Self.request("X-Request-Id", "1")[0]
    _ = relayRequest([whole], cache: cache)
    _ = relayRequest(Self.request("X-Request-Id", "2"), cache: cache)
    for cut in 1..<whole.count {
      let pieces = [Array(whole.prefix(cut)), Array(whole.dropFirst(cut))]
      #expect(relayRequest(pieces, cache: cache) == relayRequest(pieces, cache: .null()))
    }
  }

  @Test("A head that comes in pieces is kept once", .enabled(if: !NullCaches.areRequested))
  func pieces() {
    let cache = RequestCache()
    let whole = Self.request("X-Request-Id", "1")[0]
    for cut in [0, 20, 30, 0, 40] {
      _ = relayRequest([Array(whole.prefix(cut)), Array(whole.dropFirst(cut))].filter { !$0.isEmpty }, cache: cache)
      #expect(cache.count == 1)
    }
  }

  /// Reads one head as a server does: from the cache, or in full and then into the cache with `number`.
  /// - Returns: the head, and the number that it was cached with.
  private func read(_ text: String, _ cache: RequestCache, number: Int) throws -> (head: RequestHead, number: Int) {
    let parser = MessageParser(.request, limits: HTTPLimits.test())
    let bytes = Array(text.utf8)
    if let found = cache.lookup(bytes.span.bytes, for: parser) { return (found.head, found.payload) }
    #expect(parser.parse(bytes.span.bytes, into: BodyRanges()).progress == .headComplete)
    let head = try RequestHead(parser)
    cache.insert(head, number, from: parser)
    return (head, number)
  }

  @Test("Values that may differ are not kept, for a kind of head lasts longer than one of its clients")
  func forgetful() throws {
    let cache = RequestCache()
    func text(_ key: String) -> String {
      "POST / HTTP/1.1\r\nHost: a\r\nAuthorization: \(key)\r\nX-Same: same\r\nContent-Length: 5\r\n\r\n"
    }
    for (number, key) in ["Bearer secret-1", "Bearer secret-22", "Bearer secret-333"].enumerated() {
      let head = try read(text(key), cache, number: number).head
      #expect(head.first("authorization") == key)
    }
    let kept = unsafe cache.values.compactMap { $0?.head.fields.bytes }.map { String(decoding: $0, as: UTF8.self) }
    #expect(kept.allSatisfy { !$0.contains("secret") && $0.contains("same") })
  }

  @Test("Ids and lengths may differ, and the head is found with its payload", .enabled(if: !NullCaches.areRequested))
  func alike() throws {
    let cache = RequestCache(fixedFields: ["authorization"])
    func read(_ id: String, _ length: Int, key: String = "k", number: Int) throws -> (head: RequestHead, number: Int) {
      let text =
        "POST / HTTP/1.1\r\nHost: a\r\nx-request-id: \(id)\r\nAuthorization: \(key)\r\ncontent-length: \(length)\r\n\r\n"
      return try self.read(text, cache, number: number)
    }
    #expect(try read("one", 7, number: 1).number == 1)
    // It is read in full, and takes the first one's place: what differs is known from here on.
    #expect(try read("two", 1234, number: 2).number == 2)
    let third = try read("three-and-more", 56, number: 3)
    #expect(third.number == 2)
    #expect(third.head.first(named: "x-request-id") == "three-and-more")
    #expect(third.head.first(named: "authorization") == "k")
    #expect(third.head.framing == .length(56))
    #expect(third.head.method == .post && third.head.path == "/" && third.head.keepsAlive)
    // An empty value is not found.
    #expect(try read("", 3, number: 4).number == 4)
    #expect(try read("five", 5, number: 5).number == 2)
    // A fixed field has to be the same.
    #expect(try read("six", 6, key: "another", number: 6).number == 6)
    #expect(try read("seven", 7, key: "another", number: 7).number == 7)
    #expect(try read("eight", 8, key: "another", number: 8).number == 7)
    #expect(try read("nine", 9, number: 9).number == 2)
  }

  private static let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

  @Test("A head that is not used is removed, and each use makes it new", .enabled(if: !NullCaches.areRequested))
  func eviction() throws {
    let cache = RequestCache()
    #expect(try read(Self.plain, cache, number: 1).number == 1)
    // Used between the calls it stays for any number of them.
    for _ in 0..<5 {
      cache.evictIdle(after: 1)
      #expect(try read(Self.plain, cache, number: 2).number == 1)
    }
    cache.evictIdle(after: 1)
    #expect(cache.count == 1)
    cache.evictIdle(after: 1)
    #expect(cache.count == 0)
    #expect(try read(Self.plain, cache, number: 3).number == 3)
    #expect(try read(Self.plain, cache, number: 4).number == 3)
  }

  @Test("A payload is released with its head", .enabled(if: !NullCaches.areRequested))
  func release() throws {
    final class Secret {}
    for removes in [
      { $0.evictIdle(after: 0) }, { $0.invalidate() },
    ] as [(HeadCache<RequestHead, Secret>) -> Void] {
      let cache = HeadCache<RequestHead, Secret>()
      weak var weakly: Secret?
      do {
        let parser = MessageParser(.request, limits: HTTPLimits.test())
        _ = parser.parse(Array(Self.plain.utf8).span.bytes, into: BodyRanges())
        let secret = Secret()
        weakly = secret
        cache.insert(try RequestHead(parser), secret, from: parser)
      }
      #expect(weakly != nil)
      removes(cache)
      #expect(weakly == nil)
    }
  }

  @Test("An invalidated cache finds nothing and takes nothing", .enabled(if: !NullCaches.areRequested))
  func invalidation() throws {
    let cache = RequestCache()
    _ = try read(Self.plain, cache, number: 1)
    #expect(cache.count == 1)
    cache.invalidate()
    #expect(cache.count == 0)
    #expect(try read(Self.plain, cache, number: 2).number == 2)
    #expect(cache.count == 0)
    #expect(try read(Self.plain, cache, number: 3).number == 3)
  }

  @Test("A null cache finds nothing and takes nothing")
  func null() throws {
    let cache = RequestCache.null()
    for number in 1...3 { #expect(try read(Self.plain, cache, number: number).number == number) }
    #expect(cache.count == 0)
  }

  @Test("A head whose Connection names a field is not cached")
  func namedFields() throws {
    let cache = RequestCache()
    for number in 1...3 {
      let text = "GET / HTTP/1.1\r\nHost: a\r\nX-A: \(number)\r\nConnection: x-a\r\n\r\n"
      #expect(try read(text, cache, number: number).number == number)
    }
    #expect(cache.count == 0)
  }

  @Test("More heads than are kept are all read right")
  func many() {
    let cache = RequestCache()
    for round in 0..<3 {
      for number in 0..<100 {
        let text = "GET /\(number) HTTP/1.1\r\nHost: a\r\nX-Round: \(round)\r\n\r\n"
        #expect(relayRequest([Array(text.utf8)], cache: cache).bytes == text)
      }
    }
  }

  @Test("A cached head longer than heads may be is refused like any other")
  func limits() {
    let cache = RequestCache()
    for id in ["1", "2", String(repeating: "3", count: 70_000), "4"] {
      let request = Self.request("X-Request-Id", id)
      #expect(relayRequest(request, cache: cache) == relayRequest(request, cache: .null()))
    }
  }
}
