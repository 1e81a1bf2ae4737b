// One event loop with its clients, its pool and its scratch memory: everything that one thread owns.
// It must not share anything but `Shared` with other threads.
import Clocks
import HTTPWire
import Measure
import RecordLog
import Synchronization
import TokenWire
import Transport

/// What all workers share.
final class Shared: Sendable {
  let writer: RecordWriter
  let secret: KeySecret
  /// What each worker counts, by its number.
  let counters: [Counters]
  /// Which models are counted by themselves, and all that is.
  let operations: OperationRoster
  /// Who may be at upstream.
  let gate = Gate()
  /// Connections by client.
  let tally = ClientTally()
  private let inForce: Mutex<Rules>
  private let inFlight = Atomic<Int>(0)
  private let said = Mutex<Set<Limit>>([])
  private let clients = Atomic<Int>(0)

  init(settings: ProxySettings, writer: RecordWriter, secret: KeySecret) {
    inForce = Mutex(Rules(settings))
    self.writer = writer
    self.secret = secret
    counters = (0..<max(1, settings.workers)).map { _ in Counters() }
    operations = OperationRoster(limit: settings.countedModels)
  }

  /// The settings that the workers follow, or are about to: each has its own copy, taken from its mailbox.
  var rules: Rules {
    get { inForce.withLock { $0 } }
    set { inForce.withLock { $0 = newValue } }
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

/// What a worker can be told from another thread.
enum WorkerCommand: Sendable {
  /// Accept nobody, let exchanges end until the instant, then end them.
  case drain(until: Instant)
  /// End everything now.
  case shutDown
  /// What begins from now on is held to these settings.
  case follow(Rules)
  /// The exchange that waits with this ticket has its place at upstream.
  case place(Gate.Ticket)
}

/// One worker, confined to its thread.
final class Worker {
  /// How often deadlines are looked at: they are seconds, not milliseconds.
  private static let sweepMilliseconds: UInt64 = 250

  let shared: Shared
  let counters: Counters
  let operations: OperationTally
  /// What exchanges that begin now are held to.
  private(set) var rules: Rules
  let loop: EventLoop
  private(set) var resolver: Resolver
  /// Those of earlier settings that somebody still waits for.
  private var retiredResolvers: [Resolver] = []
  /// What races for a connection may cost in descriptors.
  let spareAttempts: SpareAttempts
  /// The address whose family won a race, and when: that is asked first for a while.
  private var winner: (address: SocketAddress, at: Instant)?
  /// RFC 6555 §4.2 speaks of ten minutes; then the other family gets its chance again.
  private static let winnerNanoseconds: Int64 = 600_000_000_000
  let pool: UpstreamPool
  /// Where the last parse found body bytes; one list for all connections.
  let spans = BodySpans()
  /// What is about to be sent; filled and sent within one call.
  let output = OutputBuffer(capacity: EventLoop.readCapacity * 2)
  /// The same towards upstream.
  let uplink = OutputBuffer(capacity: EventLoop.readCapacity * 2)
  /// What has been forwarded and not yet looked at.
  let lookout = Lookout()
  let eventParser = EventParser()
  let identities: Held<IdentityReader>
  /// Heads that need not be read in full.
  private(set) var known: KnownMessages
  let ids = Held(UUIDv7Generator())
  /// What exchanges are kept in.
  let exchangeBlocks = Blocks<Exchange.Inner>(kept: 256)
  private(set) var isDraining = false

  private let listeners: [Listener]
  private var clients: [ObjectIdentifier: DownstreamConnection] = [:]
  private var sweep: Timer?
  private var mailbox: Mailbox<WorkerCommand>?
  private var drainUntil: Instant?
  private var isAcceptPaused = false
  /// Clients that are being told that there is no room for them.
  private var refusedClients = 0
  /// Exchanges that wait for a place at upstream.
  private var waiting: [Gate.Ticket: Exchange] = [:]
  /// How this worker is told of a place.
  private(set) var wake: Gate.Wake = { _ in }

  /// The settings in force.
  var settings: ProxySettings { rules.settings }

  /// Prepares to take clients from `sockets`; nothing is accepted before `run`.
  init(shared: Shared, number: Int, sockets: [ListeningSocket]) throws(TransportError) {
    self.shared = shared
    counters = shared.counters[number]
    pool = UpstreamPool(counters: counters)
    operations = OperationTally(roster: shared.operations)
    rules = shared.rules
    let settings = rules.settings
    spareAttempts = SpareAttempts(rules.budget.spareAttempts)
    loop = try EventLoop()
    resolver = Resolver(loop: loop, host: settings.upstreamHost, port: settings.upstreamPort)
    known = KnownMessages(settings)
    identities = Held(IdentityReader(headers: settings.identityHeaders, secret: shared.secret))
    var listeners: [Listener] = []
    for socket in sockets { listeners.append(try Listener(loop: loop, socket: socket)) }
    self.listeners = listeners
    heedResolver()
  }

  /// The box through which other threads reach this worker. Call it on the worker's thread, once.
  func openMailbox() throws(TransportError) -> Mailbox<WorkerCommand> {
    let mailbox = try Mailbox<WorkerCommand>(loop: loop) { [unowned self] in obey($0) }
    self.mailbox = mailbox
    wake = { mailbox.post(.place($0)) }
    return mailbox
  }

  /// Serves until drained.
  func run() {
    let sweep = Timer(loop: loop) { [unowned self] in checkDeadlines() }
    sweep.start(milliseconds: Self.sweepMilliseconds, repeating: Self.sweepMilliseconds)
    self.sweep = sweep
    lookout.begin(on: loop)
    for listener in listeners {
      listener.start(
        onAccept: { [unowned self] in accept($0) },
        onFailure: { [counters] error in
          counters.connectionsFailed.add(.downstream)
          if error.isOutOfDescriptors { counters.hit(.descriptors) }
          RecordWriter.sayOnStandardError("a client could not be accepted: \(error)")
        })
    }
    loop.run()
  }

  private func accept(_ stream: Stream) {
    let peer = stream.peer?.host ?? ""
    guard !settings.awaitsProxyHeader || settings.mayIntroduce(peer) else {
      counters.hit(.proxyHeader)
      shared.sayOnce(.proxyHeader, "closed a connection from \(peer): it is none of proxy_protocol.peers")
      return stream.close()
    }
    let client = DownstreamConnection(worker: self, stream: stream)
    clients[ObjectIdentifier(client)] = client
    counters.connectionsOpened.add(.downstream)
    if shared.takeClient(limit: rules.budget.clients) {
      client.standing.isServed = true
      // Whom a proxy speaks for is known when it has said so.
      if !rules.settings.awaitsProxyHeader { tally(client) }
    } else {
      refuse(client, .noDescriptor)
    }
    heedLimits()
  }

  /// Counts a connection of a client whose address is known; one too many is refused.
  func tally(_ client: DownstreamConnection) {
    // A peer that is trusted to name others speaks for many.
    guard let limit = rules.settings.connectionsPerClient, !rules.settings.isTrustedProxy(client.peer) else { return }
    guard shared.tally.enter(client.peer, limit: limit) else { return refuse(client, .tooManyOfOneClient) }
    client.standing.client = client.peer
  }

  private func refuse(_ client: DownstreamConnection, _ refusal: Refusal) {
    counters.hit(refusal.limit)
    discount(client)
    client.standing.isRefused = true
    refusedClients += 1
    client.refuse(refusal)
  }

  /// Gives back what a client counted as.
  private func discount(_ client: DownstreamConnection) {
    if let address = client.standing.client { shared.tally.leave(address) }
    if client.standing.isServed { shared.giveClient() }
    if client.standing.isRefused { refusedClients -= 1 }
    client.standing = DownstreamConnection.Standing()
  }

  /// Takes clients only while there is room for them.
  private func heedLimits() {
    guard !isDraining else { return }
    // Whoever waits in the kernel's queue costs nothing, and may find a place later.
    let isFull = clients.count - refusedClients >= rules.settings.connections
    let isRefusing = refusedClients >= rules.budget.refused
    guard (isFull || isRefusing) != isAcceptPaused else { return }
    isAcceptPaused.toggle()
    if isFull { counters.hit(.connections) }
    for listener in listeners {
      if isAcceptPaused { listener.pause() } else { listener.resume() }
    }
  }

  /// A client's connection has closed.
  func forget(_ client: DownstreamConnection) {
    clients.removeValue(forKey: ObjectIdentifier(client))
    counters.connectionsClosed.add(.downstream)
    discount(client)
    heedLimits()
    finishIfDone()
  }

  /// An exchange waits for a place at upstream.
  func exchangeWaits(_ exchange: Exchange, _ ticket: Gate.Ticket) { waiting[ticket] = exchange }

  /// An exchange waits no more.
  func exchangeGaveUp(_ ticket: Gate.Ticket) { waiting[ticket] = nil }

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
    pool.checkDeadlines(now, of: self)
    known.sweep()
    if let drainUntil, now >= drainUntil { shutDown() }
  }

  /// Goes over to other settings. Exchanges that have begun keep theirs; connections to upstream that were made under
  /// others, perhaps to another server, are not used again.
  private func follow(_ rules: Rules) {
    let before = self.rules
    self.rules = rules
    if rules.upstreamAuthority != before.upstreamAuthority {
      retiredResolvers = (retiredResolvers + [resolver]).filter { retired in
        if !retired.isAwaited { retired.close() }
        return retired.isAwaited
      }
      resolver = Resolver(loop: loop, host: settings.upstreamHost, port: settings.upstreamPort)
      heedResolver()
    }
    pool.closeAll()
    known.retire()
    known = KnownMessages(settings)
    identities.value = IdentityReader(headers: settings.identityHeaders, secret: shared.secret)
    shared.gate.follow(limit: settings.inFlight)
    heedLimits()
  }

  /// The addresses in the order in which they are to be tried.
  func inOrder(_ addresses: [SocketAddress]) -> [SocketAddress] {
    if let winner, Instant.now().nanoseconds(since: winner.at) > Self.winnerNanoseconds { self.winner = nil }
    return addresses.interleaved(preferring: winner?.address)
  }

  /// A connection was made there.
  func noteWinner(_ address: SocketAddress?) {
    guard let address, winner.map({ !$0.address.isOfFamily(of: address) }) ?? true else { return }
    winner = (address, .now())
  }

  /// Connections follow the server's name to where it leads.
  private func heedResolver() {
    winner = nil
    resolver.onChange = { [unowned self] in
      winner = nil
      pool.closeOutdated()
    }
  }

  // MARK: A read's way through

  // What these use belongs to the worker, which holds on to it; from elsewhere each use would be counted in and out.

  /// Sends a client what was put together.
  /// - Returns: whether its socket has taken all that it was ever sent.
  func sendOutput(to client: DownstreamConnection) -> Bool { output.withBytes { client.write($0) } }

  /// Has the body bytes that the last parse found in `bytes`, which have been sent, looked at together with others.
  func lookLater(at bytes: RawSpan, of exchange: Exchange, _ arrival: Arrival, deliveredAt: Instant?) {
    lookout.keep(exchange, arrival, deliveredAt: deliveredAt, spans, of: bytes)
  }

  /// Keeps an upstream connection after a whole exchange, which ended at `at`, for the next one.
  func keep(_ connection: consuming UpstreamConnection, at: Instant) { pool.give(connection, of: self, at: at) }

  // MARK: The end

  private func obey(_ command: WorkerCommand) {
    switch command {
    case .follow(let rules): follow(rules)
    // Whoever gave up meanwhile has given the place back.
    case .place(let ticket): waiting.removeValue(forKey: ticket)?.placeGranted()
    case .drain(let until): drain(until: until)
    case .shutDown: shutDown()
    }
  }

  private func drain(until: Instant) {
    guard !isDraining else { return }
    isDraining = true
    drainUntil = until
    pool.closeAll()
    // Clients who shook hands already are served before the door closes; what they ask now is their last.
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
    lookout.close()
    mailbox?.close()
    mailbox = nil
    pool.closeAll()
    for resolver in retiredResolvers + [resolver] { resolver.close() }
  }
}
