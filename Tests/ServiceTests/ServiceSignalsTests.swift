// Signals to this very process, and sockets handed down in its environment: one test at a time.
import Foundation
import Glibc
import TestSupport
import Testing
import Transport

@testable import Service

@Suite("The process around a service", .serialized)
struct ServiceSignalsTests {
  /// Waits until `condition` holds; false after ten seconds.
  private func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<1_000 {
      if condition() { return true }
      usleep(10_000)
    }
    return false
  }

  @Test("SIGUSR1 opens the log again, SIGHUP reads the settings again, SIGTERM drains and then ends")
  func signals() throws {
    let upstream = try ScriptedUpstream()
    let running = try RunningService("upstream: http://127.0.0.1:\(upstream.port)\n")
    try ServiceSignals.pass(to: running.service)
    let log = running.folder.file("log.jsonl")
    try FileManager.default.moveItem(atPath: log, toPath: running.folder.file("log.1"))
    kill(getpid(), SIGUSR1)
    #expect(eventually { FileManager.default.fileExists(atPath: log) })
    _ = try running.folder.write("upstream: http://127.0.0.1:\(upstream.port)\nlimits:\n  queue: 3\n", to: "t.yaml")
    kill(getpid(), SIGHUP)
    #expect(eventually { running.source.settings.limits.queue == 3 })

    let client = try SocketPeer(connectingTo: running.port)
    try client.send(get("/open"))
    let server = try upstream.accept()
    defer { server.close() }
    _ = try server.head()
    kill(getpid(), SIGTERM)
    #expect(eventually { running.sink.messages.contains { $0.hasPrefix("draining: ") } })
    kill(getpid(), SIGTERM)
    #expect(try client.head().hasPrefix("HTTP/1.1 503 "))
    running.service.wait()
  }

  @Test("Sockets for this process are adopted, and the variables are gone")
  func adopts() throws {
    setenv("LISTEN_PID", "\(getpid())", 1)
    setenv("LISTEN_FDS", "0", 1)
    #expect(try InheritedSockets.adopt().isEmpty)
    #expect(getenv("LISTEN_PID") == nil && getenv("LISTEN_FDS") == nil)
  }

  @Test("Sockets for another process are left alone")
  func othersSockets() throws {
    setenv("LISTEN_PID", "1", 1)
    setenv("LISTEN_FDS", "3", 1)
    #expect(try InheritedSockets.adopt().isEmpty)
  }

  @Test("Malformed variables are exit code 2", arguments: [("x", "1"), ("self", "many"), ("self", "-1")])
  func malformed(process: String, count: String) {
    setenv("LISTEN_PID", process == "self" ? "\(getpid())" : process, 1)
    setenv("LISTEN_FDS", count, 1)
    let failure = #expect(throws: ServiceFailure.self) { try InheritedSockets.adopt() }
    #expect(failure?.exitCode == 2)
    #expect(failure?.messages.first?.contains("sd_listen_fds(3)") == true)
  }
}
