// A client's side of an HTTP/1 connection: one exchange after the other over one stream.
import Clocks
import HTTP
import Transport

/// Receives the responses of a `ClientConnection`. Calls come on the loop's thread, and none after `close`.
///
/// `output` is the connection's scratch buffer: empty when a read begins to be parsed, and emptied behind it.
public protocol ClientConnectionDelegate: AnyObject {
  /// Bytes were read. Where an exchange is under way, `didReceive head`, if there is a head in them, and `didReadBody` follow.
  func clientConnection(_ connection: ClientConnection, willRead byteCount: Int, _ arrival: Arrival)
  /// A head is awaited. The head that `bytes` begin with, if it is in a cache (`HeadCache.lookup` for the connection's parser).
  func clientConnection(_ connection: ClientConnection, cachedHeadIn bytes: RawSpan) -> ResponseHead?
  /// A head was received: a 1xx, or the final one, which its body follows.
  /// - Throws: `HTTPParseError` where the response is refused; `didReadBody` follows with this error.
  func clientConnection(
    _ connection: ClientConnection, didReceive head: ResponseHead, _ arrival: Arrival, into output: OutputBuffer
  ) throws(HTTPParseError)
  /// The message that a 1xx is has ended, and another head is awaited.
  /// - Parameter isNextBegun: whether bytes of that head came in the same read.
  func clientConnectionDidCompleteInterim(_ connection: ClientConnection, isNextBegun: Bool, _ arrival: Arrival)
  /// One read is parsed to its end. The body bytes in it are those at `ranges` in `bytes`.
  func clientConnection(
    _ connection: ClientConnection, didReadBody ranges: BodyRanges, of bytes: RawSpan,
    _ outcome: ClientConnection.ReadOutcome, _ arrival: Arrival, into output: OutputBuffer)
  /// The stream carries another protocol; `bytes` came behind the head that said so.
  func clientConnection(
    _ connection: ClientConnection, didSwitchProtocolsWith bytes: RawSpan, _ arrival: Arrival,
    into output: OutputBuffer)
  /// The socket has taken bytes.
  func clientConnectionDidFlush(_ connection: ClientConnection)
  /// The server has ended its side.
  func clientConnection(_ connection: ClientConnection, serverDidEnd end: ClientConnectionState.ServerEnd)
  /// The connection failed, or was not made.
  func clientConnection(_ connection: ClientConnection, didFailWith error: TransportError)
  /// Bytes came while no exchange was under way: the connection is of no more use.
  func clientConnectionDidReadUnexpectedly(_ connection: ClientConnection)
}

extension ClientConnectionDelegate {
  /// Does nothing.
  public func clientConnection(_ connection: ClientConnection, willRead byteCount: Int, _ arrival: Arrival) {}
  /// There is no cache.
  public func clientConnection(_ connection: ClientConnection, cachedHeadIn bytes: RawSpan) -> ResponseHead? { nil }
  /// Does nothing.
  public func clientConnectionDidCompleteInterim(
    _ connection: ClientConnection, isNextBegun: Bool, _ arrival: Arrival
  ) {}
  /// Does nothing.
  public func clientConnection(
    _ connection: ClientConnection, didSwitchProtocolsWith bytes: RawSpan, _ arrival: Arrival,
    into output: OutputBuffer
  ) {}
  /// Does nothing.
  public func clientConnectionDidFlush(_ connection: ClientConnection) {}
}

/// One connection of a client, confined to its loop's thread. It does not connect: its owner gives it a stream.
public final class ClientConnection: StreamDelegate {
  /// How far one read led.
  public enum ReadOutcome: Hashable, Sendable {
    /// More of the response follows.
    case partial
    /// The response is complete.
    case complete
    /// The bytes behind the body ranges are not HTTP/1.1, break a limit, or are refused by the delegate.
    case failed(HTTPParseError)
  }

  // What each read touches stands first.
  private var receiver: (any ClientConnectionDelegate)?
  /// Reads the responses.
  public let parser: MessageParser
  private var state = ClientConnectionState()
  private let ranges: BodyRanges
  private let output: OutputBuffer
  /// The server's stream. The owner may write to it directly.
  public let stream: any ByteStream
  private var answersHead = false

  /// A connection over a stream that is open, or being opened. Nothing is read before `start`.
  /// - Parameters:
  ///   - ranges: scratch memory for the places of body bytes; one list serves all connections of a thread.
  ///   - output: scratch memory for the delegate; one buffer serves all connections of a thread.
  public init(_ stream: any ByteStream, limits: HTTPLimits, ranges: BodyRanges, output: OutputBuffer) {
    self.stream = stream
    self.ranges = ranges
    self.output = output
    parser = MessageParser(.response, limits: limits)
  }

  /// Begins to read.
  public func start() {
    stream.delegate = self
    stream.startReading()
  }

  // MARK: What the owner asks

  /// Whether it has carried an exchange before the present one.
  public var isReused: Bool { state.isReused }
  /// Whether a response's head is awaited.
  public var awaitsHead: Bool { state.awaitsHead }
  /// Whether it may carry another exchange once the present one is over.
  public var mayReuse: Bool {
    // Asked for first: within an access to `state`, every access to it would be checked at run time.
    let queued = stream.queuedBytes
    return state.mayReuse(queued: queued)
  }
  /// Whether it has been closed.
  public var isClosed: Bool { state.phase == .closed }

  // MARK: Exchanges

  /// Begins an exchange.
  /// - Parameters:
  ///   - delegate: retained until `endExchange` or `close`.
  ///   - answersHead: whether the request is a HEAD: its response has no body.
  public func beginExchange(_ delegate: any ClientConnectionDelegate, answersHead: Bool) {
    receiver = delegate
    self.answersHead = answersHead
    parser.reset()
    parser.answersHead = answersHead
    state.requestBegan()
  }

  /// The exchange is over: the connection is idle, and is read, since its delegate is told of its end.
  /// - Parameter delegate: who is told; retained until the next exchange or `close`.
  public func endExchange(nextDelegate delegate: (any ClientConnectionDelegate)?) {
    state.released()
    receiver = delegate
    stream.startReading()
  }

  /// Sends bytes.
  public func write(_ bytes: RawSpan) { stream.write(bytes) }

  /// Gives up the stream, for another protocol: to be called from `didReceive head`. The owner sets the stream's delegate, and
  /// calls `close` in the end.
  public func switchProtocols() { state.protocolSwitched() }

  /// Closes at once: what is queued is dropped, and the delegate is not called any more. Safe to call twice.
  public func close() {
    state.closed()
    receiver = nil
    stream.close()
  }

  // MARK: Reading

  /// Reads responses.
  public func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival) {
    guard let delegate = receiver else { return }
    delegate.clientConnection(self, willRead: bytes.byteCount, arrival)
    switch state.phase {
    case .body: readBody(bytes, delegate, arrival)
    case .head: readHeads(bytes, delegate, arrival)
    case .idle, .complete, .switched, .closed: delegate.clientConnectionDidReadUnexpectedly(self)
    }
    // Nothing of one response is there for the next.
    output.removeAll()
  }

  private func readBody(_ bytes: RawSpan, _ delegate: any ClientConnectionDelegate, _ arrival: Arrival) {
    let (consumed, progress) = parser.parse(bytes, into: ranges)
    switch progress {
    case .messageComplete:
      state.responseCompleted(hasSurplus: consumed < bytes.byteCount)
      delegate.clientConnection(
        self, didReadBody: ranges, of: bytes.extracting(0..<consumed), .complete, arrival, into: output)
    case .needsMore, .headComplete:
      delegate.clientConnection(self, didReadBody: ranges, of: bytes, .partial, arrival, into: output)
    case .failed(let error):
      delegate.clientConnection(self, didReadBody: ranges, of: bytes, .failed(error), arrival, into: output)
    }
  }

  /// Never inlined into what reads of bodies run.
  @inline(never)
  private func readHeads(_ bytes: RawSpan, _ delegate: any ClientConnectionDelegate, _ arrival: Arrival) {
    var rest = bytes
    do throws(HTTPParseError) {
      while state.awaitsHead {
        guard let (head, consumed) = try nextHead(rest, delegate) else {
          return delegate.clientConnection(self, didReadBody: ranges, of: rest, .partial, arrival, into: output)
        }
        rest = rest.extracting(consumed..<rest.byteCount)
        try delegate.clientConnection(self, didReceive: head, arrival, into: output)
        guard state.awaitsHead else { break }
        state.headReceived(head)
        guard head.isInformational else { break }
        // A 1xx is a message of its own; another head follows.
        parser.reset()
        parser.answersHead = answersHead
        delegate.clientConnectionDidCompleteInterim(self, isNextBegun: !rest.isEmpty, arrival)
      }
    } catch {
      return delegate.clientConnection(self, didReadBody: ranges, of: rest, .failed(error), arrival, into: output)
    }
    switch state.phase {
    case .body: readBody(rest, delegate, arrival)
    case .switched: delegate.clientConnection(self, didSwitchProtocolsWith: rest, arrival, into: output)
    // The delegate has closed the connection.
    case .idle, .head, .complete, .closed: return
    }
  }

  /// - Returns: the head that `bytes` complete, and how many of them belong to it; nil where they complete none.
  private func nextHead(
    _ bytes: RawSpan, _ delegate: any ClientConnectionDelegate
  ) throws(HTTPParseError) -> (ResponseHead, consumed: Int)? {
    if parser.isBetweenMessages, let head = delegate.clientConnection(self, cachedHeadIn: bytes) {
      ranges.removeAll()
      return (head, head.fields.bytes.count)
    }
    let (consumed, progress) = parser.parse(bytes, into: ranges)
    switch progress {
    case .headComplete: return (try ResponseHead(parser), consumed)
    case .needsMore, .messageComplete: return nil
    case .failed(let error): throw error
    }
  }

  // MARK: The rest of the stream's life

  /// Does nothing: what was written before is sent by the stream.
  public func streamDidConnect(_ stream: any ByteStream) {}

  /// The socket has taken bytes.
  public func streamDidFlush(_ stream: any ByteStream) { receiver?.clientConnectionDidFlush(self) }

  /// The server has ended its side.
  public func streamDidEnd(_ stream: any ByteStream) {
    let end = state.serverEnded()
    receiver?.clientConnection(self, serverDidEnd: end)
  }

  /// The connection has failed.
  public func streamDidFail(_ stream: any ByteStream, _ error: TransportError) {
    receiver?.clientConnection(self, didFailWith: error)
  }
}
