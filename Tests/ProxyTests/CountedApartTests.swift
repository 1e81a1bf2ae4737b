// What a record says beside its counts: the server's own times in header fields, and tokens for a client that had gone.
import TestSupport
import Testing

@testable import Proxy

@Suite("Beside the counts")
struct CountedApartTests {
  @Test("Times that a server states in header fields are each answer's own, also where heads are alike")
  func headerTimes() throws {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    let body = #"{"generated_text":"hi","details":{"generated_tokens":2,"finish_reason":"length"}}"#
    var server: SocketPeer?
    for number in 1...3 {
      try client.send("POST /generate HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}")
      let peer = try server ?? harness.upstream.accept()
      server = peer
      _ = try peer.read(through: "{}")
      try peer.send(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-compute-type: gpu\r\nx-queue-time: \(number)\r\n"
          + "x-inference-time: 70\r\nx-total-time: \(70 + number)\r\nx-time-per-token: 3\u{61}\r\n"
          + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
      _ = try client.read(through: body)
    }
    let lines = try harness.end()
    let times = lines.map { ($0.values["server"] as? [String: Double]) ?? [:] }
    // What is no number is not known.
    #expect(times == (1...3).map { ["queue_ms": Double($0), "total_ms": Double(70 + $0)] })
    #expect(lines.allSatisfy { $0["dialect"] == "tgi.generate" && $0.int("output_tokens") == 2 })
  }

  @Test("Of a client that ended its side and had gone, the tokens from there on are counted apart")
  func halfClosed() throws {
    let harness = try ProxyHarness { $0.forwarding.halfClose = .finish }
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    try server.send(streamHead + chunk(token("before")))
    _ = try client.read(through: "before")
    client.finish()
    for number in 1...3 {
      try server.send(chunk(token("after\(number)")))
      _ = try client.read(through: "after\(number)")
    }
    client.reset()
    _ = try server.waitForEnd()
    let line = try #require(try harness.end().first)
    #expect(line.verdict == "client_cancelled streaming")
    // The end was seen at the latest in the turn of the loop in which the first token behind it was.
    #expect(2...3 ~= line.int("undelivered_tokens") ?? 0 && line.int("output_tokens") == 4)
  }
}
