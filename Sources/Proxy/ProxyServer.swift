// The proxy as a whole: its workers' threads, from the first bind to the last record.
// It must not know about signals or settings files.
import Clocks
import Measure
import RecordLog
import Synchronization
import Transport

/// A running proxy. Everything about it may be called from any thread.
public final class ProxyServer: Sendable {
  /// The address listened on, with the real port: `127.0.0.1:4141`.
  public let address: String

  let shared: Shared
  private let threads: [WorkerThread]
  private let mailboxes: [Mailbox<WorkerCommand>]

  /// Binds and starts to serve.
  /// - Throws: `TransportError`: the address is in use, is not ours, or is no address.
  public init(settings: ProxySettings, writer: RecordWriter, secret: KeySecret) throws(TransportError) {
    SignalWatcher.ignoreBrokenPipes()
    shared = Shared(settings: settings, writer: writer, secret: secret)
    var threads: [WorkerThread] = []
    var mailboxes: [Mailbox<WorkerCommand>] = []
    var port = settings.listenPort
    var address = ""
    for number in 0..<max(1, settings.workers) {
      let started = try Self.startWorker(shared, number: number, port: port)
      threads.append(started.thread)
      mailboxes.append(started.mailbox)
      port = started.port
      address = started.address
    }
    self.threads = threads
    self.mailboxes = mailboxes
    self.address = address
  }

  private struct Started: Sendable {
    var mailbox: Mailbox<WorkerCommand>
    var port: UInt16
    var address: String
  }

  private static func startWorker(
    _ shared: Shared, number: Int, port: UInt16
  ) throws(TransportError) -> (thread: WorkerThread, mailbox: Mailbox<WorkerCommand>, port: UInt16, address: String) {
    let promise = Promise<Result<Started, TransportError>>()
    let thread = try WorkerThread(name: "worker-\(number)") {
      guard let address = SocketAddress(literal: shared.rules.settings.listenHost, port: port) else {
        return promise.keep(.failure(TransportError(.address, code: -22)))
      }
      do throws(TransportError) {
        let worker = try Worker(
          shared: shared, number: number, listenOn: address, sharesPort: shared.rules.settings.workers > 1)
        let mailbox = try worker.openMailbox()
        promise.keep(
          .success(
            Started(mailbox: mailbox, port: worker.address.port, address: worker.address.description)))
        worker.run()
      } catch {
        promise.keep(.failure(error))
      }
    }
    switch promise.wait() {
    case .success(let started): return (thread, started.mailbox, started.port, started.address)
    case .failure(let error):
      thread.join()
      throw error
    }
  }

  /// Has whatever begins from now on held to `settings`: exchanges, connections, waits. Exchanges under way keep what they
  /// began with, and what was made at the start stays: the address listened on and the number of workers. Returns at once.
  public func apply(_ settings: ProxySettings) {
    let rules = Rules(settings)
    shared.rules = rules
    for mailbox in mailboxes { mailbox.post(.follow(rules)) }
  }

  /// Stops accepting and lets exchanges end, for at most the configured time. Returns at once; see `wait`.
  public func drain() {
    let until = Instant.now().advanced(byNanoseconds: shared.rules.settings.drainTimeout)
    for mailbox in mailboxes { mailbox.post(.drain(until: until)) }
  }

  /// Ends all exchanges now. Returns at once; see `wait`.
  public func shutDown() {
    for mailbox in mailboxes { mailbox.post(.shutDown) }
  }

  /// Waits until every worker has ended. Call it once, after `drain` or `shutDown`, or to serve until somebody else does.
  public func wait() {
    for thread in threads { thread.join() }
  }
}
