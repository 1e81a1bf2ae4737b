// A server's side of an HTTP/1 connection: requests are read one after the other, each once its predecessor has its reply.
import Clocks
import HTTP
import Transport

/// Receives the requests of a `ServerConnection`. Calls come on the loop's thread, and none after the connection was closed.
///
/// Calls for one request: `didReceive head`, `didReceiveBody` for each read, `didCompleteRequest`. The delegate may write at any
/// time from the head on, and calls `endReply` when the reply is complete.
public protocol ServerConnectionDelegate: AnyObject {
  /// Bytes were read, whatever becomes of them.
  func serverConnection(_ connection: ServerConnection, willRead byteCount: Int)
  /// Bytes came before the first request, where the options ask for a prelude. `bytes` is lent for the length of the call.
  /// - Returns: how many of them belong to the prelude, if it ends there; nil where it does not.
  func serverConnection(_ connection: ServerConnection, didReadPrelude bytes: RawSpan, at: Instant) -> Int?
  /// A request begins. The head that `bytes` begin with, if it is in a cache (`HeadCache.lookup` for the connection's parser).
  func serverConnection(_ connection: ServerConnection, cachedHeadIn bytes: RawSpan) -> RequestHead?
  /// A head was read; its body, if any, follows.
  /// - Parameter output: the connection's scratch buffer: empty when a read begins to be parsed, and emptied behind it.
  func serverConnection(
    _ connection: ServerConnection, didReceive head: RequestHead, at: Instant, into output: OutputBuffer)
  /// Body bytes were read: those at `ranges` in `bytes`. Called once more with the last of them, or with none.
  /// - Parameter output: as for `didReceive head`, which may have left bytes there in the same read.
  func serverConnection(
    _ connection: ServerConnection, didReceiveBody ranges: BodyRanges, of bytes: RawSpan, at: Instant,
    into output: OutputBuffer)
  /// The request is complete.
  /// - Parameters:
  ///   - last: the ranges that `didReceiveBody` was called with last.
  ///   - bytes: where they are.
  func serverConnection(
    _ connection: ServerConnection, didCompleteRequestWith last: BodyRanges, of bytes: RawSpan, at: Instant)
  /// What was read is not HTTP/1.1, or breaks a limit. `endReply` has to follow, after a reply or without one; no more is read.
  func serverConnection(_ connection: ServerConnection, didFailWith error: HTTPParseError)
  /// More bytes came behind a request than are kept, and reading has paused.
  func serverConnectionDidPausePipelining(_ connection: ServerConnection)
  /// The client's socket has taken bytes.
  func serverConnectionDidFlush(_ connection: ServerConnection)
  /// The client has left. Where a request is under way, `close` has to follow.
  func serverConnectionDidLoseClient(_ connection: ServerConnection)
  /// The client has ended its side behind its request, which is answered all the same (`answersHalfClosed`).
  func serverConnectionClientDidEndSide(_ connection: ServerConnection)
  /// Our side ends: what the client still sends is discarded.
  /// - Returns: for how long at most, in nanoseconds. The owner closes earlier where nothing comes (`wait`).
  func serverConnectionWillLinger(_ connection: ServerConnection) -> Int64
  /// The connection was closed; nothing follows.
  func serverConnectionDidClose(_ connection: ServerConnection)
}

extension ServerConnectionDelegate {
  /// Does nothing.
  public func serverConnection(_ connection: ServerConnection, willRead byteCount: Int) {}
  /// There is no prelude.
  public func serverConnection(_ connection: ServerConnection, didReadPrelude bytes: RawSpan, at: Instant) -> Int? { 0 }
  /// There is no cache.
  public func serverConnection(_ connection: ServerConnection, cachedHeadIn bytes: RawSpan) -> RequestHead? { nil }
  /// Does nothing.
  public func serverConnectionDidPausePipelining(_ connection: ServerConnection) {}
  /// Does nothing.
  public func serverConnectionClientDidEndSide(_ connection: ServerConnection) {}
  /// Does nothing.
  public func serverConnectionDidFlush(_ connection: ServerConnection) {}
  /// Two seconds.
  public func serverConnectionWillLinger(_ connection: ServerConnection) -> Int64 { 2_000_000_000 }
}

/// One connection of a server, confined to its loop's thread.
///
/// It has no timer: whoever owns it looks at `wait` now and then, and closes what has waited too long.
public final class ServerConnection: StreamDelegate {
  /// What may differ between servers.
  public struct Options: Sendable {
    /// Sizes beyond which a request is refused.
    public var limits: HTTPLimits
    /// Whether a client that ends its side (FIN) behind a complete request is still answered. Otherwise it has left.
    public var answersHalfClosed = false
    /// Whether the delegate reads what comes before the first request.
    public var hasPrelude = false
    /// Whether a request target may have any byte but control bytes and spaces.
    public var acceptsAnyTarget = true

    /// Options of a server that has no prelude, and that a client which ends its side has left.
    public init(limits: HTTPLimits) { self.limits = limits }
  }

  /// The client's stream. The delegate may write to it directly.
  public let stream: any ByteStream
  /// Reads the requests.
  public let parser: MessageParser
  private var options: Options
  private let ranges: BodyRanges
  private let output: OutputBuffer
  /// Our own name in `Via`: a request that has it already is refused. It may change between two requests.
  public var pseudonym: String? {
    get { refusedVia }
    set { refusedVia = newValue }
  }
  /// When the first byte of the present request was read; nil between two requests.
  public var receivedAt: Instant? { requestBeganAt }
  // Private, and so not checked for exclusive access at run time, as what other modules see is.
  private var refusedVia: String?
  private var requestBeganAt: Instant?
  private var receiver: (any ServerConnectionDelegate)?
  private var state: ServerConnectionState
  private var pipelined = PipelinedBytes()
  /// What the connection has failed with; nil where the client has ended it, if it has.
  public private(set) var clientError: TransportError?
  private var isParsing = false

  /// A connection over a stream that was just accepted. Nothing is read before `start`.
  /// - Parameters:
  ///   - ranges: scratch memory for the places of body bytes; one list serves all connections of a thread.
  ///   - output: scratch memory for the delegate; one buffer serves all connections of a thread.
  public init(_ stream: any ByteStream, _ options: Options, ranges: BodyRanges, output: OutputBuffer) {
    self.ranges = ranges
    self.output = output
    self.stream = stream
    self.options = options
    parser = MessageParser(.request, limits: options.limits)
    parser.acceptsAnyTarget = options.acceptsAnyTarget
    state = ServerConnectionState(
      at: .now(), answersHalfClosed: options.answersHalfClosed, hasPrelude: options.hasPrelude)
  }

  /// Begins to read. The delegate is retained until the connection is closed.
  public func start(_ delegate: any ServerConnectionDelegate) {
    receiver = delegate
    // Behind the client's FIN nothing else tells that it has gone.
    if options.answersHalfClosed { stream.detectsReset = true }
    stream.delegate = self
    stream.startReading()
  }

  /// The delegate reads what comes next itself, as before the first request. Only while no byte of a request has come.
  public func beginPrelude() { state.preludeBegan() }

  /// Uses other options for the next request. Only while no byte of it has come.
  public func adopt(_ options: Options) {
    self.options = options
    parser.limits = options.limits
    parser.acceptsAnyTarget = options.acceptsAnyTarget
    state.answersHalfClosed = options.answersHalfClosed
    stream.detectsReset = options.answersHalfClosed
  }

  // MARK: What the owner asks

  /// What is waited for, and since when.
  public var wait: ServerConnectionState.Wait { state.wait }
  /// When the client last sent bytes of a request, or took bytes of a reply.
  public var activeAt: Instant { state.activeAt }
  /// Whether the last request was read whole, and nothing came behind it.
  public var isClientSilent: Bool { state.isClientSilent }
  /// Whether bytes of a request have come that has no complete head yet.
  public var isReadingHead: Bool { if case .head = state.phase { true } else { false } }
  /// Whether the connection is closed once everything is sent, or the rest of it is discarded.
  public var isClosing: Bool {
    switch state.phase {
    case .closing, .lingering, .closed: true
    default: false
    }
  }

  // MARK: Replies

  /// Sends bytes.
  /// - Returns: whether the client's socket has taken all bytes so far.
  @discardableResult
  public func write(_ bytes: RawSpan) -> Bool { stream.write(bytes) }

  /// Sends an array.
  /// - Returns: whether the client's socket has taken all bytes so far.
  @discardableResult
  public func write(_ bytes: [UInt8]) -> Bool { unsafe bytes.withUnsafeBytes { unsafe stream.write($0.bytes) } }

  /// The reply is complete, or there will be none: the next request is read, or the connection is closed, once everything is
  /// sent. It may be called from within the delegate's own calls.
  public func endReply(_ ending: ServerConnectionState.ReplyEnding) {
    if case .close = ending, !stream.isClosed { stream.startReading() }
    perform(state.replyEnded(ending, queued: stream.queuedBytes, hasPipelined: !pipelined.isEmpty, at: .now()))
  }

  /// Stops reading the request's body: what the client sends waits, and so does the client in the end. Where a client that
  /// ends its side has left, its end is still reported.
  public func pauseReading() { stream.pauseReading(detectingClose: !options.answersHalfClosed) }

  /// Reads on.
  public func resumeReading() { if !stream.isClosed { stream.startReading() } }

  /// Gives up the stream, for another protocol: with what came behind the request, and whether the client has ended its side.
  /// The owner sets the stream's delegate, and calls `close` in the end.
  public func handOver() -> (stream: any ByteStream, pipelined: [UInt8], hasClientEnded: Bool) {
    defer { pipelined = PipelinedBytes() }
    return (stream, pipelined.bytes, state.hasClientEnded)
  }

  /// Closes at once: what is queued is dropped. Safe to call twice.
  /// - Parameter reset: whether the client sees a reset in place of an end.
  public func close(reset: Bool = false) {
    guard state.phase != .closed else { return }
    state.closed()
    stream.close(reset: reset)
    let delegate = receiver
    receiver = nil
    delegate?.serverConnectionDidClose(self)
  }

  private func perform(_ action: ServerConnectionState.Action) {
    switch action {
    case .none: return
    case .readNext:
      parser.reset()
      requestBeganAt = nil
      stream.startReading()
      parsePipelined()
    case .linger:
      stream.shutdownWriting()
      let nanoseconds = receiver?.serverConnectionWillLinger(self) ?? 0
      let now = Instant.now()
      state.lingerBegan(until: now.advanced(byNanoseconds: nanoseconds), at: now)
    case .close(let reset): close(reset: reset)
    case .reportLostClient: receiver?.serverConnectionDidLoseClient(self)
    case .reportLostClientAndClose:
      receiver?.serverConnectionDidLoseClient(self)
      close()
    }
  }

  // MARK: Reading

  /// Reads requests.
  public func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival) {
    receiver?.serverConnection(self, willRead: bytes.byteCount)
    switch state.bytesRead(at: arrival.readAt) {
    case .parse where isParsing: append(bytes, at: arrival.readAt)
    case .parse:
      parse(bytes, at: arrival.readAt)
      parsePipelined()
    case .pipeline: append(bytes, at: arrival.readAt)
    case .passToOwner: readPrelude(bytes, at: arrival.readAt)
    case .discard: return
    case .close: close()
    }
  }

  private func readPrelude(_ bytes: RawSpan, at: Instant) {
    guard let count = receiver?.serverConnection(self, didReadPrelude: bytes, at: at),
      case .prelude = state.phase
    else { return }
    state.preludeEnded()
    guard count < bytes.byteCount else { return }
    _ = state.bytesRead(at: at)
    parse(bytes.extracting(count..<bytes.byteCount), at: at)
    parsePipelined()
  }

  private func append(_ bytes: RawSpan, at: Instant) {
    // It grows outside of the property: a change in place would be checked for exclusive access at each use.
    var grown = pipelined
    pipelined = PipelinedBytes()
    grown.append(bytes, at: at)
    pipelined = grown
    guard grown.isFull else { return }
    pauseReading()
    receiver?.serverConnectionDidPausePipelining(self)
  }

  /// Parses the requests that came behind the one that has its reply: a loop and no recursion, however many there are.
  private func parsePipelined() {
    guard !isParsing else { return }
    while state.readsRequests, !pipelined.isEmpty {
      let taken = pipelined
      pipelined = PipelinedBytes()
      unsafe taken.bytes.withUnsafeBytes { unsafe parse($0.bytes, at: .now(), from: taken) }
    }
    perform(state.inputExhausted())
  }

  /// - Parameter waited: what `bytes` are of, where they were pipelined.
  private func parse(_ bytes: RawSpan, at: Instant, from waited: PipelinedBytes? = nil) {
    guard let delegate = receiver else { return }
    isParsing = true
    defer {
      isParsing = false
      // Nothing of one request, such as a credential in its head, is there for the next.
      output.removeAll()
    }
    if state.awaitsHead, requestBeganAt == nil {
      requestBeganAt = waited?.firstAt ?? at
      state.headBegan(at: at)
    }
    var rest = bytes
    if state.awaitsHead, parser.isBetweenMessages,
      let head = delegate.serverConnection(self, cachedHeadIn: rest)
    {
      rest = rest.extracting(head.fields.bytes.count..<rest.byteCount)
      guard receive(head, delegate, at: at) else { return }
    }
    while true {
      let (consumed, progress) = parser.parse(rest, into: ranges)
      switch progress {
      case .needsMore:
        if state.phase == .body {
          delegate.serverConnection(self, didReceiveBody: ranges, of: rest, at: at, into: output)
        } else if !parser.hasBegun {
          requestBeganAt = nil
          state.headNotBegun()
        }
        return
      case .headComplete:
        rest = rest.extracting(consumed..<rest.byteCount)
        guard receiveHead(delegate, at: at) else { return }
      case .messageComplete:
        let last = rest.extracting(0..<consumed)
        delegate.serverConnection(self, didReceiveBody: ranges, of: last, at: at, into: output)
        // The delegate may have refused the body.
        guard state.phase == .body else { return }
        let behind = rest.extracting(consumed..<rest.byteCount)
        if let waited {
          pipelined = waited.dropping(bytes.byteCount - behind.byteCount)
        } else if !behind.isEmpty {
          append(behind, at: at)
        }
        state.requestCompleted()
        delegate.serverConnection(self, didCompleteRequestWith: ranges, of: last, at: at)
        return
      case .failed(let error):
        return delegate.serverConnection(self, didFailWith: error)
      }
    }
  }

  /// - Returns: whether the request is to be read on.
  private func receiveHead(_ delegate: any ServerConnectionDelegate, at: Instant) -> Bool {
    do throws(HTTPParseError) {
      return receive(try RequestHead(parser, refusingVia: refusedVia), delegate, at: at)
    } catch {
      delegate.serverConnection(self, didFailWith: error)
      return false
    }
  }

  private func receive(_ head: RequestHead, _ delegate: any ServerConnectionDelegate, at: Instant) -> Bool {
    state.headCompleted()
    delegate.serverConnection(self, didReceive: head, at: at, into: output)
    // The delegate may have replied already, and wants no more of the request.
    return state.phase == .body
  }

  // MARK: The rest of the stream's life

  /// Does nothing: the stream was accepted.
  public func streamDidConnect(_ stream: any ByteStream) {}

  /// The socket has taken bytes.
  public func streamDidFlush(_ stream: any ByteStream) {
    receiver?.serverConnectionDidFlush(self)
    perform(state.flushed(queued: stream.queuedBytes, at: .now()))
  }

  /// The client has ended its side.
  public func streamDidEnd(_ stream: any ByteStream) {
    perform(state.clientEnded(queued: stream.queuedBytes))
    if state.hasClientEnded { receiver?.serverConnectionClientDidEndSide(self) }
  }

  /// The connection has failed.
  public func streamDidFail(_ stream: any ByteStream, _ error: TransportError) {
    clientError = error
    perform(state.clientFailed())
  }
}
