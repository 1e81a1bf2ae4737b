// What the admin listener shows of `serve`: whether it is healthy and ready, its settings, its metrics.
// It must not show content, credentials or users: settings and counts only.
import Admin
import Configuration
import Logging
import Metrics
import Proxy
import Synchronization
import Transport

/// The admin listener and its pages. From any thread.
final class ServeAdmin: Sendable {
  private let configuration: ServeConfiguration
  private let proxy = Mutex<ProxyServer?>(nil)

  init(configuration: ServeConfiguration) { self.configuration = configuration }

  /// The proxy listens: from now on it is ready, and has metrics.
  func serves(_ server: ProxyServer) { proxy.withLock { $0 = server } }

  /// Starts the listener where one is asked for.
  /// - Returns: nil where none is.
  func start() throws(TransportError) -> AdminServer? {
    guard let listen = configuration.settings.admin.listen else { return nil }
    if !listen.isLoopback {
      Log.standardError.warning(
        "the admin listener on \(listen) has no access control: anyone who can connect to it sees settings and metrics")
    }
    return try AdminServer(
      host: listen.host, port: listen.port, sharesPort: configuration.settings.listenReusePort,
      onTrouble: { Log.standardError.warning("cannot accept a connection on the admin listener: \($0)") },
      pageAt: { [self] in page(at: $0) })
  }

  private func page(at path: String) -> AdminPage? {
    switch path {
    case "/": AdminPage(body: "/-/healthy\n/-/ready\n/-/config\n/metrics\n")
    case "/-/healthy": AdminPage(body: "ok\n")
    case "/-/ready": ready
    case "/-/config": AdminPage(contentType: "application/yaml", body: configuration.settings.inForceFile)
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
    page.sample(1, ["version": Tachograph.version])
    if let server = proxy.withLock({ $0 }) { server.collect(into: &page) }
    let reloads = configuration.reloads
    page.family("tachograph_config_reloads_total", .counter, "Times the settings were read again, by what came of it.")
    page.sample(reloads.taken, ["result": "taken"])
    page.sample(reloads.refused, ["result": "refused"])
    page.family(
      "tachograph_operator_log_dropped_total", .counter,
      "Messages of the operator's log that standard error did not accept in time.")
    page.sample(Log.standardError.droppedMessages)
    ProcessFacts.collect(into: &page)
    return page.text
  }
}
