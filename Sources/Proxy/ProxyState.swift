// What all workers of one proxy share: settings, counters, upstreams, the log.
import Logging
import Measurement
import RecordLog
import Synchronization

/// What all workers share. Everything about it may be called from any thread.
final class ProxyState: Sendable {
  let writer: RecordWriter
  let log: Log
  let secret: KeySecret
  /// The counters of each worker, by its number.
  let counters: [Counters]
  /// Which models have metrics of their own.
  let operations: ModelRegistry
  /// Which users have metrics of their own; nil where none may.
  let users: UserRegistry?
  /// The upstream servers, in the order of the settings.
  let upstreams: [UpstreamState]
  let router: Router
  let openRecords: OpenRecords
  let clientConnections = PerClientConnectionCounter()
  private let current: Mutex<ConfigurationSnapshot>
  private let inFlight = Atomic<Int>(0)
  private let clients = Atomic<Int>(0)

  init(
    _ configuration: ConfigurationSnapshot, router: Router = Router(), writer: RecordWriter, secret: KeySecret,
    log: Log
  ) {
    let settings = configuration.settings
    let workers = settings.workers ?? 1
    current = Mutex(configuration)
    self.router = router
    self.writer = writer
    self.log = log
    self.secret = secret
    counters = (0..<workers).map { _ in Counters() }
    upstreams = configuration.upstreams.map { UpstreamState($0, workers: workers) }
    openRecords = OpenRecords(workers: workers)
    operations = ModelRegistry(limit: settings.admin.models)
    users = settings.admin.users > 0 ? UserRegistry(limit: settings.admin.users) : nil
  }

  /// The settings in force. Each worker has its own reference, which it replaces when its mailbox brings the next.
  var configuration: ConfigurationSnapshot {
    get { current.withLock { $0 } }
    set { current.withLock { $0 = newValue } }
  }

  /// An exchange was dispatched.
  /// - Returns: how many are in flight, this one included.
  func began() -> Int { inFlight.add(1, ordering: .relaxed).newValue }

  /// Counts one more client, unless there are `limit` already.
  /// - Returns: whether it was counted; then `releaseClient` is to be called for it.
  func acquireClient(limit: Int) -> Bool {
    if clients.add(1, ordering: .relaxed).newValue <= limit { return true }
    releaseClient()
    return false
  }

  /// Counts one client less.
  func releaseClient() { clients.subtract(1, ordering: .relaxed) }

  /// A dispatched exchange has ended.
  func ended() { inFlight.subtract(1, ordering: .relaxed) }

  /// Logs what a limit did when it is reached for the first time; later times are only counted.
  func logOnce(_ limit: Limit, _ message: String) {
    log.once(
      limit.rawValue, .warning,
      "\(message); later ones are only counted, in tachograph_limits_hit_total{limit=\"\(limit.rawValue)\"}")
  }

  /// Exchanges dispatched and not ended.
  var exchangesInFlight: Int { inFlight.load(ordering: .relaxed) }
}
