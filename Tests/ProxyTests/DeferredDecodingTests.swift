// Reads that wait to be looked at: whatever asks for what they tell finds them looked at, and none waits for long.
// It must not depend on time: a machine that is slow here looks earlier, which is right as well.
import Glibc
import SettingValues
import TestSupport
import Testing

@testable import Measurement
@testable import Proxy

@Suite("Reads that wait to be looked at")
struct DeferredDecodingTests {
  /// A stream of which a comment has been looked at by itself, so that what comes next waits.
  private struct TokenStream {
    let harness: ProxyHarness
    let client: SocketPeer
    let server: SocketPeer

    init(_ request: String = chatRequest(), _ adjust: (inout Settings) -> Void = { _ in }) throws {
      harness = try ProxyHarness(adjust)
      client = try harness.connect()
      try client.send(request)
      server = try harness.upstream.accept()
      _ = try server.read(through: "\"stream\":true")
      try server.send(streamHead + chunk(": ping\n\n"))
      _ = try client.read(through: "ping\n\n\r\n")
    }

    /// Sends an event, and waits until the client has it.
    func pass(_ event: String) throws {
      try server.send(chunk(event))
      _ = try client.read(through: chunk(event))
    }
  }

  enum End: String, CaseIterable, Sendable {
    case clientFinishes, clientResets, upstreamFinishes, upstreamResets, upstreamBreaksFraming, shutDown
  }

  @Test(
    "An exchange that is broken off counts every token that went by, and its stage is theirs", arguments: End.allCases)
  func brokenOff(by end: End) throws {
    let stream = try TokenStream()
    for text in ["a", "b", "c"] { try stream.pass(token(text)) }
    switch end {
    case .clientFinishes: stream.client.close()
    case .clientResets: stream.client.reset()
    case .upstreamFinishes: stream.server.close()
    case .upstreamResets: stream.server.reset()
    case .upstreamBreaksFraming: try stream.server.send("zz\r\n")
    case .shutDown: stream.harness.server.shutDown()
    }
    if stream.client.descriptor >= 0 { _ = try? stream.client.waitForEnd() }
    if stream.server.descriptor >= 0 { _ = try? stream.server.waitForEnd() }
    let line = try #require(try stream.harness.end().first)
    let outcome =
      switch end {
      case .clientFinishes, .clientResets: "client_cancelled"
      case .upstreamFinishes, .upstreamResets, .upstreamBreaksFraming: "truncated"
      case .shutDown: "timeout"
      }
    #expect(line.verdict == "\(outcome) streaming")
    #expect(line.int("events") == 3)
    #expect(line.values["ttlt_ms"] is Double)
  }

  @Test("A request that breaks while its answer comes leaves none of the answer's tokens out")
  func requestBreaks() throws {
    let body = #"{"model":"m","stream":true,"messages":[]}"#
    let stream = try TokenStream(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: llm\r\nTransfer-Encoding: chunked\r\n\r\n\(chunk(body))")
    for text in ["a", "b"] { try stream.pass(token(text)) }
    try stream.client.send("zz\r\n")
    _ = try? stream.client.waitForEnd()
    let line = try #require(try stream.harness.end().first)
    #expect(line.verdict == "rejected upload")
    #expect(line.int("events") == 2)
  }

  @Test("A client that leaves behind a terminator that waits has had its answer")
  func terminator() throws {
    let stream = try TokenStream()
    try stream.pass(token("a"))
    try stream.pass("data: [DONE]\n\n")
    stream.client.close()
    try stream.server.waitForEnd()
    #expect(try stream.harness.end().map(\.verdict) == ["ok -"])
  }

  @Test("A stream that ends well counts what waited")
  func whole() throws {
    let stream = try TokenStream()
    for text in ["a", "b"] { try stream.pass(token(text)) }
    try stream.server.send(chunk("data: [DONE]\n\n") + "0\r\n\r\n")
    _ = try stream.client.read(through: "0\r\n\r\n")
    let line = try #require(try stream.harness.end().first)
    #expect(line.verdict == "ok -")
    #expect(line.int("events") == 2)
  }

  @Test("A token that came before its request was whole is in no timeline")
  func beforeTheRequest() throws {
    let body = #"{"model":"m","stream":true,"messages":[]}"#
    let stream = try TokenStream(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: llm\r\nTransfer-Encoding: chunked\r\n\r\n\(chunk(body))"
    ) { $0.records.timeline = true }
    try stream.pass(token("early"))
    try stream.client.send("0\r\n\r\n")
    _ = try stream.server.read(through: "0\r\n\r\n")
    try stream.pass(token("late"))
    try stream.server.send(chunk("data: [DONE]\n\n") + "0\r\n\r\n")
    _ = try stream.client.read(through: "0\r\n\r\n")
    let line = try #require(try stream.harness.end().first)
    #expect(line.int("events") == 2)
    #expect((line.values["timeline"] as? [Any])?.count == 1)
  }

  @Test("A deadline counts every token that went by before it")
  func deadline() throws {
    let stream = try TokenStream { $0.timeouts.betweenReads = .nanoseconds(1) }
    var sent = 0
    while !stream.server.isReady(POLLIN, milliseconds: 1) {
      try stream.server.send(chunk(token("a")))
      sent += 1
    }
    var received = 0
    while (try? stream.client.read(through: chunk(token("a")))) != nil { received += 1 }
    let line = try #require(try stream.harness.end().first)
    #expect(line["outcome"] == "timeout")
    #expect(line.int("events") == received && received <= sent)
  }

  @Test("A stream is not ended for want of a token that only waits to be looked at")
  func tokenDeadline() throws {
    let limit = 30.0
    let stream = try TokenStream { $0.timeouts.betweenTokens = .milliseconds(limit) }
    try stream.pass(token("a"))
    for _ in 0..<400 where !stream.server.isReady(POLLIN, milliseconds: 3) {
      try stream.server.send(chunk(token("a")))
    }
    stream.client.close()
    _ = try? stream.server.waitForEnd()
    let line = try #require(try stream.harness.end().first)
    guard stream.harness.hits(.betweenTokensTimeout) > 0 else {
      #expect(line.verdict == "client_cancelled streaming")
      return
    }
    // Where this machine has kept a token back for so long, the deadline was right.
    #expect(line.verdict == "timeout streaming")
    let end = try #require(line.double("total_ms"))
    let last = try #require(line.double("ttlt_ms"))
    #expect(end - last > limit)
  }

  @Test("A read that nothing follows is counted soon all the same")
  func bounded() throws {
    let stream = try TokenStream()
    for text in ["a", "b"] { try stream.pass(token(text)) }
    let delivery = stream.harness.server.state.counters[0].delivery
    for _ in 0..<2_000 where delivery.delay.counts.count < 3 { _ = poll(nil, 0, 5) }
    #expect(delivery.delay.counts.count == 3)
    _ = try stream.harness.end()
  }

  @Test("A read that waits for its client's socket, too, is delivered when that has taken it")
  func pending() throws {
    let harness = try ProxyHarness { $0.buffers.highWatermarkBytes = 1 << 30 }
    let client = try harness.connect(receiveBuffer: 64 * 1024)
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    // More than the kernel keeps for the client: the rest, and what comes behind it, is the proxy's to keep.
    let comment = chunk(": \(String(repeating: "x", count: 60_000))\n\n")
    let fill = Array(String(repeating: comment, count: 100).utf8)
    try server.send(streamHead)
    try server.send(fill)
    let (counters, upstream) = (harness.server.state.counters[0], harness.counters())
    for _ in 0..<10_000 where upstream.readBytes.count < streamHead.utf8.count + fill.count {
      _ = poll(nil, 0, 1)
    }
    let delivery = counters.delivery
    let atOnce = delivery.delay.counts.count
    let last = Array(chunk(token("last")).utf8)
    try server.send(last)
    var tail: [UInt8] = []
    while tail != last { tail = Array((tail.suffix(last.count) + (try client.receive())).suffix(last.count)) }
    client.close()
    try server.waitForEnd()
    #expect(try harness.end().map(\.verdict) == ["client_cancelled streaming"])
    // Of more reads than these not all are remembered until they are delivered.
    let pending = min(delivery.lag.counts.count - atOnce, UInt64(DeliveryMeter.pendingReads))
    #expect(delivery.delay.counts.count == atOnce + pending)
  }

  @Test("Many streams that come interleaved have each their own tokens, each delivered once")
  func interleaved() throws {
    let harness = try ProxyHarness()
    let count = 40
    var streams: [(client: SocketPeer, server: SocketPeer)] = []
    for number in 0..<count {
      let client = try harness.connect()
      try client.send(chatRequest(#"{"model":"m\#(number)","stream":true,"messages":[]}"#))
      let server = try harness.upstream.accept()
      _ = try server.read(through: "[]}")
      try server.send(streamHead)
      streams.append((client, server))
    }
    // Stream number n has 5 + n tokens: more reads than are held at a time.
    for round in 0..<(5 + count) {
      for (number, stream) in streams.enumerated() where round < 5 + number {
        try stream.server.send(chunk(token("t\(round)")))
      }
      for (number, stream) in streams.enumerated() where round < 5 + number {
        _ = try stream.client.read(through: chunk(token("t\(round)")))
      }
    }
    for stream in streams {
      try stream.server.send(chunk("data: [DONE]\n\n") + "0\r\n\r\n")
      _ = try stream.client.read(through: "0\r\n\r\n")
    }
    let delivery = harness.server.state.counters[0].delivery
    let lines = try harness.end()
    #expect(lines.count == count)
    for line in lines {
      let number = try #require(line["model"]?.dropFirst().description)
      #expect(line.int("events") == Int(number).map { $0 + 5 })
      #expect(line["outcome"] == "ok")
    }
    #expect(delivery.delay.counts.count == delivery.lag.counts.count)
    #expect(delivery.delay.counts.count >= UInt64(lines.reduce(0) { $0 + ($1.int("reads") ?? 0) }))
  }
}
