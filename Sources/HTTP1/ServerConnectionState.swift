// What a server's HTTP/1 connection does next: a value that decides, without a socket or a clock.
import Clocks

/// The phases of a server's connection, and what leads from one to the next.
///
/// One request is under way at a time. The next one is read once the reply to the one before it has been sent; bytes that
/// come earlier are pipelined.
public struct ServerConnectionState: Sendable {
  /// How a connection is closed once everything is sent.
  public enum Closing: Hashable, Sendable {
    /// Our side ends, and what the client still sends is discarded for a while: closing over unread bytes would reset the
    /// connection, and the client could lose the reply (RFC 9112 §9.6).
    case lingering
    /// At once.
    case plain
    /// With a reset, so that the client cannot take a truncated reply for a whole one.
    case reset
  }

  /// What follows a reply.
  public enum ReplyEnding: Hashable, Sendable {
    /// The next request.
    case keepAlive
    /// The connection's end, once everything is sent.
    case close(Closing)
  }

  /// Where a connection is.
  public enum Phase: Hashable, Sendable {
    /// The owner reads the bytes itself: no request is read yet.
    case prelude
    /// Between two requests.
    case idle
    /// A request's head is being read. Its time counts from when its first byte was parsed.
    case head(since: Instant)
    /// A request is under way, and its body is being read.
    case body
    /// The request is complete, and its reply is being made.
    case reply
    /// The reply is complete, and not all of it has been sent.
    case flushing
    /// The connection is closed once everything is sent.
    case closing(Closing)
    /// Our side has ended. What the client sends is discarded until this instant.
    case lingering(until: Instant)
    case closed
  }

  /// What is done with bytes that were read.
  public enum ReadAction: Hashable, Sendable {
    case passToOwner
    case parse
    /// They wait until the request under way has its reply.
    case pipeline
    case discard
    /// Discard them, and close at once: enough were discarded.
    case close
  }

  /// What is to be done.
  public enum Action: Hashable, Sendable {
    case none
    /// Read the next request.
    case readNext
    /// End our side, discard what is read, and call `lingerBegan`.
    case linger
    case close(reset: Bool)
    /// Tell the owner that the client has left; it closes the connection.
    case reportLostClient
    /// Tell the owner, and close.
    case reportLostClientAndClose
  }

  /// Where the connection is.
  public private(set) var phase: Phase
  /// When the client last sent bytes, or took bytes of a reply.
  public private(set) var activeAt: Instant
  /// Whether the client has ended its side and is still answered.
  public private(set) var hasClientEnded = false
  /// Whether the last request was read whole, and nothing came behind it.
  public private(set) var isClientSilent = false
  /// Whether a client that ends its side behind a complete request is still answered.
  var answersHalfClosed: Bool

  /// A connection that was accepted at `at`.
  public init(at: Instant, answersHalfClosed: Bool = false, hasPrelude: Bool = false) {
    activeAt = at
    self.answersHalfClosed = answersHalfClosed
    phase = hasPrelude ? .prelude : .idle
  }

  // MARK: Requests

  /// Whether the next bytes belong to a head.
  public var awaitsHead: Bool {
    switch phase {
    case .idle, .head: true
    default: false
    }
  }

  /// Whether bytes are parsed as they come.
  var readsRequests: Bool {
    switch phase {
    case .idle, .head, .body: true
    default: false
    }
  }

  /// Bytes were read.
  public mutating func bytesRead(at: Instant) -> ReadAction {
    switch phase {
    case .prelude: return .passToOwner
    case .idle, .head, .body:
      activeAt = at
      return .parse
    case .reply, .flushing:
      activeAt = at
      return .pipeline
    case .lingering(let until):
      activeAt = at
      return at < until ? .discard : .close
    case .closing, .closed: return .discard
    }
  }

  /// The owner reads what comes next itself.
  public mutating func preludeBegan() {
    guard phase == .idle || phase == .prelude else { return illegal("a prelude") }
    phase = .prelude
  }

  /// The owner has read what comes before the requests.
  public mutating func preludeEnded() {
    guard case .prelude = phase else { return illegal("a prelude's end") }
    phase = .idle
  }

  /// The parser begins a request.
  public mutating func headBegan(at: Instant) {
    guard case .idle = phase else { return }
    phase = .head(since: at)
  }

  /// All bytes since `headBegan` were empty lines, which belong to no request (RFC 9112 §2.2).
  public mutating func headNotBegun() {
    guard case .head = phase else { return illegal("a head taken back") }
    phase = .idle
  }

  /// The head is complete and valid.
  public mutating func headCompleted() {
    guard case .head = phase else { return illegal("a head") }
    phase = .body
  }

  /// The request is complete.
  public mutating func requestCompleted() {
    guard case .body = phase else { return illegal("a request's end") }
    phase = .reply
  }

  // MARK: Replies

  /// The reply is complete, or there will be none.
  /// - Parameters:
  ///   - queued: bytes that the client's socket has not taken.
  ///   - hasPipelined: whether bytes wait behind the request.
  public mutating func replyEnded(_ ending: ReplyEnding, queued: Int, hasPipelined: Bool, at: Instant) -> Action {
    activeAt = max(activeAt, at)
    isClientSilent = phase == .reply && !hasPipelined
    switch (ending, phase) {
    case (_, .closed): return .none
    case (.keepAlive, .reply):
      phase = .flushing
      return queued == 0 ? allSent() : .none
    case (.keepAlive, _):
      illegal("a reply's end before its request's")
      return .none
    case (.close(let closing), _):
      phase = .closing(closing)
      return queued == 0 ? allSent() : .none
    }
  }

  /// The client's socket has taken bytes.
  public mutating func flushed(queued: Int, at: Instant) -> Action {
    activeAt = at
    return queued == 0 ? allSent() : .none
  }

  private mutating func allSent() -> Action {
    switch phase {
    case .flushing:
      phase = .idle
      return .readNext
    case .closing(.plain): return .close(reset: false)
    case .closing(.reset): return .close(reset: true)
    case .closing(.lingering) where hasClientEnded: return .close(reset: false)
    case .closing(.lingering): return .linger
    default: return .none
    }
  }

  /// Our side has ended; what is read until `until` is discarded.
  public mutating func lingerBegan(until: Instant, at: Instant) {
    guard case .closing(.lingering) = phase else { return illegal("lingering") }
    activeAt = at
    phase = .lingering(until: until)
  }

  // MARK: The client's end

  /// The client has ended its side.
  public mutating func clientEnded(queued: Int) -> Action {
    if answersHalfClosed, phase == .reply || phase == .flushing {
      hasClientEnded = true
      return .none
    }
    return clientLost(queued: queued)
  }

  /// All that a client sent which has ended its side is parsed: it will send no more.
  public mutating func inputExhausted() -> Action {
    hasClientEnded && readsRequests ? clientLost(queued: 0) : .none
  }

  /// Nothing more can be sent to the client, or read from it.
  public mutating func clientFailed() -> Action {
    if phase == .flushing { phase = .closing(.plain) }
    return clientLost(queued: 0)
  }

  private mutating func clientLost(queued: Int) -> Action {
    switch phase {
    case .body, .reply: return .reportLostClient
    case .prelude, .idle, .head: return .reportLostClientAndClose
    // What is still to be sent to a client that only ended its side is sent first.
    case .flushing where queued > 0:
      phase = .closing(.plain)
      return .none
    case .closing where queued > 0: return .none
    case .flushing, .closing, .lingering: return .close(reset: false)
    case .closed: return .none
    }
  }

  /// The connection was closed.
  public mutating func closed() { phase = .closed }

  // MARK: Waiting

  /// What is waited for, and since when; whoever owns the connection bounds it.
  public enum Wait: Hashable, Sendable {
    case prelude(since: Instant)
    case idle(since: Instant)
    case head(since: Instant)
    /// The request's body or its reply: both are the owner's.
    case owner
    /// The client's socket takes what is queued: since when it has taken nothing.
    case sending(since: Instant)
    /// What the client still sends is discarded: since when nothing has come, and until when at most.
    case lingering(silentSince: Instant, until: Instant)
  }

  /// What is waited for.
  public var wait: Wait {
    switch phase {
    case .prelude: .prelude(since: activeAt)
    case .idle: .idle(since: activeAt)
    case .head(let since): .head(since: since)
    case .body, .reply, .closed: .owner
    case .flushing, .closing: .sending(since: activeAt)
    case .lingering(let until): .lingering(silentSince: activeAt, until: until)
    }
  }

  private func illegal(_ event: StaticString) { assertionFailure("\(event) in phase \(phase)") }
}
