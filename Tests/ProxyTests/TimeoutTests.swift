// Deadlines: each ends what it is meant for, with its answer and its record.
// It must not measure: the limits are a nanosecond, and the proxy's sweep finds them exceeded.
import Testing

@testable import Proxy

@Suite("Deadlines")
struct TimeoutTests {
  @Test("A head that does not come in time is a 408")
  func head() throws {
    let rig = try Rig { $0.requestHeadTimeout = 1 }
    let client = try rig.connect()
    try client.send("GET / HTTP/1.1\r\nHost")
    #expect(try client.rest().hasPrefix("HTTP/1.1 408 "))
    #expect(!rig.upstream.hasVisitor())
    let lines = try rig.end()
    #expect(lines.map(\.verdict) == ["timeout upload"])
    #expect(lines.first?.int("status") == 408)
  }

  @Test("A body that stops coming ends the exchange on both sides")
  func body() throws {
    let rig = try Rig { $0.requestBodyTimeout = 1 }
    let client = try rig.connect()
    try client.send("POST /up HTTP/1.1\r\nHost: llm\r\nContent-Length: 100\r\n\r\npart")
    let server = try rig.upstream.accept()
    try server.departs()
    #expect(try client.rest().contains("proxy_error"))
    #expect(try rig.end().map(\.verdict) == ["timeout upload"])
  }

  @Test("A response that does not come in time is a 504, and upstream is told")
  func response() throws {
    let rig = try Rig { $0.responseTimeout = 1 }
    let client = try rig.connect()
    try client.send(chatRequest())
    let server = try rig.upstream.accept()
    _ = try server.read(through: "[]}")
    #expect(try client.rest().hasPrefix("HTTP/1.1 504 "))
    try server.departs()
    #expect(try rig.end().map(\.verdict) == ["timeout waiting"])
  }

  @Test("A stream that falls silent is cut, and upstream is told")
  func betweenReads() throws {
    let rig = try Rig { $0.betweenReadsTimeout = 1 }
    let client = try rig.connect()
    try client.send(chatRequest())
    let server = try rig.upstream.accept()
    _ = try server.read(through: "[]}")
    try server.send(streamHead + chunk(token("a")))
    let text = try client.rest()
    #expect(text == streamHead + chunk(token("a")))
    try server.departs()
    #expect(try rig.end().map(\.verdict) == ["timeout streaming"])
  }

  @Test("Idle connections end on both sides, without a record")
  func idle() throws {
    let rig = try Rig {
      $0.idleTimeout = 1
      $0.upstreamIdleTimeout = 1
    }
    let silent = try rig.connect()
    #expect(try silent.rest() == "")
    let client = try rig.connect()
    try client.send(get("/"))
    let server = try rig.upstream.accept()
    _ = try server.head()
    try server.send(answer("done"))
    #expect(try client.rest() == answer("done"))
    try server.departs()
    #expect(try rig.end().map(\.verdict) == ["ok -"])
  }
}
