// What policies add to heads and take from them, and which offers to switch protocols go on.
import TestSupport
import Testing

@testable import HTTP
@testable import HTTP1

/// The request's head as upstream gets it under a policy.
private func forwarded(
  _ head: String, client: String = "192.0.2.7", _ adjust: (inout ForwardingPolicy) -> Void
) throws -> String {
  var policy = ForwardingPolicy()
  adjust(&policy)
  let head = try requestHead(head)
  let output = OutputBuffer()
  head.write(to: output, defaultHost: "up:1", policy: policy, client: client, offer: head.offer(of: policy.tunnels))
  return String(decoding: output.bytes, as: UTF8.self)
}

private func requestHead(_ text: String) throws -> RequestHead {
  let parser = MessageParser(.request, limits: HTTPLimits.test())
  #expect(parser.parse(Array(text.utf8).span.bytes, into: BodyRanges()).progress == .headComplete)
  return try RequestHead(parser)
}

private func responseHead(_ text: String) throws -> ResponseHead {
  let parser = MessageParser(.response, limits: HTTPLimits.test())
  #expect(parser.parse(Array(text.utf8).span.bytes, into: BodyRanges()).progress == .headComplete)
  return try ResponseHead(parser)
}

private func request(_ fields: String) -> String { "GET / HTTP/1.1\r\nHost: a\r\n\(fields)X: y\r\n\r\n" }

@Suite("Fields that name the client (case 4)")
struct AddressFieldTests {
  static let came = "X-Forwarded-For: 1.1.1.1\r\nA: b\r\nx-forwarded-for: 2.2.2.2, 3.3.3.3\r\n"

  /// Each policy, and what becomes of `came` and of nothing.
  static let eachPolicy: [(ForwardingPolicy.AddressField, among: String, alone: String)] = [
    (.pass, came + "X: y\r\n", "X: y\r\n"),
    (
      .append, "X-Forwarded-For: 1.1.1.1\r\nA: b\r\nx-forwarded-for: 2.2.2.2, 3.3.3.3, 192.0.2.7\r\nX: y\r\n",
      "X: y\r\nX-Forwarded-For: 192.0.2.7\r\n"
    ),
    (
      .replace, "X-Forwarded-For: 192.0.2.7\r\nA: b\r\nX: y\r\n", "X: y\r\nX-Forwarded-For: 192.0.2.7\r\n"
    ),
    (.drop, "A: b\r\nX: y\r\n", "X: y\r\n"),
  ]

  @Test("X-Forwarded-For by each policy: order kept, one list whatever its lines", arguments: eachPolicy)
  func forwardedFor(_ policy: ForwardingPolicy.AddressField, among: String, alone: String) throws {
    let start = "GET / HTTP/1.1\r\nHost: a\r\n"
    #expect(try forwarded(request(Self.came)) { $0.forwardedFor = policy } == "\(start)\(among)\r\n")
    #expect(try forwarded(request("")) { $0.forwardedFor = policy } == "\(start)\(alone)\r\n")
  }

  @Test("Forwarded gets an element in its own syntax, an IPv6 address in brackets and quotes (RFC 7239 §6)")
  func forwardedElement() throws {
    let came = request("Forwarded: for=1.1.1.1;proto=https\r\n")
    let four = try forwarded(came) { $0.forwarded = .append }
    #expect(four.contains("\r\nForwarded: for=1.1.1.1;proto=https, for=192.0.2.7\r\nX: y\r\n"))
    let six = try forwarded(came, client: "2001:db8::7") { $0.forwarded = .append }
    #expect(six.contains("\r\nForwarded: for=1.1.1.1;proto=https, for=\"[2001:db8::7]\"\r\n"))
    let replaced = try forwarded(came, client: "2001:db8::7") { $0.forwarded = .replace }
    #expect(replaced.contains("\r\nForwarded: for=\"[2001:db8::7]\"\r\nX: y\r\n"))
    #expect(try !forwarded(came) { $0.forwarded = .drop }.contains("orwarded"))
    let bare = try forwarded(came, client: "2001:db8::7") { $0.forwardedFor = .append }
    #expect(bare.contains("X-Forwarded-For: 2001:db8::7\r\n"))
  }

  /// Values behind which an element of ours would be inside a string of the client's.
  static let unclosed = ["for=\"", "for=\"_a\\\"", "for=\"a\"\"b", "secret=\"x\\"]

  @Test("A quoted string that a client left open cannot swallow our element", arguments: unclosed)
  func openQuote(value: String) throws {
    let written = try forwarded(request("Forwarded: for=1.1.1.1\r\nForwarded: \(value)\r\n")) { $0.forwarded = .append }
    #expect(written == "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=192.0.2.7\r\nX: y\r\n\r\n")
    let passed = try forwarded(request("Forwarded: \(value)\r\n")) { _ in }
    #expect(passed.contains("Forwarded: \(value)\r\n"))
  }

  @Test("A quoted string that is closed may hold anything")
  func closedQuote() throws {
    let value = "for=\"_a\\\",\";host=\"b\""
    let written = try forwarded(request("Forwarded: \(value)\r\n")) { $0.forwarded = .append }
    #expect(written.contains("Forwarded: \(value), for=192.0.2.7\r\n"))
  }

  @Test("An empty field is filled, bytes beyond ASCII stay as they came")
  func oddValues() throws {
    #expect(
      try forwarded(request("X-Forwarded-For:\r\n")) { $0.forwardedFor = .append }
        .contains("\r\nX-Forwarded-For: 192.0.2.7\r\n"))
    var bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ".utf8)
    bytes += [0xE9, 0xFF]
    bytes += Array("\r\n\r\n".utf8)
    let parser = MessageParser(.request, limits: HTTPLimits.test())
    _ = parser.parse(bytes.span.bytes, into: BodyRanges())
    let output = OutputBuffer()
    var policy = ForwardingPolicy()
    policy.forwardedFor = .append
    try RequestHead(parser).write(to: output, defaultHost: "", policy: policy, client: "::1")
    #expect(output.bytes == bytes.dropLast(4) + Array(", ::1\r\n\r\n".utf8))
  }

  @Test("Fields that others write of the client are left alone")
  func othersAreLeft() throws {
    let others = "X-Real-IP: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n"
    let written = try forwarded(request(others)) {
      $0.forwardedFor = .replace
      $0.forwarded = .replace
    }
    #expect(written.contains(others))
  }
}

@Suite("Via (case 5)")
struct ViaTests {
  @Test("A request's Via is a line of its own behind those that came, with the version it came in")
  func request() throws {
    let came = "GET / HTTP/1.0\r\nHost: a\r\nVia: 1.0 fred, 1.1 other (x)\r\nX: y\r\n\r\n"
    let written = try forwarded(came) { $0.via = "me" }
    #expect(
      written == "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 fred, 1.1 other (x)\r\nX: y\r\nVia: 1.0 me\r\n\r\n")
  }

  @Test("A response's Via says which version upstream spoke, on interim responses too")
  func response() throws {
    var policy = ForwardingPolicy()
    policy.via = "me"
    for (line, version) in [("HTTP/1.1 103 Hints", "1.1"), ("HTTP/1.0 200 OK", "1.0")] {
      let output = OutputBuffer()
      let head = try responseHead("\(line)\r\nVia: 1.1 inner\r\nX: y\r\n\r\n")
      head.write(to: output, client11: true, closing: false, policy: policy)
      let text = String(decoding: output.bytes, as: UTF8.self)
      #expect(text.contains("Via: 1.1 inner\r\nX: y\r\n") && text.contains("\r\nVia: \(version) me\r\n"))
    }
  }

  static let passed = [
    "Via: 1.1 me\r\n", "Via: 1.1 other, 1.0 ME\r\n", "via: HTTP/1.1 me (a (nested, one) 1.1 x)\r\n",
    "Via: 1.1 a\r\nVia: 1.1 b (quoted \\) 1.1 c), 2 me\r\n", "Via: 1.1 me(comment)\r\n", "Via: ,,\t1.1\tme ,\r\n",
  ]
  static let notPassed = [
    "", "Via:\r\n", "Via: 1.1 other\r\n", "Via: 1.1 other (1.1 me)\r\n", "Via: 1.1 other (x, 1.1 me)\r\n",
    "Via: me\r\n",
    "Via: 1.1 me2\r\n", "Via: 1.1 other me\r\n", "X-Via: 1.1 me\r\n", "Via: 1.1 other (unclosed, 1.1 me\r\n",
    "Via: 1.1 other (a \\) , 1.1 me)\r\n",
  ]

  @Test("A Via that names us is found among others, and only where it is a receiver's name")
  func circle() throws {
    for fields in Self.passed { #expect(try requestHead(Self.with(fields)).fields.wentThrough("me"), "\(fields)") }
    for fields in Self.notPassed { #expect(try !requestHead(Self.with(fields)).fields.wentThrough("me"), "\(fields)") }
  }

  private static func with(_ fields: String) -> String { "GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n" }
}

@Suite("Switching protocols (cases 40 to 43)")
struct UpgradeTests {
  static let both = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"

  @Test("An offer goes on with its two fields, each in its place; what else Connection named does not")
  func offered() throws {
    let came = "Connection: keep-alive, X-A, upgrade\r\nX-A: 1\r\nSec-WebSocket-Key: k\r\nUpgrade: WebSocket\r\n"
    let written = try forwarded(request(came)) { $0.tunnels = ["websocket"] }
    #expect(
      written == "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nSec-WebSocket-Key: k\r\nUpgrade: WebSocket\r\n"
        + "X: y\r\n\r\n")
  }

  @Test("A Content-Length of 0 is no body: the JDK's client sends one with each GET")
  func lengthOfZero() throws {
    let came = request("Content-Length: 0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
    #expect(try forwarded(came) { $0.tunnels = ["websocket"] } == came)
  }

  @Test("Of several protocols those go on that may be tunnelled, in the client's order")
  func several() throws {
    let came = "Upgrade: h2c, raw/2\r\nConnection: Upgrade\r\nConnection: HTTP2-Settings\r\nUpgrade: foo, websocket\r\n"
    let written = try forwarded(request(came)) { $0.tunnels = ["websocket", "raw/2"] }
    #expect(
      written == "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: raw/2, websocket\r\nConnection: Upgrade\r\nX: y\r\n\r\n")
  }

  /// Requests that are served as plain HTTP, both fields dropped.
  static let plain = [
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a\r\n\(both)\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\n\(both)\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\(both)\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\(both)Content-Length: 3\r\n\r\nabc",
    "GET / HTTP/1.1\r\nHost: a\r\n\(both)Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ]

  @Test("Any other request is plain HTTP, its body framed as ever (case 42, CVE-2026-58055)", arguments: plain)
  func served(request: String) throws {
    let written = try forwarded(request) { $0.tunnels = ["websocket"] }
    #expect(!written.lowercased().contains("upgrade"))
    for pieces in everySplit(request) {
      let relayed = relayRequest(pieces)
      #expect(relayed.isComplete && relayed.leftOver.isEmpty && relayed.error == nil, "\(pieces.count)")
      #expect(relayed.bytes.hasPrefix(written))
    }
  }

  @Test("Bytes behind an offer are left alone, wherever the reads cut it")
  func early() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\n\(Self.both)\r\n"
    for pieces in everySplit(head + "GET /evil") {
      let relayed = relayRequest(pieces)
      #expect(relayed.isComplete && relayed.leftOver == "GET /evil")
    }
  }

  private static let offer = try? requestHead(request("Connection: upgrade\r\nUpgrade: WebSocket, raw\r\n"))
    .offer(of: ["raw", "websocket", "other"])

  @Test("No more than 64 protocols of a request are offered")
  func manyOffers() throws {
    let offers = Array(repeating: "raw", count: 65).joined(separator: ", ")
    let head = try requestHead(request("Connection: upgrade\r\nUpgrade: \(offers)\r\n"))
    #expect(head.offer(of: ["raw"])?.elements.count == 64)
  }

  @Test("A 101 that names what was offered takes it up, and goes on with its two fields")
  func takenUp() throws {
    let offer = try #require(Self.offer)
    var policy = ForwardingPolicy()
    policy.tunnels = ["websocket", "raw"]
    for upgrade in ["websocket", "WEBSOCKET", "raw, websocket"] {
      let line = "HTTP/1.1 101 Switching\r\nX: y\r\n"
      let head = try responseHead("\(line)upgrade: \(upgrade)\r\nConnection: foo, Upgrade\r\nContent-Length: 3\r\n\r\n")
      #expect(head.takesUp(offer))
      let output = OutputBuffer()
      head.write(to: output, client11: true, closing: false, policy: policy)
      #expect(
        String(decoding: output.bytes, as: UTF8.self)
          == "\(line)upgrade: \(upgrade)\r\nConnection: Upgrade\r\n\r\n")
    }
  }

  static let odd = [
    "HTTP/1.1 101 S\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade:\r\n\r\n",
    "HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n",
    "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n",
    "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
    "HTTP/1.0 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "HTTP/1.1 200 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
  ]

  @Test("A 101 that was not asked for, or is not whole, takes up nothing (case 43)", arguments: odd)
  func notTakenUp(response: String) throws {
    let offer = try #require(Self.offer)
    #expect(try !responseHead(response).takesUp(offer))
  }

  @Test("Nothing is taken up where nothing was offered")
  func noOffer() throws {
    #expect(try !responseHead("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").takesUp(nil))
  }

  @Test("Where a 101 ends is found wherever the reads cut it")
  func splitSwitch() {
    let head = "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    for pieces in everySplit(head + "\u{81}\r\n\r\nframe") {
      let parser = MessageParser(.response, limits: HTTPLimits.test())
      var behind: [UInt8] = []
      var isSwitched = false
      for piece in pieces {
        guard !isSwitched else {
          behind += piece
          continue
        }
        let (consumed, progress) = parser.parse(piece.span.bytes, into: BodyRanges())
        guard progress == .headComplete else { continue }
        isSwitched = true
        behind += piece[consumed...]
      }
      #expect(behind == Array("\u{81}\r\n\r\nframe".utf8))
    }
  }

  @Test("A 426 tells of the protocols that would be tunnelled, and of no other")
  func required() throws {
    var policy = ForwardingPolicy()
    policy.tunnels = ["websocket"]
    let head = try responseHead(
      "HTTP/1.1 426 U\r\nConnection: upgrade, keep-alive\r\nUpgrade: h2c, websocket\r\nContent-Length: 0\r\n\r\n")
    let output = OutputBuffer()
    head.write(to: output, client11: true, closing: false, policy: policy)
    #expect(
      String(decoding: output.bytes, as: UTF8.self)
        == "HTTP/1.1 426 U\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n")
    let none = OutputBuffer()
    head.write(to: none, client11: true, closing: false)
    #expect(String(decoding: none.bytes, as: UTF8.self) == "HTTP/1.1 426 U\r\nContent-Length: 0\r\n\r\n")
  }
}
