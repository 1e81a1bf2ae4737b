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

  @Test("SIGUSR1 opens the log again, SIGHUP reads the settings again, SIGTERM drains and SIGINT then ends")
  func signals() throws {
    let upstream = try ScriptedUpstream()
    let running = try RunningService("upstream: http://127.0.0.1:\(upstream.port)\n")
    defer { running.folder.remove() }
    try ServiceSignals.pass(to: running.service)
    let log = running.folder.file("log.jsonl")
    try FileManager.default.moveItem(atPath: log, toPath: running.folder.file("log.1"))
    kill(getpid(), SIGUSR1)
    #expect(eventually { FileManager.default.fileExists(atPath: log) })
    #expect(running.source.reloads == SettingsSource.Reloads(), "only the log")
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
    kill(getpid(), SIGINT)
    #expect(try client.head().hasPrefix("HTTP/1.1 503 "))
    running.service.wait()
  }

  @Test("Signals are held back from the start on, on the threads that begin after it as well")
  func held() throws {
    let mask = Promise<[Int32]>()
    let thread = try WorkerThread(name: "start") {
      // A thread that runs tests may hold all signals back.
      var none = sigset_t()
      pthread_sigmask(SIG_SETMASK, &none, nil)
      ServiceSignals.holdUntilStarted()
      let later = try? WorkerThread(name: "later") {
        var blocked = sigset_t()
        pthread_sigmask(SIG_BLOCK, nil, &blocked)
        mask.fulfill([SIGTERM, SIGINT, SIGUSR1, SIGHUP].filter { sigismember(&blocked, $0) == 1 })
      }
      later?.join()
    }
    #expect(mask.wait() == [SIGTERM, SIGINT, SIGUSR1, SIGHUP])
    thread.join()
  }

  /// Other tests use the low ones meanwhile.
  private static let firstDescriptor = Int32(min(OpenFiles.limit, 65_536)) - 16

  /// Adopts sockets that stand from a free descriptor on, as if they were handed down.
  /// - Parameter descriptors: what is handed down, in this order.
  private func adopt(_ descriptors: [Int32], names: String? = nil) throws -> [ListeningSocket] {
    let first = Self.firstDescriptor
    for (index, descriptor) in descriptors.enumerated() { dup2(descriptor, first + Int32(index)) }
    defer { for index in descriptors.indices { close(first + Int32(index)) } }
    setenv("LISTEN_PID", "\(getpid())", 1)
    setenv("LISTEN_FDS", "\(descriptors.count)", 1)
    if let names { setenv("LISTEN_FDNAMES", names, 1) }
    return try InheritedSockets.adopt(from: first)
  }

  @Test("Sockets for this process are adopted in their order, and the variables are gone")
  func adopts() throws {
    let sockets = (0..<2).map { _ in socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
    defer { sockets.forEach { close($0) } }
    let ports = sockets.map { Loopback.listen($0) }
    let adopted = try adopt(sockets, names: "a:b")
    #expect(adopted.map(\.address.port) == ports)
    for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { #expect(getenv(name) == nil) }
    #expect(try adopt([]).isEmpty)
  }

  @Test("A handed-down descriptor that is no listening socket is exit code 2, and is named with what is wrong")
  func unusable() throws {
    let sockets = (0..<2).map { _ in socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
    defer { sockets.forEach { close($0) } }
    _ = Loopback.listen(sockets[0])
    let failure = #expect(throws: ServiceFailure.self) { try adopt(sockets, names: "a:b") }
    #expect(
      failure
        == ServiceFailure(
          settings: "socket \(Self.firstDescriptor + 1) (b), handed down in LISTEN_FDS, cannot be used: "
            + "it does not listen; a systemd unit says Accept=no"))
    #expect(failure?.exitCode == 2 && getenv("LISTEN_PID") == nil)
  }

  @Test("Sockets for another process are left alone")
  func othersSockets() throws {
    setenv("LISTEN_PID", "1", 1)
    setenv("LISTEN_FDS", "3", 1)
    #expect(try InheritedSockets.adopt().isEmpty)
  }

  @Test(
    "Malformed variables are exit code 2", arguments: [("x", "1"), ("self", "many"), ("self", "-1"), ("self", "1025")])
  func malformed(process: String, count: String) {
    setenv("LISTEN_PID", process == "self" ? "\(getpid())" : process, 1)
    setenv("LISTEN_FDS", count, 1)
    let failure = #expect(throws: ServiceFailure.self) { try InheritedSockets.adopt() }
    #expect(failure?.exitCode == 2)
    #expect(failure?.messages.first?.contains("sd_listen_fds(3)") == true)
  }
}
