// A service in front of a scripted upstream, with its log and its records in a folder of its own.
import Foundation
import Logging
import Synchronization
import TestSupport

@testable import Service

/// Keeps the operator's log in memory.
final class MemorySink: LogSink {
  private let entries = Mutex<[Log.Entry]>([])

  func accept(_ entry: Log.Entry) { entries.withLock { $0.append(entry) } }

  /// The messages so far.
  var messages: [String] { entries.withLock { $0.map(\.message) } }

  /// The messages of one level so far.
  func messages(_ level: Log.Level) -> [String] {
    entries.withLock { $0.filter { $0.level == level }.map(\.message) }
  }
}

/// A settings file and a service that was started with it.
final class RunningService {
  let folder: TemporaryFolder
  let sink = MemorySink()
  let source: SettingsSource
  let service: ProxyService

  /// Starts a service on a free port.
  /// - Parameter settings: lines of its settings file, `upstream` among them.
  init(_ settings: String, assignments: [String] = []) throws {
    folder = try TemporaryFolder()
    let file = try folder.write(settings, to: "t.yaml")
    source = try SettingsSource(
      file: file, environment: [:], flags: ["listen": "127.0.0.1:0", "records.file": folder.file("log.jsonl")],
      assignments: assignments)
    service = try ProxyService(source, version: "test", log: Log(sink: sink))
  }

  /// The port that clients connect to.
  var port: UInt16 { Self.port(of: service.address) }

  static func port(of address: String) -> UInt16 { UInt16(address.split(separator: ":").last ?? "") ?? 0 }

  /// Writes the settings file anew, and has the service read it.
  func reload(_ settings: String) throws {
    _ = try folder.write(settings, to: "t.yaml")
    service.reload()
  }

  /// Ends the service, and waits until it has ended.
  func end() {
    service.terminate()
    service.terminate()
    service.wait()
  }
}

/// A request without a body on a connection that ends with it.
func get(_ path: String) -> String { "GET \(path) HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n" }

/// A response that says `text`.
func response(_ text: String) -> String { "HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)" }
