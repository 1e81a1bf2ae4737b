// The proxy as a service: put together from its settings, reloaded, and ended.
import Admin
import Configuration
import Logging
import Measurement
import Proxy
import RecordLog
import SettingValues
import Synchronization
import Transport

/// A running proxy with its record log and its admin listener. From any thread.
///
/// Whoever makes one calls `wait`, which returns when it has ended and every record is written.
public final class ProxyService: Sendable {
  /// How long records that wait at the end may take to be written.
  private static let recordsTimeoutMilliseconds = 5_000

  /// Where clients connect, with the real port.
  public var address: String { server.address }
  /// Where the admin pages are, with the real port; nil where there are none.
  public var adminAddress: String? { admin?.address }

  private let source: SettingsSource
  private let log: Log
  private let writer: RecordWriter
  private let admin: AdminServer?
  private let server: ProxyServer
  private let ownAddresses: OwnAddresses
  private let isDraining = Atomic<Bool>(false)
  /// Nil before a drain, and where there is no file to keep records in.
  private let keeper = Mutex<OpenRecordsKeeper?>(nil)

  /// Opens the record log, starts the admin listener, then the proxy.
  /// - Parameters:
  ///   - inherited: sockets to accept clients from, in place of one on the `listen` address.
  ///   - version: the program's, for the metrics.
  /// - Throws: `ServiceFailure`; nothing is left running then.
  public init(
    _ source: SettingsSource, inherited: [ListeningSocket] = [], version: String, log: Log
  ) throws(ServiceFailure) {
    self.source = source
    self.log = log
    for warning in source.warnings { log.warning("\(warning)") }
    let settings = source.settings.withMachineValues()
    try OwnAddresses(settings, inherited: inherited).refuse(settings)
    let secret: KeySecret
    let tokenKey = try IdentitySecret.tokenKey(settings.identity)
    let interrupted = try Self.takeOverInterrupted(settings, log: log)
    (secret, writer) = try Self.openRecords(settings, source, log: log)
    let pages = AdminPages(source, version: version, log: log)
    do throws(TransportError) {
      admin = try pages.serve()
    } catch {
      _ = writer.close(timeoutMilliseconds: Self.recordsTimeoutMilliseconds)
      throw ServiceFailure("cannot listen on \(settings.admin.listen?.description ?? "") for the admin pages: \(error)")
    }
    do throws(TransportError) {
      server = try ProxyServer(
        settings: settings, writer: writer, secret: secret, tokenKey: tokenKey, inherited: inherited,
        interrupted: interrupted)
    } catch {
      admin?.stop()
      _ = writer.close(timeoutMilliseconds: Self.recordsTimeoutMilliseconds)
      throw ServiceFailure("cannot listen on \(settings.listen): \(error)")
    }
    ownAddresses = OwnAddresses(proxy: server.addresses, admin: admin?.address)
    do throws(ServiceFailure) {
      // The system may have chosen the very port of an upstream that is not there yet.
      try ownAddresses.refuse(settings)
    } catch {
      server.shutDown()
      wait()
      throw error
    }
    pages.show(server)
  }

  private static func openRecords(
    _ settings: Settings, _ source: SettingsSource, log: Log
  ) throws(ServiceFailure) -> (KeySecret, RecordWriter) {
    let path = settings.records.file.path
    let (secret, warning) = try IdentitySecret.load(settings, variable: source.variable(KeySecret.environmentName))
    if let warning { log.warning("\(warning)") }
    var records = RecordWriter.Settings(path: path, instance: settings.instance ?? "")
    records.queueLimit = settings.records.queue
    do {
      return (secret, try RecordWriter(records))
    } catch {
      throw ServiceFailure("\(error)")
    }
  }

  /// Puts into the log what an earlier process that was killed has left beside it.
  /// - Returns: the stages of those exchanges.
  private static func takeOverInterrupted(_ settings: Settings, log: Log) throws(ServiceFailure) -> [Stage?] {
    try settings.records.file.checkFolder()
    guard settings.records.file.isRegularFile else { return [] }
    let outcome = InterruptedRecords.takeOver(log: settings.records.file.path)
    if !outcome.stages.isEmpty {
      log.warning(
        "an earlier process was killed while it drained: \(outcome.stages.count) records of exchanges that were open are in the"
          + " log, with the outcome interrupted; whoever stops the process has to wait longer than timeouts.drain"
          + " (\(settings.timeouts.drainInForce))")
    }
    if let failure = outcome.failure {
      log.error("records of exchanges that an earlier process left open are kept for the next start: \(failure)")
    }
    return outcome.stages
  }

  /// Logs where it listens, forwards to and records. Call it when signals are received: a reader may send one at once.
  public func announce(inherited: Bool) {
    if let admin { log.info("admin pages on http://\(admin.address)/") }
    log.info("listening on \(server.address)\(inherited ? ", on the sockets in LISTEN_FDS" : "")")
    log.info(
      "forwarding to http://\(source.settings.upstream), writing records to \(source.settings.records.file.path)")
  }

  /// The first call drains: no new clients, open exchanges may end within `timeouts.drain`. The second ends them at
  /// once. Returns at once; see `wait`.
  public func terminate() {
    guard !isDraining.exchange(true, ordering: .relaxed) else { return server.shutDown() }
    let limit = source.settings.withMachineValues().timeouts.drainInForce
    log.info("draining: no new clients; open exchanges may take \(limit) to end; a second signal ends them at once")
    let target = source.settings.records.file
    if target.isRegularFile {
      keeper.withLock { $0 = OpenRecordsKeeper(server, writer, path: target.path, log: log) }
    }
    server.drain()
  }

  /// Opens the record log again: records go on in the file that has its name now.
  public func reopenRecords() { writer.reopen() }

  /// Opens the record log again, then reads the settings again. Settings with a mistake change nothing, and are logged.
  public func reload() {
    // A rotated log must not wait for a settings file that is on a slow disk, or wrong.
    writer.reopen()
    do throws(ServiceFailure) {
      let reload = try source.reload(check: ownAddresses.refuse)
      if !reload.changes.isEmpty { server.apply(reload.settings.withMachineValues()) }
      for change in reload.changes { log.info("\(change)") }
      for change in reload.needingRestart {
        log.warning("\(change.name) needs a restart: \(change.before) stays in force")
      }
      let count = reload.changes.isEmpty ? "none" : "\(reload.changes.count)"
      log.info("settings read again, \(count) changed; the record log is opened again")
    } catch {
      for message in error.messages { log.error("\(message)") }
      log.error("the settings were not changed: the earlier ones stay in force")
    }
  }

  /// Waits until every exchange has ended and its record is written. Call it once.
  public func wait() {
    server.wait()
    // Records that could not be written are counted and logged by the writer.
    let lost = writer.close(timeoutMilliseconds: Self.recordsTimeoutMilliseconds)
    keeper.withLock { $0.take() }?.end(removing: lost == 0)
    // Last, so that the end can be watched.
    admin?.stop()
  }
}
