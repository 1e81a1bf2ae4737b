// What signals have `serve` do: drain, end, open the log anew, read the settings again.
// It must not know how any of it is done.
import Configuration
import Glibc
import Logging
import Proxy
import RecordLog
import Synchronization
import Transport

/// Signals' meaning, on a thread and a loop of their own until the process ends.
final class ServeSignals: Sendable {
  private let configuration: ServeConfiguration
  private let server: ProxyServer
  private let writer: RecordWriter
  private let instance: String
  private let isDraining = Atomic<Bool>(false)

  init(configuration: ServeConfiguration, server: ProxyServer, writer: RecordWriter, instance: String) {
    self.configuration = configuration
    self.server = server
    self.writer = writer
    self.instance = instance
  }

  /// Starts to obey: any signal that comes after this has returned is.
  /// - Returns: false where no descriptor is left for a loop.
  func obey() throws(TransportError) -> Bool {
    let ready = Promise<Bool>()
    _ = try WorkerThread(name: "signals") { [self] in
      guard let loop = try? EventLoop() else { return ready.fulfill(false) }
      _ = [
        SignalWatcher(loop: loop, signal: SIGTERM) { [self] in end() },
        SignalWatcher(loop: loop, signal: SIGINT) { [self] in end() },
        SignalWatcher(loop: loop, signal: SIGUSR1) { [self] in writer.reopen() },
        SignalWatcher(loop: loop, signal: SIGHUP) { [self] in
          // A rotated log must not wait for a settings file that is on a slow disk, or wrong.
          writer.reopen()
          reload()
        },
      ]
      ready.fulfill(true)
      loop.run()
    }
    return ready.wait()
  }

  private func end() {
    guard !isDraining.exchange(true, ordering: .relaxed) else { return server.shutDown() }
    let limit = configuration.settings.timeouts.drain
    Log.standardError.info(
      "draining: no new clients; open exchanges may take \(limit) to end; a second signal ends them at once")
    server.drain()
  }

  private func reload() {
    do {
      let reload = try configuration.reload()
      if !reload.changes.isEmpty { server.apply(ProxySettings(reload.settings, instance: instance)) }
      for change in reload.changes { Log.standardError.info("\(change)") }
      for change in reload.needingRestart {
        Log.standardError.warning("\(change.name) needs a restart: \(change.before) stays in force")
      }
      Log.standardError.info(
        "settings read again, \(Self.count(reload.changes.count)) changed; the record log is opened again")
    } catch {
      for line in error.description.split(separator: "\n") { Log.standardError.error("\(line)") }
      Log.standardError.error("the settings were not changed: the earlier ones stay in force")
    }
  }

  private static func count(_ number: Int) -> String { number == 0 ? "none" : "\(number)" }
}
