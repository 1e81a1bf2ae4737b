// Start, reload and end of a service, each with a real client and a scripted server.
import Configuration
import Foundation
import Glibc
import Logging
import TestSupport
import Testing
import Transport

@testable import Service

@Suite("A service")
struct ProxyServiceTests {
  private let upstream: ScriptedUpstream
  private let running: RunningService

  init() throws {
    upstream = try ScriptedUpstream()
    running = try RunningService("upstream: http://127.0.0.1:\(upstream.port)\ninstance: me\n")
  }

  /// Sends a request as a client, and reads it as the server.
  /// - Parameter server: the upstream that gets it; nil is the one that the service was started with.
  private func openExchange(
    _ path: String = "/open", at server: ScriptedUpstream? = nil
  ) throws -> (client: SocketPeer, server: SocketPeer) {
    let client = try SocketPeer(connectingTo: running.port)
    try client.send(get(path))
    let server = try (server ?? upstream).accept()
    _ = try server.head()
    return (client, server)
  }

  /// Sends one request, and answers it as the server.
  private func exchange(_ text: String, at server: ScriptedUpstream? = nil) throws -> String {
    let (client, server) = try openExchange("/\(text)", at: server)
    try server.send(response(text))
    return try client.readToEnd()
  }

  private func records(_ folder: TemporaryFolder, _ name: String = "log.jsonl") throws -> [String] {
    try folder.text(of: name).split(separator: "\n").map(String.init)
  }

  @Test("Forwards a request, and has written its record when it has ended")
  func serves() throws {
    #expect(try exchange("one").hasSuffix("one"))
    running.end()
    let lines = try records(running.folder)
    #expect(lines.count == 1 && lines[0].contains(#""instance":"me""#) && lines[0].contains(#""path":"/one""#))
  }

  @Test("A reload sends what begins after it to the new upstream, and says what changed")
  func reloads() throws {
    let second = try ScriptedUpstream()
    defer { running.end() }
    #expect(try exchange("one").hasSuffix("one"))
    try running.reload("upstream: http://127.0.0.1:\(second.port)\ninstance: me\n")
    #expect(try exchange("two", at: second).hasSuffix("two"))
    #expect(running.sink.messages.contains { $0.hasPrefix("settings read again, 1 changed") })
    #expect(running.source.reloads == SettingsSource.Reloads(taken: 1, refused: 0))
  }

  @Test("A reload with a mistake changes nothing, names the line, and is counted")
  func refusesReload() throws {
    defer { running.end() }
    try running.reload("upstream: http://127.0.0.1:1\nworkres: 2\n")
    #expect(try exchange("one").hasSuffix("one"))
    let errors = running.sink.messages(.error)
    #expect(errors.contains { $0.contains("t.yaml:2") && $0.contains("workres") })
    #expect(errors.last == "the settings were not changed: the earlier ones stay in force")
    #expect(running.source.reloads == SettingsSource.Reloads(taken: 0, refused: 1))
  }

  @Test("A reload without its file changes nothing and says so")
  func missingFile() throws {
    defer { running.end() }
    try FileManager.default.removeItem(atPath: running.folder.file("t.yaml"))
    running.service.reload()
    #expect(running.sink.messages(.error).first?.hasPrefix("cannot read ") == true)
    #expect(try exchange("one").hasSuffix("one"))
  }

  @Test("A renamed log is left, and records go on in a new one", arguments: [true, false])
  func reopens(byReload: Bool) throws {
    _ = try exchange("one")
    try FileManager.default.moveItem(
      atPath: running.folder.file("log.jsonl"), toPath: running.folder.file("log.jsonl.1"))
    if byReload { running.service.reload() } else { running.service.reopenRecords() }
    _ = try exchange("two")
    running.end()
    #expect(try records(running.folder).last?.contains(#""path":"/two""#) == true)
    let all = try records(running.folder, "log.jsonl.1") + records(running.folder)
    #expect(all.count == 2)
  }

  @Test("The first termination lets an open exchange end, and takes no new client")
  func drains() throws {
    let (client, server) = try openExchange()
    running.service.terminate()
    #expect(running.sink.messages.last?.hasPrefix("draining: ") == true)
    let ending = try WorkerThread(name: "wait") { [service = running.service] in service.wait() }
    // Time enough for a wait that does not wait.
    #expect(!server.isReady(POLLIN, milliseconds: 50))
    try server.send(response("whole"))
    #expect(try client.readToEnd().hasSuffix("whole"))
    ending.join()
    #expect(throws: SocketFailure.refused) { try SocketPeer(connectingTo: running.port) }
    #expect(try records(running.folder).first?.contains(#""outcome":"ok""#) == true)
  }

  @Test("The second termination ends an open exchange at once, and records it")
  func endsAtOnce() throws {
    let (client, server) = try openExchange()
    defer { server.close() }
    running.service.terminate()
    running.service.terminate()
    #expect(try client.head().hasPrefix("HTTP/1.1 503 "))
    running.service.wait()
    #expect(try records(running.folder).first?.contains(#""outcome":"timeout""#) == true)
  }
}

@Suite("A service that starts with other settings")
struct ServiceStartTests {
  @Test("A setting that needs a restart stays, and the log names it")
  func needsRestart() throws {
    let running = try RunningService("upstream: http://127.0.0.1:9\nworkers: 1\n")
    defer { running.end() }
    try running.reload("upstream: http://127.0.0.1:9\nworkers: 2\n")
    #expect(running.sink.messages(.warning).contains("workers needs a restart: 1 stays in force"))
    #expect(running.source.settings.workers == 1)
  }

  @Test("An address in use is a failure that names it, with exit code 1, and leaves nothing running")
  func addressInUse() throws {
    let taken = try ScriptedUpstream()
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let adminPort = try ScriptedUpstream().port
    let source = try SettingsSource(
      file: nil, environment: [:],
      flags: [
        "upstream": "http://127.0.0.1:9", "listen": "127.0.0.1:\(taken.port)", "records.file": folder.file("log.jsonl"),
        "admin.listen": "127.0.0.1:\(adminPort)",
      ])
    let failure = #expect(throws: ServiceFailure.self) {
      try ProxyService(source, version: "test", log: Log(sink: MemorySink()))
    }
    #expect(failure?.exitCode == 1)
    #expect(failure?.messages.first?.hasPrefix("cannot listen on 127.0.0.1:\(taken.port): ") == true)
    #expect(throws: SocketFailure.refused) { try SocketPeer(connectingTo: adminPort) }
  }

  @Test("An admin address in use is a failure of its own")
  func adminAddressInUse() throws {
    let taken = try ScriptedUpstream()
    let failure = #expect(throws: ServiceFailure.self) {
      try RunningService("upstream: http://127.0.0.1:9\nadmin:\n  listen: 127.0.0.1:\(taken.port)\n")
    }
    #expect(failure?.exitCode == 1)
    #expect(failure?.messages.first?.contains("for the admin pages") == true)
  }

  @Test("A log in a folder that is not there is a failure with exit code 1")
  func noFolder() throws {
    let source = try SettingsSource(
      file: nil, environment: [:],
      flags: ["upstream": "http://127.0.0.1:9", "listen": "127.0.0.1:0", "records.file": "/nowhere/at/all/log.jsonl"])
    let failure = #expect(throws: ServiceFailure.self) {
      try ProxyService(source, version: "test", log: Log(sink: MemorySink()))
    }
    #expect(failure?.exitCode == 1)
    #expect(failure?.messages.first?.contains("/nowhere/at/all") == true)
  }

  @Test("The admin pages say ready while it serves, show settings and metrics, and end with it")
  func adminPages() throws {
    let upstream = try ScriptedUpstream()
    let running = try RunningService(
      "upstream: http://127.0.0.1:\(upstream.port)\nadmin:\n  listen: 127.0.0.1:0\n", assignments: ["limits.queue=77"])
    let port = RunningService.port(of: try #require(running.service.adminAddress))
    func page(_ path: String) throws -> String {
      let client = try SocketPeer(connectingTo: port)
      try client.send(get(path))
      return try client.readToEnd()
    }
    #expect(try page("/-/ready").hasPrefix("HTTP/1.1 200 "))
    #expect(try page("/-/config").contains("queue: 77"))
    for workers in 1...2 { try running.reload("upstream: http://127.0.0.1:\(upstream.port)\nworkers: \(workers)\n") }
    try running.reload("nonsense")
    let metrics = try page("/metrics")
    #expect(metrics.contains(#"tachograph_build_info{version="test"} 1"#))
    #expect(metrics.contains(#"tachograph_config_reloads_total{result="taken"} 2"#))
    #expect(metrics.contains(#"tachograph_config_reloads_total{result="refused"} 1"#))
    // An open exchange keeps the service draining.
    let client = try SocketPeer(connectingTo: running.port)
    try client.send(get("/open"))
    let server = try upstream.accept()
    defer { server.close() }
    _ = try server.head()
    running.service.terminate()
    #expect(try page("/-/ready").hasSuffix("draining\n"))
    running.end()
    #expect(throws: SocketFailure.refused) { try SocketPeer(connectingTo: port) }
  }

  @Test("Before it listens a service is healthy and not ready")
  func starting() throws {
    let source = try SettingsSource(file: nil, environment: [:], flags: ["upstream": "http://127.0.0.1:9"])
    let pages = AdminPages(source, version: "test", log: Log(sink: MemorySink()))
    #expect(pages.page(at: "/-/healthy")?.status == 200)
    #expect(pages.page(at: "/-/ready")?.status == 503)
    #expect(pages.page(at: "/-/nothing") == nil)
  }

  @Test("Admin pages that others can reach are warned of, those of this machine alone are not")
  func openAdminPages() throws {
    for (listen, warnings) in [("127.0.0.1:0", 0), ("192.0.2.1:1", 1)] {
      let sink = MemorySink()
      let source = try SettingsSource(
        file: nil, environment: [:], flags: ["upstream": "http://127.0.0.1:9", "admin.listen": listen])
      // The second address is none of this machine's (RFC 5737).
      try? AdminPages(source, version: "test", log: Log(sink: sink)).serve()?.stop()
      #expect(sink.messages(.warning).count == warnings)
    }
  }

  @Test("About half of the files that may be open are left for sockets at least, and most of them where there are many")
  func openFiles() {
    let limit = OpenFiles.limit
    #expect(OpenFiles.forSockets(workers: 1) == limit - min(72, limit / 2))
    #expect(OpenFiles.forSockets(workers: 1_000_000) == limit - limit / 2)
  }
}

@Suite("Where settings come from")
struct SettingsSourceTests {
  @Test("Flags are stronger than the environment, which is stronger than the file, also after a reload")
  func precedence() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let file = try folder.write("upstream: http://file:1\nworkers: 1\nlimits:\n  queue: 1\n", to: "t.yaml")
    let source = try SettingsSource(
      file: file, environment: ["TACHOGRAPH_WORKERS": "2", "TACHOGRAPH_UPSTREAM": "http://environment:1"],
      flags: ["upstream": "http://flag:1"])
    func check() {
      #expect(source.settings.upstream.host == "flag")
      #expect(source.settings.workers == 2)
    }
    check()
    #expect(source.settings.limits.queue == 1)
    _ = try folder.write("upstream: http://file:1\nworkers: 1\nlimits:\n  queue: 5\n", to: "t.yaml")
    _ = try source.reload()
    check()
    #expect(source.settings.limits.queue == 5)
  }

  @Test("Every mistake is a message of its own, with exit code 2")
  func mistakes() throws {
    let failure = #expect(throws: ServiceFailure.self) {
      try SettingsSource(file: nil, environment: ["TACHOGRAPH_WORKERS": "many"], flags: ["upstream": "nonsense"])
    }
    #expect(failure?.exitCode == 2)
    #expect(failure?.messages.contains { $0.contains("TACHOGRAPH_WORKERS") } == true)
    #expect(failure?.messages.contains { $0.contains("--upstream") } == true)
  }

  @Test("A file that cannot be read is exit code 2, and is named")
  func noFile() throws {
    let failure = #expect(throws: ServiceFailure.self) { try SettingsSource(file: "/nowhere/t.yaml", environment: [:]) }
    #expect(failure == ServiceFailure(settings: "cannot read /nowhere/t.yaml: No such file or directory"))
  }

  @Test("A folder in place of the file is exit code 2, and no file without settings")
  func folderAsFile() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let failure = #expect(throws: ServiceFailure.self) {
      try SettingsSource(file: folder.path, environment: [:], flags: ["upstream": "http://127.0.0.1:9"])
    }
    #expect(failure == ServiceFailure(settings: "cannot read \(folder.path): Is a directory"))
  }

  @Test("A settings file of any length is read whole")
  func longFile() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let comments = String(repeating: "# nothing\n", count: 20_000)
    let file = try folder.write("upstream: http://127.0.0.1:9\n\(comments)limits:\n  queue: 5\n", to: "t.yaml")
    #expect(try SettingsSource(file: file, environment: [:]).settings.limits.queue == 5)
  }

  @Test("A variable that is nearly a setting's is a warning")
  func warnings() throws {
    let source = try SettingsSource(
      file: nil, environment: ["TACHOGRAPH_WORKRS": "2"], flags: ["upstream": "http://127.0.0.1:9"])
    #expect(source.warnings.count == 1 && source.warnings[0].contains("TACHOGRAPH_WORKERS"))
  }
}
