// A server's connection over a stream that the test plays: which requests its owner gets, and what the stream is told.
import Clocks
import HTTP
import HTTP1
import TestSupport
import Testing
import Transport

/// Notes what a connection reports, and replies to each request with its target.
private final class Server: ServerConnectionDelegate {
  let stream = ScriptedStream()
  let connection: ServerConnection
  var events: [String] = []
  /// Whether replies are given at once.
  var repliesAtOnce = true
  /// Whether the head alone is replied to, and the connection closed.
  var refusesHeads = false
  private var head: RequestHead?
  private var body = ""

  init(_ change: (inout ServerConnection.Options) -> Void = { _ in }) {
    var options = ServerConnection.Options(limits: .test())
    change(&options)
    connection = ServerConnection(stream, options, ranges: BodyRanges(), output: OutputBuffer())
    connection.start(self)
  }

  func serverConnection(_ connection: ServerConnection, didReadPrelude bytes: RawSpan, at: Instant) -> Int? {
    events.append("prelude")
    return bytes.byteCount < 3 ? nil : 3
  }

  func serverConnection(
    _ connection: ServerConnection, didReceive head: RequestHead, at: Instant, into output: OutputBuffer
  ) {
    self.head = head
    events.append("head \(head.path) \((connection.receivedAt?.nanoseconds ?? 0) / 1_000_000_000)")
    guard refusesHeads else { return }
    connection.write(Array("refused".utf8))
    connection.endReply(.close(.lingering))
  }

  func serverConnection(
    _ connection: ServerConnection, didReceiveBody ranges: BodyRanges, of bytes: RawSpan, at: Instant,
    into output: OutputBuffer
  ) {
    for index in 0..<ranges.count {
      let range = ranges[index]
      body += String(decoding: range.map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }, as: UTF8.self)
    }
  }

  func serverConnection(
    _ connection: ServerConnection, didCompleteRequestWith last: BodyRanges, of bytes: RawSpan, at: Instant
  ) {
    events.append("request \(body)")
    body = ""
    if repliesAtOnce { reply() }
  }

  func reply() {
    connection.write(Array("reply \(head?.path ?? "")\n".utf8))
    connection.endReply(head?.keepsAlive == true ? .keepAlive : .close(.lingering))
  }

  func serverConnection(_ connection: ServerConnection, didFailWith error: HTTPParseError) {
    events.append("failed \(error.kind)")
    connection.endReply(.close(.lingering))
  }

  func serverConnectionDidPausePipelining(_ connection: ServerConnection) { events.append("paused") }
  func serverConnectionDidLoseClient(_ connection: ServerConnection) { events.append("lost") }
  func serverConnectionDidClose(_ connection: ServerConnection) { events.append("closed") }
}

private func get(_ path: String) -> String { "GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n" }
private func post(_ path: String, _ body: String) -> String {
  "POST \(path) HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
}

@Suite("A server's connection")
struct ServerConnectionTests {
  @Test("Requests that come together are replied to one after the other")
  func pipelined() {
    let server = Server()
    server.stream.receive(get("/1") + post("/2", "two") + get("/3"))
    #expect(server.stream.written == "reply /1\nreply /2\nreply /3\n")
    #expect(server.events == ["head /1 1", "request ", "head /2 1", "request two", "head /3 1", "request "])
    let isIdle = if case .idle = server.connection.wait { true } else { false }
    #expect(isIdle)
  }

  @Test("Requests that come byte by byte are the same")
  func bytewise() {
    let server = Server()
    for byte in "\r\n" + get("/1") + post("/2", "two") { server.stream.receive(String(byte)) }
    #expect(server.events == ["head /1 1", "request ", "head /2 1", "request two"])
  }

  @Test("A pipelined request keeps the time at which its first byte was read")
  func receivedAt() {
    let server = Server()
    server.repliesAtOnce = false
    server.stream.receive(get("/1"), at: 1)
    server.stream.receive(get("/2").prefix(5) + "", at: 2)
    server.stream.receive(get("/2").dropFirst(5) + get("/3"), at: 3)
    server.reply()
    server.reply()
    #expect(server.events == ["head /1 1", "request ", "head /2 2", "request ", "head /3 3", "request "])
  }

  @Test("Empty lines before a request are none of it, and its time counts from its first byte")
  func emptyLines() {
    let server = Server()
    server.stream.receive("\r\n", at: 1)
    #expect(!server.connection.isReadingHead && server.connection.receivedAt == nil)
    server.stream.receive("G", at: 2)
    #expect(server.connection.isReadingHead)
    server.stream.receive(String(get("/").dropFirst()), at: 3)
    #expect(server.events == ["head / 2", "request "])
  }

  @Test("Who sends more than is kept while a reply is being made is read no further, until the reply is there")
  func pipeliningBound() {
    let server = Server()
    server.repliesAtOnce = false
    server.stream.receive(get("/1"))
    for _ in 0..<255 { server.stream.receive("\r") }
    #expect(server.stream.isReading)
    server.stream.receive("\r")
    #expect(!server.stream.isReading && server.events.last == "paused")
    server.reply()
    #expect(server.stream.isReading)
  }

  @Test("The next request is read once the reply before it has been sent")
  func slowReader() {
    let server = Server()
    server.stream.takes = false
    server.stream.receive(get("/1") + get("/2"))
    #expect(server.events == ["head /1 1", "request "])
    server.stream.flush()
    #expect(server.events.suffix(2) == ["head /2 1", "request "])
  }

  @Test("The last reply is followed by our end, and what the client sends behind it is discarded")
  func lingering() {
    let server = Server()
    server.stream.receive("GET / HTTP/1.0\r\n\r\n")
    #expect(server.stream.hasShutDown && !server.stream.isClosed)
    let isLingering = if case .lingering = server.connection.wait { true } else { false }
    #expect(isLingering)
    server.stream.receive(get("/more"))
    server.stream.end()
    #expect(server.stream.isClosed && !server.stream.wasReset)
    #expect(server.events == ["head / 1", "request ", "closed"])
  }

  @Test("A head that is refused is replied to, and nothing behind it is read")
  func refused() {
    let server = Server()
    server.refusesHeads = true
    server.stream.receive(post("/1", "body") + get("/2"))
    #expect(server.events == ["head /1 1"])
    #expect(server.stream.written == "refused" && server.stream.hasShutDown)
  }

  @Test("A malformed request is reported once, and the connection ends behind the reply to it")
  func malformed() {
    let server = Server()
    server.stream.receive("GET / HTTP/2.0\r\nHost: a\r\n\r\n" + get("/2"))
    server.stream.receive(get("/3"))
    #expect(server.events == ["failed unsupportedVersion"])
    #expect(server.stream.hasShutDown)
  }

  @Test("A client that ends its side in mid-request, or before its reply, has left")
  func lost() {
    let idle = Server()
    idle.stream.end()
    #expect(idle.events == ["lost", "closed"])
    let waiting = Server()
    waiting.repliesAtOnce = false
    waiting.stream.receive(get("/"))
    waiting.stream.end()
    #expect(waiting.events == ["head / 1", "request ", "lost"])
    #expect(!waiting.stream.isClosed, "its owner closes it")
  }

  @Test("A client that ends its side behind its requests is answered where that is allowed")
  func halfClosed() {
    let server = Server { $0.answersHalfClosed = true }
    #expect(server.stream.detectsReset)
    server.repliesAtOnce = false
    server.stream.receive(get("/1") + get("/2"))
    server.stream.end()
    server.reply()
    server.reply()
    #expect(server.stream.written == "reply /1\nreply /2\n")
    #expect(server.events.suffix(2) == ["lost", "closed"])
  }

  @Test("The owner reads what comes before the first request", arguments: [true, false])
  func prelude(together: Bool) {
    let server = Server { $0.hasPrelude = true }
    if together {
      server.stream.receive("abc" + get("/"))
      #expect(server.events == ["prelude", "head / 1", "request "])
    } else {
      server.stream.receive("a")
      server.stream.receive("abc")
      server.stream.receive(get("/"))
      #expect(server.events == ["prelude", "prelude", "head / 1", "request "])
    }
  }

  @Test("A stream that is handed over comes with what was read behind the request")
  func handOver() {
    let server = Server()
    server.repliesAtOnce = false
    server.stream.receive(get("/") + "tunnel")
    let (stream, pipelined, hasEnded) = server.connection.handOver()
    #expect(stream === server.stream && pipelined == Array("tunnel".utf8) && !hasEnded)
    #expect(server.connection.handOver().pipelined.isEmpty)
  }
}
