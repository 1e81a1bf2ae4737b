// An LLM server without a model: which reply writes, and when.
import Clocks
import HTTP
import HTTP1
import JSON
import Transport

/// Where a simulator listens and how it behaves.
public struct SimulatorOptions {
  /// The address; port 0 takes any free one.
  public var listen: SocketAddress
  /// How replies behave where a request does not say.
  public var behaviour: Behaviour
  /// The seed of everything that is random.
  public var seed: UInt64 = 1
  /// The file for the truth, if it is written.
  public var truthPath: String?
  /// How many requests are replied to at a time; the others wait in order. No limit if nil.
  public var slots: Int?

  /// Makes options.
  public init(listen: SocketAddress, behaviour: Behaviour) {
    self.listen = listen
    self.behaviour = behaviour
  }
}

/// The simulated server, confined to one thread.
public final class Simulator {
  /// Bytes that may be queued for a slow client before its stream pauses.
  private static let highWatermark = 256 * 1024

  /// The address listened on, with the real port.
  public var address: SocketAddress { listener.address }

  /// Called once if the truth cannot be written any more; the simulator goes on.
  public var onTruthLost: ((SimulatorError) -> Void)?

  let ranges = BodyRanges()
  let output = OutputBuffer()
  /// The requests of one client are much alike.
  let headCache = HeadCache<RequestHead, Void>()
  private let loop: EventLoop
  private let listener: Listener
  private let options: SimulatorOptions
  private let truth: TruthFile?
  private let jsonParser = JSONParser()
  private let scratch = ReplyScratch()
  private let anchor = WallAnchor.now()
  private var timer: Timer?
  /// Closes connections whose last reply was sent long enough ago.
  private var sweep: Timer?
  private var armedAt: Instant?
  private var connections: [ObjectIdentifier: SimulatorConnection] = [:]
  private var deadlines = DeadlineQueue<ActiveReply>()
  /// Replies without pauses: each writes one event in a turn of the loop, so that none starves another.
  private var flood: [ActiveReply] = []
  private var floodNow: [ActiveReply] = []
  private var waiting: [ActiveReply] = []
  private var isStopping = false
  private var counts = Counts()

  private struct Counts {
    var requests = 0
    var active = 0
    var ended = 0
    var aborted = 0
    var tokens = 0
  }

  /// Binds; requests are served from `run` on.
  /// - Throws: `TransportError` if the address is not available, `SimulatorError` if the truth cannot be written.
  public init(loop: EventLoop, options: SimulatorOptions) throws {
    self.loop = loop
    self.options = options
    truth = try options.truthPath.map { try TruthFile(path: $0) }
    listener = try Listener(loop: loop, address: options.listen, sharesPort: false)
    timer = Timer(loop: loop) { [unowned self] in runDue() }
    sweep = Timer(loop: loop) { [unowned self] in
      let now = Instant.now()
      for connection in Array(connections.values) { connection.checkDeadline(now) }
    }
    sweep?.start(milliseconds: 1_000, repeating: 1_000)
    listener.start(
      onAccept: { [unowned self] stream in
        let connection = SimulatorConnection(stream, self)
        connections[ObjectIdentifier(connection)] = connection
        connection.start()
      },
      // No descriptor is left: the client waits in the kernel's queue and is accepted later.
      onFailure: { _ in })
  }

  /// Serves until `stop()`, then closes everything that belongs to the simulator.
  public func run() {
    while !isStopping {
      loop.runOnce(waiting: flood.isEmpty)
      if !flood.isEmpty { floodTurn() }
    }
    close()
  }

  /// Makes `run` return. On the loop's thread only.
  public func stop() { isStopping = true }

  private func close() {
    listener.close()
    timer?.close()
    timer = nil
    sweep?.close()
    sweep = nil
    for connection in Array(connections.values) { connection.stop() }
    connections = [:]
    loop.runOnce()
  }

  // MARK: Requests

  func answer(_ connection: SimulatorConnection, _ head: RequestHead, _ body: [UInt8]) {
    let completeAt = Instant.now()
    let path = head.path
    guard let dialect = Dialect(path: path) else { return answerAside(connection, head.method, path) }
    guard head.method == .post else { return refuse(connection, 405, "use POST", dialect) }
    counts.requests += 1
    var behaviour = options.behaviour
    do throws(SimulatorError) {
      try behaviour.apply(head.fields)
      var entry = TruthEntry(
        number: counts.requests, path: path, requestID: head.fields.first("x-request-id"), completeAt: completeAt)
      if let status = behaviour.status {
        entry.status = status
        entry.outcome = .status
        entry.startedAt = completeAt
        refuse(connection, status, "simulated failure", dialect)
        return finish(entry, isInTruth: behaviour.isInTruth)
      }
      let request = try CompletionRequest(dialect, body: body, parser: jsonParser)
      begin(makeReply(connection, request, behaviour, entry))
    } catch {
      refuse(connection, 400, error.description, dialect)
    }
  }

  private func makeReply(
    _ connection: SimulatorConnection, _ request: CompletionRequest, _ behaviour: Behaviour, _ entry: TruthEntry
  ) -> ActiveReply {
    let source = RandomSource(seed: options.seed, stream: UInt64(entry.number))
    let seconds = anchor.realtimeNanoseconds(at: entry.completeAt) / 1_000_000_000
    let rendering: any Rendering =
      request.dialect.isOllama
      ? OllamaRendering(request, anchor: anchor)
      : OpenAIRendering(request, behaviour, number: entry.number, createdSeconds: seconds)
    let reply = ActiveReply(
      connection, request, behaviour, script: ReplyScript(behaviour, limit: request.tokenLimit, source: source),
      rendering: rendering, truth: entry, timesWrites: truth != nil && behaviour.isInTruth, scratch: scratch)
    connection.attach(reply)
    return reply
  }

  private func refuse(_ connection: SimulatorConnection, _ status: Int, _ message: String, _ dialect: Dialect) {
    connection.writeError(status: status, isOllama: dialect.isOllama, message: message)
    connection.replyEnded(closing: false)
  }

  private func answerAside(_ connection: SimulatorConnection, _ method: Method, _ path: String) {
    let state = ServerState(
      active: counts.active, waiting: waiting.count, connections: connections.count, slots: options.slots,
      ended: counts.ended, aborted: counts.aborted, tokens: counts.tokens)
    if let body = state.page(path) {
      if method == .get || method == .head {
        connection.writeWhole(status: 200, contentType: "application/json", body: body)
      } else {
        connection.writeError(status: 405, isOllama: false, message: "use GET")
      }
    } else {
      connection.writeError(status: 404, isOllama: path.hasPrefix("/api/"), message: "no such path")
    }
    connection.replyEnded(closing: false)
  }

  // MARK: Turns

  private func begin(_ reply: ActiveReply) {
    if let slots = options.slots, counts.active >= slots {
      waiting.append(reply)
    } else {
      start(reply, at: reply.truth.completeAt)
    }
  }

  private func start(_ reply: ActiveReply, at instant: Instant) {
    counts.active += 1
    reply.begin(at: instant)
    if !reply.behaviour.neverAnswers { schedule(reply) }
  }

  private func schedule(_ reply: ActiveReply) {
    if reply.connection.stream.queuedBytes > (reply.script.isFlood ? 0 : Self.highWatermark) {
      reply.waitsForDrain = true
    } else if reply.script.isFlood, reply.nextAt <= Instant.now() {
      flood.append(reply)
    } else {
      deadlines.insert(reply, at: reply.nextAt)
      arm()
    }
  }

  /// The client has taken the queued bytes.
  func resume(_ reply: ActiveReply) {
    reply.waitsForDrain = false
    schedule(reply)
  }

  /// libuv's timers have whole milliseconds of a cached clock: what is due within half a millisecond counts as due. The
  /// deadlines themselves are absolute, so that delays do not add up.
  private func runDue() {
    armedAt = nil
    let now = Instant.now().advanced(byNanoseconds: 500_000)
    while let reply = deadlines.popDue(by: now) { step(reply) }
    arm()
  }

  private func arm() {
    guard let nextAt = deadlines.nextAt, armedAt.map({ nextAt < $0 }) ?? true else { return }
    armedAt = nextAt
    let nanoseconds = max(0, nextAt.nanoseconds(since: .now()))
    timer?.start(milliseconds: max(1, UInt64(nanoseconds + 500_000) / 1_000_000))
  }

  private func floodTurn() {
    swap(&flood, &floodNow)
    for reply in floodNow { step(reply) }
    floodNow.removeAll(keepingCapacity: true)
  }

  private func step(_ reply: ActiveReply) {
    guard !reply.isOver else { return }
    let connection = reply.connection
    switch reply.step() {
    case .pause(let nanoseconds):
      reply.nextAt = reply.nextAt.advanced(byNanoseconds: nanoseconds)
      schedule(reply)
    case .hung:
      break
    case .ended(let closing):
      end(reply)
      connection.replyEnded(closing: closing)
    case .cut(let reset):
      end(reply)
      connection.cut(reset: reset)
    }
  }

  // MARK: Ends

  /// The client of `reply` has left.
  func abort(_ reply: ActiveReply) {
    counts.aborted += 1
    reply.truth.abortedAt = .now()
    if reply.truth.outcome == .ok { reply.truth.outcome = .aborted }
    end(reply)
  }

  /// The simulator is being stopped in the middle of `reply`.
  func interrupt(_ reply: ActiveReply) {
    if reply.truth.outcome == .ok { reply.truth.outcome = .cut }
    end(reply)
  }

  private func end(_ reply: ActiveReply) {
    guard !reply.isOver else { return }
    reply.isOver = true
    if reply.hasBegun { counts.active -= 1 } else { waiting.removeAll { $0 === reply } }
    finish(reply.truth, isInTruth: reply.behaviour.isInTruth)
    while !isStopping, !waiting.isEmpty, counts.active < options.slots ?? .max {
      start(waiting.removeFirst(), at: .now())
    }
  }

  private func finish(_ entry: TruthEntry, isInTruth: Bool) {
    counts.ended += 1
    counts.tokens += entry.tokens
    guard let truth, isInTruth else { return }
    var entry = entry
    entry.endAt = .now()
    do throws(SimulatorError) { try truth.write(entry) } catch { onTruthLost?(error) }
  }

  func connectionClosed(_ connection: SimulatorConnection) {
    connections[ObjectIdentifier(connection)] = nil
  }
}
