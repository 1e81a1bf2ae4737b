// The admin listener: a thread and a loop of its own, away from all traffic.
import Clocks
import Transport

/// A running admin listener. Everything about it may be called from any thread.
public final class AdminServer: Sendable {
  /// Most clients at a time: an operator, a few scrapers, and clients that forgot to close.
  static let connections = 32

  /// The address listened on, with the real port: `127.0.0.1:4142`.
  public let address: String

  private enum Command: Sendable { case stop }
  private struct Started: Sendable {
    var address: String
    var mailbox: Mailbox<Command>
  }
  private let thread: WorkerThread
  private let mailbox: Mailbox<Command>

  /// Binds and starts to serve.
  /// - Parameters:
  ///   - host: a literal address, without brackets.
  ///   - port: 0 lets the system choose.
  ///   - sharesPort: whether another process may listen on the address, too, and take it over.
  ///   - onTrouble: called with the error if a client could not be accepted, on the admin thread.
  ///   - pageAt: the page at a path; nil where there is none. Called on the admin thread.
  /// - Throws: `TransportError`: the address is in use, not local, or not an address.
  public init(
    host: String, port: UInt16, sharesPort: Bool = false, onTrouble: @escaping @Sendable (TransportError) -> Void,
    pageAt: @escaping @Sendable (_ path: String) -> AdminPage?
  ) throws(TransportError) {
    SignalWatcher.ignoreBrokenPipes()
    let promise = Promise<Result<Started, TransportError>>()
    thread = try WorkerThread(name: "admin") {
      do throws(TransportError) {
        guard let address = SocketAddress(literal: host, port: port) else { throw TransportError(.address, code: -22) }
        let loop = try EventLoop()
        let socket = try ListeningSocket(address, sharing: sharesPort ? .processes : .alone)
        defer { socket.close() }
        let listener = try Listener(loop: loop, socket: socket)
        socket.close()
        let admin = AdminListener(loop: loop, listener: listener, pageAt: pageAt, onTrouble: onTrouble)
        let mailbox = try Mailbox<Command>(loop: loop) { _ in admin.stop() }
        admin.onStop = { mailbox.close() }
        promise.fulfill(.success(Started(address: listener.address.description, mailbox: mailbox)))
        admin.start()
        loop.run()
      } catch {
        promise.fulfill(.failure(error))
      }
    }
    switch promise.wait() {
    case .success(let started):
      address = started.address
      mailbox = started.mailbox
    case .failure(let error):
      thread.join()
      throw error
    }
  }

  /// Closes everything and waits for the thread. Call it once.
  public func stop() {
    mailbox.post(.stop)
    thread.join()
  }
}

/// The listener and its clients, confined to the admin thread.
private final class AdminListener {
  private let loop: EventLoop
  private let listener: Listener
  private let pageAt: (String) -> AdminPage?
  private let onTrouble: (TransportError) -> Void
  private var clients: [ObjectIdentifier: AdminConnection] = [:]
  private var sweep: Timer?
  var onStop: (() -> Void)?

  init(
    loop: EventLoop, listener: Listener, pageAt: @escaping (String) -> AdminPage?,
    onTrouble: @escaping (TransportError) -> Void
  ) {
    self.loop = loop
    self.listener = listener
    self.pageAt = pageAt
    self.onTrouble = onTrouble
  }

  func start() {
    let sweep = Timer(loop: loop) { [unowned self] in
      let now = Instant.now()
      for client in Array(clients.values) { client.checkDeadline(now) }
    }
    sweep.start(milliseconds: 500, repeating: 500)
    self.sweep = sweep
    listener.start(onAccept: { [unowned self] in accept($0) }, onFailure: onTrouble)
  }

  private func accept(_ stream: any ByteStream) {
    // The client that has been idle for longest is closed, so that nobody can lock an operator out by keeping connections.
    if clients.count >= AdminServer.connections { clients.values.min { $0.activeAt < $1.activeAt }?.close() }
    let client = AdminConnection(stream, pageAt: pageAt) { [unowned self] in
      clients.removeValue(forKey: ObjectIdentifier($0))
    }
    clients[ObjectIdentifier(client)] = client
  }

  func stop() {
    // A shared port is yielded first; clients still come meanwhile.
    listener.close { [self] in
      sweep?.close()
      sweep = nil
      for client in Array(clients.values) { client.close() }
      onStop?()
    }
  }
}
