// One event loop with its clients, its upstreams and its scratch memory: everything that one thread owns.
// It must not share anything but `ProxyState` with other threads.
import Clocks
import HTTP
import HTTP1
import Measurement
import RecordLog
import Synchronization
import TokenWire
import Transport

/// What a worker can be told from another thread.
enum WorkerCommand: Sendable {
  /// Accept nobody, let exchanges end until the instant, then end them.
  case drain(until: Instant)
  /// End everything now.
  case shutDown
  /// What begins from now on is held to these settings.
  case apply(ConfigurationSnapshot)
  /// The exchange that waits with this waiter has its place at upstream.
  case permitAdmitted(ConcurrencyLimiter.WaiterID)
}

/// One worker, confined to its thread.
final class Worker {
  /// How often deadlines are looked at: they are seconds, not milliseconds.
  private static let sweepMilliseconds: UInt64 = 250

  let proxy: ProxyState
  let counters: Counters
  /// What exchanges that begin now are held to.
  private(set) var configuration: ConfigurationSnapshot
  let loop: EventLoop
  /// The servers that requests are forwarded to.
  let upstreams: UpstreamList
  /// Where the last parse found body bytes; one list for all connections.
  let ranges = BodyRanges()
  /// Where a response is put together for its client, one read at a time; see "Scratch memory".
  private let responseOutput = OutputBuffer(capacity: EventLoop.readCapacity * 2)
  /// The same of a request for upstream.
  private let requestOutput = OutputBuffer(capacity: EventLoop.readCapacity * 2)
  /// What records come from and go to.
  let recording: RecordingResources
  let identities: UniqueBox<IdentityReader>
  /// Heads that need not be read in full.
  private(set) var headCaches: HeadCaches
  /// What exchanges are kept in.
  let machines = FreeList<ExchangeMachine>(kept: 256)
  private(set) var isDraining = false

  private let listeners: [Listener]
  private var clients: [ObjectIdentifier: DownstreamConnection] = [:]
  private var sweep: Timer?
  private var mailbox: Mailbox<WorkerCommand>?
  private var drainUntil: Instant?
  private var isAcceptPaused = false
  /// Clients that are being told that there is no room for them.
  private var rejectedClients = 0
  /// Exchanges that wait for a place at upstream.
  private var waiting: [ConcurrencyLimiter.WaiterID: Exchange] = [:]
  /// How this worker is told of a place.
  private(set) var onAdmit: ConcurrencyLimiter.Admission = { _ in }

  /// The settings in force.
  var settings: ProxySettings { configuration.settings }

  /// Prepares to take clients from `sockets`; nothing is accepted before `run`.
  init(proxy: ProxyState, number: Int, sockets: [ListeningSocket]) throws(TransportError) {
    self.proxy = proxy
    counters = proxy.counters[number]
    recording = RecordingResources(counters: counters, models: proxy.operations, writer: proxy.writer)
    configuration = proxy.configuration
    let settings = configuration.settings
    loop = try EventLoop()
    upstreams = UpstreamList(configuration, proxy, worker: number, loop: loop)
    headCaches = HeadCaches(settings)
    identities = UniqueBox(IdentityReader(headers: settings.identityHeaders, secret: proxy.secret))
    var listeners: [Listener] = []
    for socket in sockets { listeners.append(try Listener(loop: loop, socket: socket)) }
    self.listeners = listeners
  }

  /// The box through which other threads reach this worker. Call it on the worker's thread, once.
  func openMailbox() throws(TransportError) -> Mailbox<WorkerCommand> {
    let mailbox = try Mailbox<WorkerCommand>(loop: loop) { [unowned self] in handle($0) }
    self.mailbox = mailbox
    onAdmit = { mailbox.post(.permitAdmitted($0)) }
    return mailbox
  }

  /// Serves until drained.
  func run() {
    let sweep = Timer(loop: loop) { [unowned self] in checkDeadlines() }
    sweep.start(milliseconds: Self.sweepMilliseconds, repeating: Self.sweepMilliseconds)
    self.sweep = sweep
    recording.decoder.begin(on: loop)
    for listener in listeners {
      listener.start(
        onAccept: { [unowned self] in accept($0) },
        onFailure: { [counters, proxy] error in
          counters.connectionsFailed.add()
          if error.isOutOfDescriptors { counters.hit(.descriptors) }
          proxy.log.warning("cannot accept a client's connection: \(error)")
        })
    }
    loop.run()
  }

  private func accept(_ stream: any ByteStream) {
    let peer = stream.peer?.host ?? ""
    guard !settings.awaitsProxyHeader || settings.mayIntroduce(peer) else {
      counters.hit(.proxyHeader)
      proxy.logOnce(.proxyHeader, "closed a connection from \(peer): this address is not in proxy_protocol.peers")
      return stream.close()
    }
    let client = DownstreamConnection(worker: self, stream: stream, output: requestOutput)
    clients[ObjectIdentifier(client)] = client
    counters.connectionsOpened.add()
    if proxy.takeClient(limit: configuration.budget.clients) {
      client.accounting.isServed = true
      // Whom a proxy speaks for is known when it has said so.
      if !configuration.settings.awaitsProxyHeader { tally(client) }
    } else {
      reject(client, .noDescriptor)
    }
    updateAccepting()
  }

  /// Counts a connection of a client whose address is known; one too many is refused.
  func tally(_ client: DownstreamConnection) {
    // A peer that is trusted to name others speaks for many.
    guard let limit = configuration.settings.connectionsPerClient, !configuration.settings.isTrustedProxy(client.peer)
    else { return }
    guard proxy.clientConnections.acquire(client.peer, limit: limit) else { return reject(client, .tooManyOfOneClient) }
    client.accounting.client = client.peer
  }

  private func reject(_ client: DownstreamConnection, _ rejection: ConnectionRejection) {
    counters.hit(rejection.limit)
    discount(client)
    client.accounting.isRejected = true
    rejectedClients += 1
    client.reject(rejection)
  }

  /// Gives back what a client counted as.
  private func discount(_ client: DownstreamConnection) {
    if let address = client.accounting.client { proxy.clientConnections.release(address) }
    if client.accounting.isServed { proxy.giveClient() }
    if client.accounting.isRejected { rejectedClients -= 1 }
    client.accounting = DownstreamConnection.ConnectionAccounting()
  }

  /// Takes clients only while there is room for them.
  private func updateAccepting() {
    guard !isDraining else { return }
    // Whoever waits in the kernel's queue costs nothing, and may find a place later.
    let isFull = clients.count - rejectedClients >= configuration.settings.connections
    let isRejecting = rejectedClients >= configuration.budget.refused
    guard (isFull || isRejecting) != isAcceptPaused else { return }
    isAcceptPaused.toggle()
    if isFull { counters.hit(.connections) }
    for listener in listeners {
      if isAcceptPaused { listener.pause() } else { listener.resume() }
    }
  }

  /// A client's connection has closed.
  func forget(_ client: DownstreamConnection) {
    clients.removeValue(forKey: ObjectIdentifier(client))
    counters.connectionsClosed.add()
    discount(client)
    updateAccepting()
    finishIfDone()
  }

  /// An exchange waits for a place at upstream.
  func addWaiter(_ exchange: Exchange, _ waiter: ConcurrencyLimiter.WaiterID) { waiting[waiter] = exchange }

  /// An exchange waits no more.
  func removeWaiter(_ waiter: ConcurrencyLimiter.WaiterID) { waiting[waiter] = nil }

  /// The wall time at which `instant` was.
  func wallAnchor(at instant: Instant) -> WallAnchor {
    loop.wallAnchor(at: instant)
  }

  /// The client's address for the record: the peer, or whom trusted peers speak for.
  func clientAddress(peer: String, _ head: RequestHead) -> String {
    let settings = settings
    return ForwardedFor.client(
      behind: peer, head.fields.all("x-forwarded-for"), isTrusted: { settings.isTrustedProxy($0) })
  }

  private func checkDeadlines() {
    let now = Instant.now()
    for client in Array(clients.values) { client.checkDeadlines(now) }
    upstreams.checkDeadlines(now)
    headCaches.evictIdle()
    if let drainUntil, now >= drainUntil { shutDown() }
  }

  /// Goes over to other settings. Exchanges that have begun keep theirs; connections to upstream that were made under
  /// others, perhaps to another server, are not used again.
  private func apply(_ configuration: ConfigurationSnapshot) {
    self.configuration = configuration
    upstreams.apply(configuration)
    headCaches.invalidate()
    headCaches = HeadCaches(settings)
    identities.value = IdentityReader(headers: settings.identityHeaders, secret: proxy.secret)
    updateAccepting()
  }

  // MARK: Scratch memory

  // Each buffer is lent for one read, as a parameter, and emptied behind it: nothing of one client, such as the credential in a
  // head, is there for the next. There are two because the end of a response, in the one, may begin the next request, in the
  // other.

  /// Has an exchange read bytes that upstream sent.
  func read(_ bytes: RawSpan, _ arrival: Arrival, from connection: UpstreamConnection, by exchange: Exchange) {
    exchange.upstreamRead(connection, bytes, arrival, into: responseOutput)
    responseOutput.removeAll()
  }

  // MARK: The end

  private func handle(_ command: WorkerCommand) {
    switch command {
    case .apply(let configuration): apply(configuration)
    // Whoever gave up meanwhile has given the place back.
    case .permitAdmitted(let waiter): waiting.removeValue(forKey: waiter)?.permitAdmitted()
    case .drain(let until): drain(until: until)
    case .shutDown: shutDown()
    }
  }

  private func drain(until: Instant) {
    guard !isDraining else { return }
    isDraining = true
    drainUntil = until
    upstreams.stopKeepingConnections()
    // Clients who shook hands already are served before the listeners close; what they ask now is their last.
    for listener in listeners { listener.close { [unowned self] in finishIfDone() } }
    // Kept connections that have been idle for long go now, the others are told with their next answer.
    checkDeadlines()
    finishIfDone()
  }

  private func shutDown() {
    drain(until: .now())
    for listener in listeners { listener.close() }
    for client in Array(clients.values) { client.shutDown() }
    finishIfDone()
  }

  /// Lets go of all that keeps the loop running, once there is nobody left to serve and nobody will come.
  private func finishIfDone() {
    guard isDraining, clients.isEmpty, listeners.allSatisfy(\.isClosed) else { return }
    drainUntil = nil
    sweep?.close()
    sweep = nil
    recording.decoder.close()
    mailbox?.close()
    mailbox = nil
    upstreams.close()
  }
}
