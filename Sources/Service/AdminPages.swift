// What the admin listener shows: whether the service is healthy and ready, its settings, its metrics.
// It must not show content, credentials or users: settings and counts only.
import Admin
import Configuration
import Logging
import Metrics
import Proxy
import SettingValues
import Synchronization
import Transport

/// The pages of the admin listener. From any thread.
final class AdminPages: Sendable {
  private let source: SettingsSource
  private let version: String
  private let log: Log
  private let proxy = Mutex<ProxyServer?>(nil)

  init(_ source: SettingsSource, version: String, log: Log) {
    self.source = source
    self.version = version
    self.log = log
  }

  /// The proxy listens: from now on the service is ready, and has metrics.
  func show(_ server: ProxyServer) { proxy.withLock { $0 = server } }

  /// Starts the listener, if the settings ask for one.
  func serve() throws(TransportError) -> AdminServer? {
    guard let listen = source.settings.admin.listen else { return nil }
    if !listen.isLoopback {
      log.warning(
        "the admin listener on \(listen) has no access control: anyone who can connect to it sees settings and metrics")
    }
    return try AdminServer(
      host: listen.host, port: listen.port, sharesPort: source.settings.listenReusePort,
      onTrouble: { [log] in log.warning("cannot accept a connection on the admin listener: \($0)") },
      pageAt: { [self] in page(at: $0) })
  }

  func page(at path: String) -> AdminPage? {
    switch path {
    case "/": AdminPage(body: "/-/healthy\n/-/ready\n/-/config\n/metrics\n")
    case "/-/healthy": AdminPage(body: "ok\n")
    case "/-/ready": ready
    case "/-/config": AdminPage(contentType: "application/yaml", body: source.settings.withDrain().currentFile)
    case "/metrics": AdminPage(contentType: Exposition.contentType, body: metrics)
    default: nil
    }
  }

  private var ready: AdminPage {
    guard let server = proxy.withLock({ $0 }) else { return AdminPage(status: 503, body: "starting\n") }
    return server.isDraining ? AdminPage(status: 503, body: "draining\n") : AdminPage(body: "ready\n")
  }

  private var metrics: String {
    var page = Exposition()
    page.family("tachograph_build_info", .gauge, "1, with the version that runs.")
    page.sample(1, ["version": version])
    if let server = proxy.withLock({ $0 }) { server.collect(into: &page) }
    let reloads = source.reloads
    page.family("tachograph_config_reloads_total", .counter, "Times the settings were read again, by what came of it.")
    page.sample(reloads.taken, ["result": "taken"])
    page.sample(reloads.refused, ["result": "refused"])
    page.family(
      "tachograph_operator_log_dropped_total", .counter,
      "Messages of the operator's log that standard error did not accept in time.")
    page.sample(log.droppedMessages)
    ProcessFacts.collect(into: &page)
    return page.text
  }
}
