// What one worker has counted since its start.
// It must be written by its worker's thread only: the counters have one writer.
import HTTP
import HTTP1
import Measurement
import Metrics

/// The two sides of the proxy.
enum Side: String, CaseIterable {
  /// Towards the clients.
  case downstream
  /// Towards the server.
  case upstream
}

/// Exchanges by the status that their client was sent, 100 to 611; one writer, any reader.
struct StatusCounters: ~Copyable, Sendable {
  static let codes = 100..<612
  private let counters = InlineArray<512, Counter> { _ in Counter() }

  func add(_ code: Int) { if Self.codes.contains(code) { counters[code - Self.codes.lowerBound].add() } }

  func count(_ code: Int) -> UInt64 { counters[code - Self.codes.lowerBound].count }
}

/// Everything that one worker counts, except for what it counts of each upstream (`UpstreamCounters`). Any thread may read it;
/// `ProxyServer.collect` shows it, so that a new counter needs a line there.
final class Counters: Sendable {
  /// Limits that were hit.
  let limits = CounterFamily<Limit>()
  /// Messages that were not strict HTTP, limits not counted, by the side that sent them.
  let parseFailures = CounterFamily<Side>()
  /// Clients' connections that were accepted.
  let connectionsOpened = Counter()
  /// Those of them that are closed.
  let connectionsClosed = Counter()
  /// Clients that could not be accepted.
  let connectionsFailed = Counter()
  /// Tunnels that were opened.
  let tunnelsOpened = Counter()
  /// Those of them that have ended.
  let tunnelsClosed = Counter()
  /// Exchanges that began: a request's head was whole and allowed.
  let exchangesBegun = Counter()
  /// Those of them that have ended.
  let exchangesEnded = Counter()
  /// Records submitted, by how the exchange ended; those of requests that never became an exchange are among them.
  let exchanges = CounterGrid<Outcome, Stage>()
  /// The same, by the kind of failure, where there is one.
  let failures = CounterFamily<ExchangeFailure.Kind>()
  /// The same, by status.
  let responses = StatusCounters()
  /// Those of them that leave no record, as the settings say.
  let recordsSkipped = Counter()
  /// Tokens that named nobody, by the reason.
  let tokenFailures = CounterFamily<TokenFailure>()
  /// What the proxy adds to each read.
  let delivery = DeliveryCounters()

  /// Reads from clients' sockets.
  let downstreamReads = Counter()
  /// Bytes in them.
  let downstreamReadBytes = Counter()
  /// Bytes written towards clients, those that wait for a socket included.
  let downstreamWrittenBytes = Counter()
  /// How often reading from a client was paused because upstream was slow.
  let uploadPauses = Counter()

  /// A limit was hit.
  func hit(_ limit: Limit) { limits.add(limit) }

  /// A message from `side` was refused: for its size, or because it is not strict HTTP.
  func refused(_ error: HTTPParseError, from side: Side) {
    let isRequest = side == .downstream
    switch error.kind {
    case .headTooLarge, .tooManyFields: hit(isRequest ? .requestHead : .responseHead)
    case .targetTooLong: hit(.requestTarget)
    case .bodyTooLarge: hit(.requestBody)
    case .trailersTooLarge: hit(isRequest ? .requestTrailers : .responseTrailers)
    case .chunkExtensionsTooLarge: hit(isRequest ? .requestChunkExtensions : .responseChunkExtensions)
    case .loopDetected: hit(.loop)
    default: parseFailures.add(side)
    }
  }
}
