// Where a client's HTTP/1 connection is, and what its server's end means there: a value that decides, without a socket.
import HTTP

/// The phases of a client's connection, which carries one exchange after the other.
public struct ClientConnectionState: Sendable {
  /// Where a connection is.
  public enum Phase: Hashable, Sendable {
    /// No exchange is under way: whatever the server sends, nobody asked for.
    case idle
    /// A request was begun, and its final response's head is awaited.
    case head
    /// The response's body is awaited.
    case body
    /// The response is complete.
    case complete
    /// The stream carries another protocol (RFC 9110 §7.8).
    case switched
    case closed
  }

  /// What it means that the server has ended its side.
  public enum ServerEnd: Hashable, Sendable {
    /// The response is complete: only the connection's end delimits it.
    case completesResponse
    /// The response is truncated, or there is none.
    case truncatesResponse
    /// The connection is of no more use. No exchange is under way.
    case idle
  }

  /// Where the connection is.
  public private(set) var phase = Phase.idle
  /// Whether it has carried an exchange before the present one.
  public private(set) var isReused = false
  private var keepsAlive = false
  private var isUntilClose = false

  /// A connection that has carried nothing.
  public init() {}

  /// Whether the next bytes belong to a head.
  public var awaitsHead: Bool { phase == .head }

  /// A request was begun.
  public mutating func requestBegan() {
    guard phase == .idle else { return illegal("a request") }
    phase = .head
    keepsAlive = false
    isUntilClose = false
  }

  /// A head was received. A 1xx leaves the phase as it is.
  public mutating func headReceived(_ head: ResponseHead) {
    headReceived(
      isInformational: head.isInformational, isUntilClose: head.framing == .untilClose, keepsAlive: head.keepsAlive)
  }

  /// A head was received, by what matters here.
  mutating func headReceived(isInformational: Bool, isUntilClose: Bool, keepsAlive: Bool) {
    guard phase == .head else { return illegal("a head") }
    guard !isInformational else { return }
    phase = .body
    self.isUntilClose = isUntilClose
    self.keepsAlive = keepsAlive && !isUntilClose
  }

  /// The stream carries another protocol from now on.
  public mutating func protocolSwitched() {
    guard phase == .head else { return illegal("a switch of protocols") }
    phase = .switched
  }

  /// The response is complete.
  /// - Parameter hasSurplus: whether bytes came behind it. Nobody asked for them, and they could be taken for the next
  ///   response: such a connection is not used again.
  public mutating func responseCompleted(hasSurplus: Bool) {
    guard phase == .body else { return illegal("a response's end") }
    phase = .complete
    if hasSurplus { keepsAlive = false }
  }

  /// The server has ended its side.
  public mutating func serverEnded() -> ServerEnd {
    keepsAlive = false
    switch phase {
    case .body where isUntilClose:
      phase = .complete
      return .completesResponse
    case .head, .body: return .truncatesResponse
    case .idle, .complete, .switched, .closed: return .idle
    }
  }

  /// Whether the connection may carry another exchange (RFC 9112 §9.3).
  /// - Parameter queued: bytes of the request that the socket has not taken. A server that replied without them may never take
  ///   them.
  public func mayReuse(queued: Int) -> Bool { phase == .complete && keepsAlive && queued == 0 }

  /// The exchange is over, and the next one may begin.
  public mutating func released() {
    guard phase == .complete else { return illegal("a release") }
    phase = .idle
    isReused = true
  }

  /// The connection was closed.
  public mutating func closed() { phase = .closed }

  private func illegal(_ event: StaticString) { assertionFailure("\(event) in phase \(phase)") }
}
