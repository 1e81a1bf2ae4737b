// That an upstream which is this proxy is refused, by whatever name.
import Configuration
import Glibc
import Logging
import SettingValues
import TestSupport
import Testing
import Transport

@testable import Service

@Suite("Addresses of its own")
struct OwnAddressesTests {
  private func settings(_ upstream: String, _ listen: String, admin: String? = nil) -> Settings {
    var settings = Settings(upstream: UpstreamAddress(host: upstream, port: 4000))
    settings.listen = ListenAddress(host: listen, port: 4000)
    settings.admin.listen = admin.map { ListenAddress(host: $0, port: 4000) }
    return settings
  }

  private func isRefused(_ settings: Settings, inherited: [ListeningSocket] = []) -> Bool {
    do throws(ServiceFailure) {
      try OwnAddresses(settings, inherited: inherited).refuse(settings)
      return false
    } catch {
      #expect(error.exitCode == 2)
      return true
    }
  }

  @Test(
    "By any name of this machine",
    arguments: [
      ("127.0.0.1", "127.0.0.1", true), ("localhost", "127.0.0.1", true), ("127.0.0.2", "0.0.0.0", true),
      ("::1", "::", true),
      ("127.0.0.1", "::", true), ("0.0.0.0", "127.0.0.1", true), ("127.1", "127.0.0.1", true),
      ("0x7f.1", "0.0.0.0", true),
      ("::ffff:127.0.0.1", "127.0.0.1", true), ("127.0.0.2", "127.0.0.1", false), ("::1", "0.0.0.0", false),
      ("192.0.2.1", "0.0.0.0", false), ("name.invalid", "0.0.0.0", false),
    ])
  func names(upstream: String, listen: String, isOne: Bool) { #expect(isRefused(settings(upstream, listen)) == isOne) }

  @Test("By the machine's own name, where it listens everywhere")
  func hostName() {
    // A machine whose name means nothing to its resolver cannot be reached by it.
    #expect(isRefused(settings(HostName.current, "::")) || !resolves(HostName.current))
  }

  private func resolves(_ name: String) -> Bool {
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(name, nil, nil, &list) == 0 else { return false }
    freeaddrinfo(list)
    return true
  }

  @Test("The admin listener is no upstream, either")
  func admin() {
    var settings = settings("localhost", "127.0.0.1", admin: "127.0.0.1")
    settings.listen = ListenAddress(host: "127.0.0.1", port: 1)
    #expect(isRefused(settings))
    settings.upstream = UpstreamAddress(host: "localhost", port: 2)
    #expect(!isRefused(settings))
  }

  @Test("Sockets that were handed down count, and not the address of the settings")
  func inherited() throws {
    let address = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
    let socket = try ListeningSocket(address)
    defer { socket.close() }
    var settings = settings("localhost", "127.0.0.1")
    #expect(!isRefused(settings, inherited: [socket]))
    settings.upstream = UpstreamAddress(host: "localhost", port: socket.address.port)
    #expect(isRefused(settings, inherited: [socket]))
  }

  @Test("A reload to an address of its own is refused, also where the system chose the port")
  func reload() throws {
    let running = try RunningService("upstream: http://127.0.0.1:9\nadmin:\n  listen: 127.0.0.1:0\n")
    defer { running.end() }
    let admin = RunningService.port(of: try #require(running.service.adminAddress))
    for port in [running.port, admin] {
      try running.reload("upstream: http://localhost:\(port)\nadmin:\n  listen: 127.0.0.1:0\n")
      #expect(running.source.settings.upstream.port == 9)
    }
    #expect(running.sink.messages(.error).contains { $0.contains("the proxy's own admin listener") })
    #expect(running.source.reloads == SettingsSource.Reloads(taken: 0, refused: 2))
  }

  @Test("How long a drain may take goes by where records go, unless it is set")
  func drain() {
    var settings = settings("127.0.0.1", "127.0.0.1")
    #expect(settings.withMachineValues().timeouts.drain == .seconds(30))
    for target in [.standardOutput, .file("/dev/stdout"), .file("/dev/null")] as [Settings.RecordsTarget] {
      settings.records.file = target
      #expect(settings.withMachineValues().timeouts.drain == .seconds(8))
    }
    #expect(settings.withDrain().currentFile.contains("  drain: 8s  # default\n"))
    settings.timeouts.drain = .seconds(20)
    #expect(settings.withMachineValues().timeouts.drain == .seconds(20))
  }

  @Test("A file is checked without the environment, and may leave the upstream to a flag")
  func check() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    #expect(try SettingsHelp.check(file: folder.write("workers: 2\n", to: "t.yaml")) == ["workers: 2"])
    #expect(try SettingsHelp.check(file: folder.write("", to: "t.yaml")) == [])
    let file = try folder.write("workers: many\nport: 1\n", to: "t.yaml")
    let failure = #expect(throws: ServiceFailure.self) { try SettingsHelp.check(file: file) }
    #expect(failure?.messages.count == 2 && failure?.exitCode == 2)
    #expect(try SettingsHelp.check(file: folder.write(SettingsHelp.reference, to: "t.yaml")).count > 60)
  }
}
