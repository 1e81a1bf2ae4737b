// One event loop with its clients, its upstreams and its memory: everything that one thread owns.
// It must share nothing with other threads but `ProxyState` and its mailbox.
import Clocks
import HTTP
import HTTP1
import Measurement
import RecordLog
import Synchronization
import TokenWire
import Transport

/// What another thread can ask of a worker.
enum WorkerCommand: Sendable {
  /// Accept no client, let exchanges end until the instant, then end them.
  case drain(until: Instant)
  /// End everything now.
  case shutDown
  /// Use these settings for everything that begins from now on.
  case apply(ConfigurationSnapshot)
  /// Answer which exchanges are open (`OpenRecords`).
  case reportOpenExchanges(round: Int)
  /// Go on with that answer.
  case continueReport
  /// The exchange that waits under this id has its permit.
  case permitAdmitted(ConcurrencyLimiter.WaiterID)
}

/// One worker, confined to its thread.
final class Worker {
  let proxy: ProxyState
  let counters: Counters
  /// The settings in force.
  private(set) var configuration: ConfigurationSnapshot
  let loop: EventLoop
  /// The servers that requests are forwarded to.
  let upstreams: UpstreamList
  /// Where a read's body bytes are, lent for the length of one read.
  let ranges = BodyRanges()
  /// Where what one read brings of a response is put together for its client. Each buffer is lent for one read, and emptied
  /// behind it, so that nothing of one client, such as the credential in a head, is there for the next. There are two because
  /// the end of a response may begin the next request.
  let responseOutput = OutputBuffer(capacity: EventLoop.readCapacity * 2)
  /// Where what one read brings of a request is put together for upstream.
  private let requestOutput = OutputBuffer(capacity: EventLoop.readCapacity * 2)
  let recording: RecordingResources
  let origins: RequestOrigins
  private(set) var headCaches: HeadCaches
  /// Memory for the exchanges' machines.
  let machines = FreeList<ExchangeMachine>(kept: 256)
  private(set) var isDraining = false

  /// What requests that wait for a connection hold.
  let requestMemory: RequestMemory

  private let listeners: [Listener]
  let clients = ClientList()
  private var sweep: Timer?
  private var mailbox: Mailbox<WorkerCommand>?
  private var drainUntil: Instant?
  private var openReport: OpenReport?
  private let number: Int
  private var isAcceptPaused = false
  private var roundsToAdjustment = 0
  /// Clients for whom there is no room, and that are being told so.
  private var rejectedClients = 0
  /// Exchanges that wait for a permit.
  private var waiting: [ConcurrencyLimiter.WaiterID: Exchange] = [:]
  /// Called by a limiter, on any thread, when a waiter of this worker has its permit.
  private(set) var onAdmit: ConcurrencyLimiter.Admission = { _ in }

  /// Prepares to take clients from `sockets`; nothing is accepted before `run`.
  init(proxy: ProxyState, number: Int, sockets: [ListeningSocket]) throws(TransportError) {
    self.proxy = proxy
    self.number = number
    counters = proxy.counters[number]
    recording = RecordingResources(
      counters: counters, models: proxy.operations, users: proxy.users, writer: proxy.writer)
    configuration = proxy.configuration
    recording.decoder.scans.bodyBudget = configuration.settings.limits.inspectedBodyBytes
    requestMemory = RequestMemory(limit: configuration.settings.buffers.waitingRequestsBytes)
    loop = try EventLoop()
    upstreams = UpstreamList(configuration, proxy, worker: number, loop: loop)
    headCaches = HeadCaches()
    origins = RequestOrigins(configuration.identityRules, proxy.secret)
    var listeners: [Listener] = []
    for socket in sockets { listeners.append(try Listener(loop: loop, socket: socket)) }
    self.listeners = listeners
    applyLiveness()
  }

  /// Opens the mailbox through which other threads reach this worker. Call it once, on the worker's thread.
  func openMailbox() throws(TransportError) -> Mailbox<WorkerCommand> {
    let mailbox = try Mailbox<WorkerCommand>(loop: loop) { [unowned self] in handle($0) }
    self.mailbox = mailbox
    onAdmit = { mailbox.post(.permitAdmitted($0)) }
    return mailbox
  }

  /// Serves until drained.
  func run() {
    sweep = Timer(loop: loop) { [unowned self] in checkDeadlines() }
    checkDeadlines()
    recording.decoder.begin(on: loop)
    for listener in listeners {
      listener.start(
        onAccept: { [unowned self] in accept($0) },
        onFailure: { [unowned self] error in
          counters.connectionsFailed.add()
          if error.isOutOfDescriptors { outOfDescriptors() }
          proxy.log.warning("cannot accept a client's connection: \(error)")
        })
    }
    loop.run()
  }

  private func accept(_ stream: any ByteStream) {
    let peer = stream.peer?.host ?? ""
    guard !configuration.requiresProxyHeader || configuration.maySendProxyHeader(peer) else {
      counters.hit(.proxyHeader)
      proxy.logOnce(.proxyHeader, "closed a connection from \(peer): this address is not in proxy_protocol.peers")
      return stream.close()
    }
    let client = DownstreamConnection(worker: self, stream: stream, output: requestOutput)
    clients.add(client)
    counters.connectionsOpened.add()
    if acquirePlace(for: client) {
      client.accounting.isServed = true
      // With a PROXY header the client's address is known once that has come.
      if !configuration.requiresProxyHeader { countByAddress(client) }
    } else {
      reject(client, .noDescriptor)
    }
    if freePlaces < 0, clients.evictIdle(for: client) { counters.hit(.connections) }
    updateAccepting()
  }

  /// How many more clients may be served; below 0 where one was accepted because an idle one can make room. One whose last bytes
  /// are dropped is served no more, and makes room where descriptors run out.
  private var freePlaces: Int {
    (configuration.settings.limits.connections ?? .max) - (clients.count - rejectedClients - clients.lingeringCount)
  }

  /// Takes a place among the clients that are served, that of an idle one if need be.
  private func acquirePlace(for newcomer: DownstreamConnection) -> Bool {
    let limit = configuration.budget.clients
    if proxy.acquireClient(limit: limit) { return true }
    guard clients.evictIdle(for: newcomer) else { return false }
    counters.hit(.descriptors)
    return proxy.acquireClient(limit: limit)
  }

  /// The system has no descriptor for a client that waits: the client that has been idle for longest makes room.
  private func outOfDescriptors() {
    counters.hit(.descriptors)
    _ = clients.evictIdle(for: nil)
  }

  /// Counts a connection of a client whose address is known, and rejects one too many.
  func countByAddress(_ client: DownstreamConnection) {
    // A trusted peer forwards for many clients.
    guard let limit = configuration.settings.limits.connectionsPerClient, !configuration.isTrustedProxy(client.peer)
    else { return }
    guard proxy.clientConnections.acquire(client.peer, limit: limit) else { return reject(client, .tooManyOfOneClient) }
    client.accounting.client = client.peer
  }

  private func reject(_ client: DownstreamConnection, _ rejection: ConnectionRejection) {
    counters.hit(rejection.limit)
    uncount(client)
    // Whoever is rejected may take a moment, but not the place of those who are served.
    guard rejectedClients < configuration.budget.refused else { return client.close() }
    client.accounting.isRejected = true
    rejectedClients += 1
    client.reject(rejection)
  }

  /// Takes a client out of all counts.
  private func uncount(_ client: DownstreamConnection) {
    if let address = client.accounting.client { proxy.clientConnections.release(address) }
    if client.accounting.isServed { proxy.releaseClient() }
    if client.accounting.isRejected { rejectedClients -= 1 }
    client.accounting = DownstreamConnection.ConnectionAccounting()
  }

  /// Accepts clients only while there is room for them, or a client that is idle and makes room.
  private func updateAccepting() {
    guard !isDraining else { return }
    // A client that waits in the kernel's queue costs nothing, and may be accepted later.
    let isFull = freePlaces < 0 || freePlaces == 0 && clients.idleCount == 0
    guard isFull != isAcceptPaused else { return }
    isAcceptPaused = isFull
    if isFull { counters.hit(.connections) }
    for listener in listeners {
      if isFull { listener.pause() } else { listener.resume() }
    }
  }

  /// What a client still sends is dropped from now on.
  func clientLingers(_ client: DownstreamConnection) {
    clients.linger(client)
    updateAccepting()
  }

  /// A client's connection has closed.
  func forget(_ client: DownstreamConnection) {
    clients.remove(client)
    counters.connectionsClosed.add()
    uncount(client)
    updateAccepting()
    finishIfDone()
  }

  /// An exchange waits for a permit.
  func addWaiter(_ exchange: Exchange, _ waiter: ConcurrencyLimiter.WaiterID) { waiting[waiter] = exchange }

  /// An exchange no longer waits for a permit.
  func removeWaiter(_ waiter: ConcurrencyLimiter.WaiterID) { waiting[waiter] = nil }

  /// The wall time of an instant.
  func wallAnchor(at instant: Instant) -> WallAnchor {
    loop.wallAnchor(at: instant)
  }

  /// The client's address for the record: the peer's, or the one that trusted peers name.
  func clientAddress(peer: String, _ head: RequestHead) -> String {
    let configuration = configuration
    return ForwardedFor.client(behind: peer, head.fields) { configuration.isTrustedProxy($0) }
  }

  private func checkDeadlines() {
    let now = Instant.now()
    clients.closeIdle(longerThan: idleLimit, now)
    clients.closeLingering(silentFor: lingerIdleLimit, now)
    let (endsRound, pause) = clients.sweepShare(now, adjustsTimeouts: roundsToAdjustment == 0)
    sweep?.start(milliseconds: pause)
    // Some may have become idle.
    if isAcceptPaused { updateAccepting() }
    guard endsRound else { return }
    for listener in listeners { listener.checkForClients() }
    upstreams.checkDeadlines(now)
    headCaches.evictIdle()
    if let drainUntil, now >= drainUntil { shutDown() }
  }

  /// How long a client may be idle.
  private var idleLimit: Duration {
    let limit = configuration.settings.timeouts.idle
    return isDraining ? min(limit, DownstreamConnection.drainIdleDuration) : limit
  }

  /// How long a client whose last bytes are dropped may be silent.
  var lingerIdleLimit: Duration {
    let limit = configuration.settings.timeouts.lingerIdle
    return isDraining ? min(limit, DownstreamConnection.drainIdleDuration) : limit
  }

  /// Rounds of the sweep between two in which the kernel's timeouts are adjusted: four times within the timeout, and more.
  private var roundsBetweenAdjustments: Int {
    guard let timeout = configuration.settings.tcp.effectiveUserTimeout else { return .max }
    return max(0, Int(timeout / .milliseconds(4 * 250)) - 1)
  }

  /// Has the kernel find out the peers that vanish.
  private func applyLiveness() {
    let tcp = configuration.settings.tcp
    let liveness = Liveness(
      idle: tcp.keepaliveIdle, interval: tcp.keepaliveInterval, probes: tcp.keepaliveProbes,
      userTimeout: tcp.effectiveUserTimeout)
    loop.liveness = liveness
    roundsToAdjustment = 0
    for listener in listeners { listener.apply(liveness) }
  }

  /// Puts other settings into force. Exchanges that have begun keep theirs. Upstream connections that were made under
  /// earlier settings, perhaps to another server, are not used again.
  private func apply(_ configuration: ConfigurationSnapshot) {
    self.configuration = configuration
    applyLiveness()
    recording.decoder.scans.bodyBudget = configuration.settings.limits.inspectedBodyBytes
    requestMemory.limit = configuration.settings.buffers.waitingRequestsBytes
    upstreams.apply(configuration)
    headCaches.invalidate()
    headCaches = HeadCaches()
    origins.apply(configuration.identityRules)
    updateAccepting()
  }

  // MARK: The end

  private func handle(_ command: WorkerCommand) {
    switch command {
    case .apply(let configuration): apply(configuration)
    // An exchange that has ended meanwhile has released the permit.
    case .permitAdmitted(let waiter): waiting.removeValue(forKey: waiter)?.permitAdmitted()
    case .drain(let until): drain(until: until)
    case .shutDown: shutDown()
    case .reportOpenExchanges(let round): reportOpenExchanges(OpenReport(round: round, clients: clients.all))
    case .continueReport: if let openReport { reportOpenExchanges(openReport) }
    }
  }

  /// Asks a few clients for the record of their exchange, and goes on once other events have had their turn.
  private func reportOpenExchanges(_ report: OpenReport) {
    var report = report
    openReport = nil
    guard report.readShare() else {
      return proxy.openRecords.answer(report.records, round: report.round, worker: number)
    }
    openReport = report
    mailbox?.post(.continueReport)
  }

  private func drain(until: Instant) {
    guard !isDraining else { return }
    isDraining = true
    drainUntil = until
    upstreams.stopKeepingConnections()
    // Clients that completed their handshake are accepted before the listeners close; their next request is their last.
    for listener in listeners { listener.close { [unowned self] in finishIfDone() } }
    // Connections that have been idle for long are closed now, the others are told to close with their next response.
    checkDeadlines()
    finishIfDone()
  }

  private func shutDown() {
    drain(until: .now())
    for listener in listeners { listener.close() }
    for client in clients.all { client.shutDown() }
    finishIfDone()
  }

  /// Closes everything that keeps the loop running, once no client is left and none can come.
  private func finishIfDone() {
    guard isDraining, clients.count == 0, listeners.allSatisfy(\.isClosed) else { return }
    drainUntil = nil
    sweep?.close()
    sweep = nil
    recording.decoder.close()
    mailbox?.close()
    mailbox = nil
    openReport = nil
    proxy.openRecords.ended(worker: number)
    upstreams.close()
  }
}
