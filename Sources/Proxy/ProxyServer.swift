// The proxy as a whole: its workers' threads, from the first bind to the last record.
import Clocks
import Logging
import Measurement
import RecordLog
import SettingValues
import Synchronization
import Transport

/// A running proxy. Everything about it may be called from any thread.
public final class ProxyServer: Sendable {
  /// The addresses listened on, with their real ports.
  public let addresses: [SocketAddress]
  /// The same as one text: `127.0.0.1:4141`.
  public var address: String { addresses.map(\.description).joined(separator: ", ") }

  let state: ProxyState
  private let threads: [WorkerThread]
  private let mailboxes: [Mailbox<WorkerCommand>]
  private let isEnding = Atomic<Bool>(false)

  /// Whether no new clients are taken: draining, or over.
  public var isDraining: Bool { isEnding.load(ordering: .relaxed) }

  /// Binds and starts to serve.
  /// - Parameters:
  ///   - inherited: sockets to take clients from, in place of one on the settings' address.
  ///   - interrupted: the stages of exchanges of an earlier process whose records were put into the log, to be counted.
  /// - Parameter tokenKey: by which signatures of tokens are checked, until the end.
  /// - Throws: `TransportError`: the address is in use, is not ours, or is no address.
  public convenience init(
    settings: Settings, writer: RecordWriter, secret: KeySecret, tokenKey: TokenKey? = nil,
    inherited: [ListeningSocket] = [],
    interrupted: [Stage?] = [], log: Log = .standardError
  ) throws(TransportError) {
    let state = ProxyState(
      ConfigurationSnapshot(settings, tokenKey: tokenKey), writer: writer, secret: secret, log: log)
    // Before the worker that writes these counters.
    for stage in interrupted {
      state.counters[0].exchanges.add(.interrupted, stage)
      state.counters[0].failures.add(.proxyKilled)
    }
    try self.init(state, inherited: inherited)
  }

  /// The same, of a state that is made already.
  init(_ state: ProxyState, inherited: [ListeningSocket] = []) throws(TransportError) {
    SignalWatcher.ignoreBrokenPipes()
    self.state = state
    let settings = state.configuration.settings
    let workers = state.counters.count
    let sockets = try inherited.isEmpty ? Self.bind(settings, workers: workers) : [inherited]
    addresses = sockets[0].map(\.address)
    defer { for socket in sockets.joined() { socket.close() } }
    var threads: [WorkerThread] = []
    var mailboxes: [Mailbox<WorkerCommand>] = []
    for number in 0..<workers {
      do throws(TransportError) {
        let (thread, mailbox) = try Self.startWorker(state, number, sockets[number % sockets.count])
        threads.append(thread)
        mailboxes.append(mailbox)
      } catch {
        // The workers that have started do not serve without the others.
        for mailbox in mailboxes { mailbox.post(.shutDown) }
        for thread in threads { thread.join() }
        throw error
      }
    }
    self.threads = threads
    self.mailboxes = mailboxes
  }

  /// The sockets of each worker, in turn: one for each, or one for all.
  private static func bind(_ settings: Settings, workers: Int) throws(TransportError) -> [[ListeningSocket]] {
    guard let address = SocketAddress(literal: settings.listen.host, port: settings.listen.port) else {
      throw TransportError(.address, code: -22)
    }
    if settings.listenReusePort { return [[try ListeningSocket(address, sharing: .processes)]] }
    if workers == 1 { return [[try ListeningSocket(address)]] }
    let free = try freeAddress(address)
    var sockets: [[ListeningSocket]] = []
    for _ in 0..<workers { sockets.append([try ListeningSocket(free, sharing: .workers)]) }
    return sockets
  }

  /// The address, with the port that 0 stands for. Sockets that share a port among workers would share it with a proxy
  /// started by mistake, too; the one made here does not, and is closed again.
  private static func freeAddress(_ address: SocketAddress) throws(TransportError) -> SocketAddress {
    let socket = try ListeningSocket(address)
    defer { socket.close() }
    return socket.address
  }

  private static func startWorker(
    _ state: ProxyState, _ number: Int, _ sockets: [ListeningSocket]
  ) throws(TransportError) -> (WorkerThread, Mailbox<WorkerCommand>) {
    let promise = Promise<Result<Mailbox<WorkerCommand>, TransportError>>()
    let thread = try WorkerThread(name: "worker-\(number)") {
      do throws(TransportError) {
        let worker = try Worker(proxy: state, number: number, sockets: sockets)
        promise.fulfill(.success(try worker.openMailbox()))
        worker.run()
      } catch {
        promise.fulfill(.failure(error))
      }
    }
    switch promise.wait() {
    case .success(let mailbox): return (thread, mailbox)
    case .failure(let error):
      thread.join()
      throw error
    }
  }

  /// Uses `settings` for everything that begins from now on: exchanges, connections, waits. Exchanges under way keep theirs;
  /// the address listened on and the number of workers stay as they were at the start. Returns at once.
  public func apply(_ settings: Settings) {
    let configuration = ConfigurationSnapshot(settings, tokenKey: state.configuration.identityRules.tokenKey)
    state.configuration = configuration
    for mailbox in mailboxes { mailbox.post(.apply(configuration)) }
    // After the workers are told: an exchange that is admitted now finds the new configuration.
    for (upstream, settings) in zip(state.upstreams, configuration.upstreams) {
      upstream.limiter.apply(limit: settings.inFlight, queue: settings.queue)
    }
  }

  /// Stops accepting and lets exchanges end, for at most the configured time. Returns at once; see `wait`.
  public func drain() {
    isEnding.store(true, ordering: .relaxed)
    let until = Instant.now().advanced(by: state.configuration.settings.timeouts.drainInForce)
    for mailbox in mailboxes { mailbox.post(.drain(until: until)) }
  }

  /// The records of the exchanges that are open now, with the outcome `interrupted`. Waits for the workers to answer.
  /// - Parameter milliseconds: how long to wait for all; of one that is late, its answer to the question before counts.
  public func openRecords(waiting milliseconds: Int32) -> [OpenRecord] {
    state.openRecords.collect(milliseconds: milliseconds) { round in
      for mailbox in mailboxes { mailbox.post(.reportOpenExchanges(round: round)) }
    }
  }

  /// Ends all exchanges now. Returns at once; see `wait`.
  public func shutDown() {
    isEnding.store(true, ordering: .relaxed)
    for mailbox in mailboxes { mailbox.post(.shutDown) }
  }

  /// Waits until every worker has ended. Call it once, after `drain` or `shutDown`, or to serve until somebody else
  /// does.
  public func wait() {
    for thread in threads { thread.join() }
  }
}
