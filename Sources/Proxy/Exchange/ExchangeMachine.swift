// Decides everything about one exchange: an event goes in, the one thing to do about it comes out.
// It must stay a value without I/O, clock or tokens, so that every rule can be tested without a socket.
import Clocks
import HTTP
import Measurement

/// One exchange, from its request's whole head to its record.
///
/// Four parts move side by side. What a state has to remember lies in it, so that it is there in no other state.
/// ```
/// request   receiving(isPaused) ─────────────────────────────────► complete
///
/// link      none ──► waitingForPermit ──► connecting ──► open(isReused, isPaused) ──► released(isPaused)
///              └──────────────────────────►    ▲ └──── retry ────┘
///
/// response  awaitingHead(AwaitedHead) ──► receiving(Body) ──► delivering(Body) ──► ended
///                    └──► tunnelling ──────────────────────────────────────────────► ended
/// ```
/// Any of them may be cut short: then the response is `ended`, which is final. What the sockets and the clock report
/// after the end is late and answered with `none`; what only a driver that has lost count can report is a mistake, see
/// `illegal`.
///
/// Events are methods. Each says which states it is legal in, and returns the action.
struct ExchangeMachine: Sendable {
  /// What is known of the request when its head is.
  struct RequestTraits: Sendable {
    var isVersion11 = true
    /// Whether the client's connection may carry another request.
    var keepsAlive = true
    /// HEAD: the response has no body, and neither has a reply of the proxy's own.
    var isHead = false
    /// Whether the method is safe (RFC 9110 §9.2.1).
    var isSafe = false
    var framing = BodyFraming.none
    /// Whether the client waits for a 100 before it sends the body.
    var expectsContinue = false
    /// Whether the request, as it is forwarded, offers to switch protocols.
    var offersUpgrade = false
  }

  /// What the settings bound; those in force when the exchange began, or when it was admitted.
  struct Limits: Sendable {
    /// Queued bytes above which the other side is paused, and down to which it stays so.
    var highWatermark = Int.max
    var lowWatermark = Int.max
    /// Bytes that all 1xx heads together may have.
    var interimBytes = Int.max
    /// Bytes that the request's body may have; nil for any.
    var requestBodyBytes: Int?
    /// Whether an exchange needs a permit before it may connect.
    var needsPermit = false
  }

  enum Request: Equatable {
    /// More is to come; `isPaused` while upstream takes it more slowly than the client sends it.
    case receiving(isPaused: Bool)
    case complete
  }

  enum Link: Equatable {
    case none
    case waitingForPermit
    case connecting
    /// `isPaused` while the client takes the response more slowly than upstream sends it.
    case open(isReused: Bool, isPaused: Bool)
    /// Given back or closed, behind a whole response; `isPaused` until the client has caught up.
    case released(isPaused: Bool)
  }

  enum Response: Equatable {
    case awaitingHead(AwaitedHead)
    case receiving(Body)
    /// All of it has come and was written to the client's socket, which has not taken all of it.
    case delivering(Body)
    /// A 101 was passed on: what follows is the tunnel's.
    case tunnelling
    case ended
  }

  struct AwaitedHead: Equatable, Sendable {
    /// Whether the request may be sent a second time: it is safe, has no body, and nothing has come back for it.
    var mayRetry: Bool
    /// Whether the client asked for a 100 that has not come.
    var awaitsContinue: Bool
    /// Bytes of the 1xx heads so far.
    var interimBytes = 0
    /// When the first byte of the next head came; nil before.
    var startedAt: Instant?
  }

  struct Body: Equatable, Sendable {
    /// How the body is framed for the client.
    var framing: BodyFraming
    /// Whether upstream ends it by closing its connection.
    var isCloseDelimited: Bool
    /// Whether nothing of the request is against giving upstream's connection another exchange after this body.
    var reusesUpstream: Bool
    /// Whether the client was told that its connection ends with this response.
    var closesClient: Bool
  }

  // What is read for each token comes first.
  private(set) var response: Response
  private(set) var link = Link.none
  private(set) var request = Request.receiving(isPaused: false)
  let traits: RequestTraits
  private(set) var limits: Limits

  init(_ traits: RequestTraits, limits: Limits) {
    self.traits = traits
    self.limits = limits
    response = .awaitingHead(
      AwaitedHead(mayRetry: traits.isSafe && traits.framing.isEmpty, awaitsContinue: traits.expectsContinue))
  }

  // MARK: What the driver asks

  var isRequestComplete: Bool { request == .complete }
  /// Whether the request's head is kept, since it may have to be sent again.
  var mayRetry: Bool { if case .awaitingHead(let head) = response { head.mayRetry } else { false } }
  /// Whether upstream's connection is open; what comes of the request before waits in the request buffer.
  var isConnected: Bool { if case .open = link { true } else { false } }
  /// Whether an upstream connection is still to come.
  var awaitsConnection: Bool {
    switch link {
    case .none, .waitingForPermit, .connecting: response != .ended
    case .open, .released: false
    }
  }
  /// How the response's body is framed for the client; nil before the final head, and once the body is whole.
  var bodyFraming: BodyFraming? { if case .receiving(let body) = response { body.framing } else { nil } }
  /// Whether the final head of the response is still to come.
  var awaitsHead: Bool { if case .awaitingHead = response { true } else { false } }
  /// When the first byte of the awaited head came.
  var headStartedAt: Instant? { if case .awaitingHead(let head) = response { head.startedAt } else { nil } }
  var isTunnelling: Bool { response == .tunnelling }
  var isEnded: Bool { response == .ended }

  /// What an exchange waits for, as far as a deadline may end the wait.
  enum Wait: Equatable {
    case permit
    case connection
    case requestBody
    case responseHead(startedAt: Instant?)
    case responseBody
    /// For nothing that upstream or the request owes: at most for the client's socket.
    case nothing
  }

  /// What the exchange waits for now.
  var wait: Wait {
    switch link {
    case .waitingForPermit: return .permit
    case .connecting: return .connection
    case .none, .open, .released: break
    }
    if request != .complete { return .requestBody }
    switch response {
    case .awaitingHead(let head): return .responseHead(startedAt: head.startedAt)
    case .receiving:
      if case .open(_, isPaused: true) = link { return .nothing }
      return .responseBody
    case .delivering, .tunnelling, .ended: return .nothing
    }
  }

  // MARK: The request

  /// The exchange begins. Legal once, first.
  mutating func begin() -> ExchangeAction {
    guard link == .none, awaitsHead else { return illegal("begin") }
    if case .length(let bytes) = traits.framing, let error = tooLarge(bytes) { return .refuseRequest(error) }
    guard limits.needsPermit else { return connect() }
    // A permit is for what the server can work on: who only begins an upload takes no place from the others.
    return traits.framing.isEmpty || traits.expectsContinue ? .acquirePermit : .none
  }

  /// Whether the exchange has yet to ask for the permit that it needs.
  private var defersPermit: Bool { link == .none && limits.needsPermit && !isEnded }

  /// Bytes of the request's body have come, `total` with those before them; before they are sent on.
  /// Legal until the request is complete. A body with a length was judged by its head.
  mutating func requestBytes(total: Int) -> ExchangeAction {
    guard request != .complete else { return illegal("request bytes") }
    if traits.framing == .chunked, let error = tooLarge(UInt64(total)) { return .refuseRequest(error) }
    return .none
  }

  private func tooLarge(_ bytes: UInt64) -> HTTPParseError? {
    guard let limit = limits.requestBodyBytes, bytes > UInt64(limit) else { return nil }
    return HTTPParseError(.bodyTooLarge, "request body larger than \(limit) bytes")
  }

  /// Bytes of the request were sent on, and `queued` of them wait: for the socket, or for a connection.
  /// Legal until the request is complete.
  mutating func requestForwarded(queued: Int) -> ExchangeAction {
    guard case .receiving(let isPaused) = request else { return illegal("request bytes") }
    guard !isPaused, queued > limits.highWatermark else { return .none }
    // No more of it is kept: the rest has to stream, and the client is paused with the next read.
    if defersPermit { return .acquirePermit }
    request = .receiving(isPaused: true)
    return .pauseUpload
  }

  /// The whole request has come in, and was sent on. Legal once.
  @discardableResult
  mutating func requestCompleted() -> ExchangeAction {
    guard request != .complete else { return illegal("the request's end") }
    request = .complete
    return defersPermit ? .acquirePermit : .none
  }

  /// Upstream's socket took bytes of the request; `queued` wait. Legal always.
  mutating func upstreamFlushed(queued: Int) -> ExchangeAction {
    // Once the request is complete, what the client sends next is none of this exchange's.
    guard request == .receiving(isPaused: true), isConnected, queued <= limits.lowWatermark, !isEnded else {
      return .none
    }
    request = .receiving(isPaused: false)
    return .resumeUpload
  }

  // MARK: The way to upstream

  /// A permit was there at once. Legal behind `acquirePermit`.
  mutating func permitGranted() -> ExchangeAction {
    guard link == .none, awaitsHead else { return illegal("a permit") }
    return connect()
  }

  /// All permits are taken: the exchange waits for one. Legal behind `acquirePermit`.
  mutating func permitQueued() {
    guard link == .none, awaitsHead else { return _ = illegal("a wait for a permit") }
    link = .waitingForPermit
  }

  /// All permits are taken, and as many exchanges wait as may. Legal behind `acquirePermit`.
  mutating func permitRefused() -> ExchangeAction {
    guard link == .none, awaitsHead else { return illegal("a refused permit") }
    return replyOrTruncate(.rejected, .connecting, ExchangeFailure(.queueFull, "too many requests wait for the server"))
  }

  /// Its turn has come. Legal while waiting for a permit.
  /// - Parameter limits: those of the settings that are in force now.
  mutating func permitAdmitted(_ limits: Limits) -> ExchangeAction {
    guard link == .waitingForPermit, awaitsHead else { return illegal("an admission") }
    self.limits = limits
    return connect()
  }

  /// What waits of the request has to make room for others. Legal until there is a connection.
  mutating func memoryRefused() -> ExchangeAction {
    guard awaitsConnection else { return illegal("a refusal for memory") }
    let detail =
      isRequestComplete
      ? "the requests that wait for the server take too much memory"
      : "the requests that wait for the server take too much memory, and this one has been coming in for longest"
    return replyOrTruncate(.rejected, stage(ResponseProgress()), ExchangeFailure(.waitingRequestsFull, detail))
  }

  private mutating func connect() -> ExchangeAction {
    link = .connecting
    // A connection that may become a tunnel never carries anything else.
    return .connect(fresh: traits.offersUpgrade)
  }

  /// An upstream connection is open; `isReused` where it came from the pool. Legal while connecting.
  mutating func connected(isReused: Bool) -> ExchangeAction {
    guard link == .connecting, awaitsHead else { return illegal("a connection") }
    link = .open(isReused: isReused, isPaused: false)
    return .sendBufferedRequest
  }

  // MARK: What the other files change

  /// For the events of the response and of the end, in files of their own.
  mutating func move(to response: Response) { self.response = response }
  mutating func move(to link: Link) { self.link = link }
  mutating func adopt(_ limits: Limits) { self.limits = limits }

  /// An event that no order of what sockets, clock and client do can bring about here: the driver is wrong. Debug
  /// builds stop; others go on as if nothing had happened, since the exchange's own deadlines still end it.
  func illegal(_ event: StaticString) -> ExchangeAction {
    assertionFailure("ExchangeMachine: \(event) at request \(request), link \(link), response \(response)")
    return .none
  }
}
