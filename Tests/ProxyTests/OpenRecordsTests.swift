// The record that an open exchange has if the process is killed, and that asking for it changes nothing.
import Foundation
import RecordLog
import TestSupport
import Testing

@testable import Measurement
@testable import Proxy

@Suite("Records of open exchanges")
struct OpenRecordsTests {
  private func open(_ harness: ProxyHarness) throws -> [Line] {
    try harness.server.openRecords(waiting: 10_000).map {
      Line(values: try #require(JSONSerialization.jsonObject(with: Data($0.line)) as? [String: Any]))
    }
  }

  @Test("Each stage of an exchange has its record, and its own one in the end as if nobody had asked")
  func stages() throws {
    let harness = try ProxyHarness { $0.workers = 2 }
    #expect(try open(harness).isEmpty)
    let client = try harness.connect()
    let request = chatRequest(#"{"model":"m","user":"bob","stream":true,"messages":[]}"#)
    try client.send(String(request.dropLast(5)))
    let server = try harness.upstream.accept()
    _ = try server.head()
    var line = try #require(try open(harness).first)
    #expect(line.verdict == "interrupted upload" && line["user_from"] == "unread" && line["request_read"] == "partly")
    try client.send(String(request.suffix(5)))
    _ = try server.read(through: "[]}")
    line = try #require(try open(harness).first)
    #expect(line.verdict == "interrupted waiting" && line["user"] == "bob" && line["model"] == "m")
    #expect(line["error"] == "proxy_killed: the proxy was killed while it drained")
    try server.send(streamHead + chunk(token("a")) + chunk(token("b")))
    _ = try client.read(through: token("b"))
    for _ in 0..<3 {
      line = try #require(try open(harness).first)
      #expect(line.verdict == "interrupted streaming" && line.int("events") == 2 && line.int("output_tokens") == 2)
      #expect(line.double("total_ms") ?? 0 > 0 && line.int("status") == 200)
    }
    let id = line["id"]
    try server.send(chunk(token("c")) + chunk("data: [DONE]\n\n") + "0\r\n\r\n")
    _ = try client.read(through: "0\r\n\r\n")
    try harness.awaitRecords(1)
    #expect(try open(harness).isEmpty)
    let last = try #require(try harness.end().first)
    #expect(last["id"] == id && last.verdict == "ok -" && last.int("events") == 3 && last["model"] == "m")
    #expect(last["user"] == "bob" && last["client"] == "127.0.0.1" && last["request_read"] == "whole")
  }

  @Test("A worker that has ended has none, and nobody waits for it")
  func ended() throws {
    let harness = try ProxyHarness { $0.workers = 3 }
    let server = harness.server
    #expect(try harness.end().isEmpty)
    #expect(server.openRecords(waiting: 60_000).isEmpty)
  }

  @Test("Thousands are asked a few at a time, and all answer")
  func many() throws {
    let harness = try ProxyHarness()
    let count = ClientList.shareSize + 10
    let clients = try (0..<count).map { _ in try harness.connect() }
    for client in clients { try client.send(get("/open")) }
    let servers = try clients.map { _ in try harness.upstream.accept() }
    for server in servers { _ = try server.head() }
    #expect(try open(harness).count == count)
    #expect(Set(try open(harness).map { $0["id"] }).count == count)
    for client in clients { client.close() }
    #expect(try harness.end().count == count)
  }
}
