// That a drain keeps the records of open exchanges beside the log, and that the next service takes them over.
import Foundation
import Logging
import Measurement
import RecordLog
import TestSupport
import Testing

@testable import Service

private func open(_ number: Int) -> OpenRecord {
  var record = ExchangeRecord()
  record.id = ExchangeID("r\(number)")
  var encoder = RecordEncoder()
  return OpenRecord(&record, &encoder)
}

@Suite("The lines of open exchanges")
struct OpenLinesTests {
  private func ids(_ lines: OpenLines) -> [Int] {
    lines.all.map { line in
      let text = String(decoding: line, as: UTF8.self)
      return (1...9).first { text.contains("\"r\($0)\"") } ?? 0
    }
  }

  @Test("An exchange that has ended keeps its line until its record is written")
  func unwritten() {
    var lines = OpenLines()
    lines.renew([open(1), open(2)], accepted: 5, written: 5)
    #expect(ids(lines) == [1, 2])
    lines.renew([open(2)], accepted: 6, written: 5)
    #expect(ids(lines) == [2, 1])
    lines.renew([open(2), open(3)], accepted: 9, written: 5)
    #expect(ids(lines) == [2, 3, 1])
    lines.renew([open(3)], accepted: 10, written: 6)
    #expect(ids(lines) == [3, 2])
    lines.renew([], accepted: 11, written: 11)
    #expect(lines.isEmpty)
  }
}

@Suite("A service that is killed while it drains")
struct OpenRecordsKeeperTests {
  private func awaitFile(_ path: String) throws -> Data {
    for _ in 0..<2_000 {
      if let data = FileManager.default.contents(atPath: path) { return data }
      usleep(5_000)
    }
    throw SocketFailure.timedOut
  }

  @Test(
    "While it drains its open exchange stands beside the log; at a clean end that is gone, and the record is in the log"
  )
  func cleanEnd() throws {
    let upstream = try ScriptedUpstream()
    let running = try RunningService("upstream: http://127.0.0.1:\(upstream.port)\n")
    let client = try SocketPeer(connectingTo: running.port)
    try client.send(get("/open"))
    let server = try upstream.accept()
    _ = try server.head()
    running.service.terminate()
    let left = String(decoding: try awaitFile(running.folder.file("log.jsonl.open")), as: UTF8.self)
    #expect(left.contains(#""path":"/open""#) && left.contains(#""outcome":"interrupted","stage":"waiting""#))
    try server.send(response("whole"))
    #expect(try client.readToEnd().hasSuffix("whole"))
    running.service.wait()
    #expect(try running.folder.text(of: "log.jsonl").contains(#""outcome":"ok""#))
    #expect(!FileManager.default.fileExists(atPath: running.folder.file("log.jsonl.open")))
  }

  @Test("Without an open exchange a drain makes no file")
  func nothingOpen() throws {
    let running = try RunningService("upstream: http://127.0.0.1:9\n")
    running.end()
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: running.folder.path).sorted() == [
        "log.jsonl", "t.yaml", "tachograph.secret",
      ])
  }

  @Test("What a killed one has left is moved into the log at the next start, counted, and said")
  func nextStart() throws {
    let upstream = try ScriptedUpstream()
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    do {
      let left = try #require(OpenRecordsFile(log: folder.file("log.jsonl")))
      var encoder = RecordEncoder()
      var record = ExchangeRecord()
      record.id = "r1"
      (record.outcome, record.stage) = (.interrupted, .streaming)
      #expect(left.replace([OpenRecord(&record, &encoder).line]))
    }
    let sink = MemorySink()
    let source = try SettingsSource(
      file: nil, environment: [:],
      flags: [
        "upstream": "http://127.0.0.1:\(upstream.port)", "listen": "127.0.0.1:0",
        "records.file": folder.file("log.jsonl"),
        "admin.listen": "0", "workers": "2",
      ])
    let service = try ProxyService(source, version: "test", log: Log(sink: sink))
    let admin = try SocketPeer(connectingTo: RunningService.port(of: try #require(service.adminAddress)))
    try admin.send(get("/metrics"))
    let metrics = try admin.readToEnd()
    #expect(metrics.contains(#"tachograph_exchanges_total{outcome="interrupted",stage="streaming"} 1"#))
    #expect(metrics.contains(#"tachograph_exchange_errors_total{kind="proxy_killed",side="proxy"} 1"#))
    service.terminate()
    service.wait()
    #expect(sink.messages(.warning).contains { $0.contains("1 records of exchanges that were open are in the log") })
    #expect(try folder.text(of: "log.jsonl").contains(#""id":"r1""#))
  }
}
