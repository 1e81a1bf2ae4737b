// What all workers of one proxy share.
import Measurement
import RecordLog
import Synchronization

/// What all workers share.
final class ProxyState: Sendable {
  let writer: RecordWriter
  let secret: KeySecret
  /// What each worker counts, by its number.
  let counters: [Counters]
  /// Which models are counted by themselves, and all that is.
  let operations: ModelRegistry
  /// Who may be at upstream.
  let limiter = ConcurrencyLimiter()
  /// Connections by client.
  let clientConnections = PerClientConnectionCounter()
  private let current: Mutex<ConfigurationSnapshot>
  private let inFlight = Atomic<Int>(0)
  private let said = Mutex<Set<Limit>>([])
  private let clients = Atomic<Int>(0)

  init(settings: ProxySettings, writer: RecordWriter, secret: KeySecret) {
    current = Mutex(ConfigurationSnapshot(settings))
    self.writer = writer
    self.secret = secret
    counters = (0..<max(1, settings.workers)).map { _ in Counters() }
    operations = ModelRegistry(limit: settings.countedModels)
  }

  /// The settings that the workers follow, or are about to: each has its own copy, taken from its mailbox.
  var configuration: ConfigurationSnapshot {
    get { current.withLock { $0 } }
    set { current.withLock { $0 = newValue } }
  }

  /// An exchange was dispatched.
  /// - Returns: how many are in flight now, this one included.
  func began() -> Int { inFlight.add(1, ordering: .relaxed).newValue }

  /// Counts one more client, unless there are `limit` already.
  /// - Returns: whether it was counted, and is to be given back.
  func takeClient(limit: Int) -> Bool {
    if clients.add(1, ordering: .relaxed).newValue <= limit { return true }
    giveClient()
    return false
  }

  /// A client that was counted has gone.
  func giveClient() { clients.subtract(1, ordering: .relaxed) }

  /// A dispatched exchange has ended.
  func ended() { inFlight.subtract(1, ordering: .relaxed) }

  /// Says on standard error what a limit does the first time that it is run into; further ones are only counted.
  func sayOnce(_ limit: Limit, _ what: String) {
    guard said.withLock({ $0.insert(limit).inserted }) else { return }
    RecordWriter.sayOnStandardError("\(what); further ones are counted, and not told")
  }

  /// Exchanges dispatched and not ended.
  var exchangesInFlight: Int { inFlight.load(ordering: .relaxed) }
}
