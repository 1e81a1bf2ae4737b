// One connection of the load: a request, its response read to the end, the next request.
import Clocks
import HTTP
import HTTP1
import Transport

/// What became of one request.
struct LoadResult {
  enum Ending: String, CaseIterable {
    case ok
    /// A status other than 200.
    case status
    /// A stream that ended, but without its terminator.
    case unterminated
    /// An error event inside the stream.
    case inBandError = "in_band_error"
    /// The connection failed or ended in mid-response.
    case broken
    /// Aborted by this client, as planned.
    case aborted
    /// Under way when the time was over.
    case cutAtEnd = "cut_at_end"
  }
  var number: Int
  var ending: Ending
  var tokens: Int
  var bytes: Int
  var sentAt: Instant
  var firstTokenAt: Instant?
  var endAt: Instant
  var arrivals: [Instant]
}

/// One connection, made again whenever it is lost.
final class LoadConnection: ClientConnectionDelegate {
  private static let limits = HTTPLimits(
    headBytes: 64 << 10, fieldCount: 1000, targetBytes: 16 << 10, trailerBytes: 16 << 10, chunkExtensionBytes: 4 << 10)

  private unowned let client: LoadClient
  private let plan: LoadPlan
  private let ranges: BodyRanges
  private let output: OutputBuffer
  private let headCache: HeadCache<ResponseHead, Void>
  private var connection: ClientConnection?
  private var head: ResponseHead?
  private var isHeadCached = false
  private var lines: TokenLines
  private var result: LoadResult?
  private var readTimer: Timer?
  private var waitTimer: Timer?
  private var waited: (() -> Void)?

  var isIdle: Bool { result == nil }

  init(_ client: LoadClient, ranges: BodyRanges, output: OutputBuffer, headCache: HeadCache<ResponseHead, Void>) {
    self.client = client
    self.ranges = ranges
    self.output = output
    self.headCache = headCache
    plan = client.plan
    lines = TokenLines(path: client.plan.path)
  }

  // MARK: Requests

  /// Sends request `number`; `due` is when it should have been sent.
  func send(_ number: Int, due: Instant) {
    head = nil
    lines.reset()
    result = LoadResult(
      number: number, ending: .broken, tokens: 0, bytes: 0, sentAt: due, endAt: due, arrivals: [])
    do throws(TransportError) {
      let connection = if let open = self.connection { open } else { try connect() }
      connection.beginExchange(self, answersHead: false)
      unsafe connection.write(client.requests.bytes(number).span.bytes)
    } catch {
      end(.broken)
    }
  }

  private func connect() throws(TransportError) -> ClientConnection {
    let connection = ClientConnection(
      try SocketStream.connect(loop: client.loop, to: plan.address, stamped: plan.usesKernelStamps),
      limits: Self.limits, ranges: ranges, output: output)
    connection.start()
    self.connection = connection
    return connection
  }

  /// Closes the connection, and ends what is under way.
  func stop() {
    if result != nil { end(.cutAtEnd) }
    close()
    readTimer?.close()
    readTimer = nil
    waitTimer?.close()
    waitTimer = nil
  }

  /// Calls `action` after a while, once.
  func later(_ milliseconds: UInt64, _ action: @escaping () -> Void) {
    waited = action
    if waitTimer == nil { waitTimer = Timer(loop: client.loop) { [unowned self] in waited?() } }
    waitTimer?.start(milliseconds: milliseconds)
  }

  private func close() {
    connection?.close()
    connection = nil
  }

  private func end(_ ending: LoadResult.Ending) {
    guard var result else { return }
    result.ending = ending
    result.tokens = lines.tokens
    result.endAt = .now()
    self.result = nil
    if let connection, connection.mayReuse { connection.endExchange(nextDelegate: self) } else { close() }
    client.ended(self, result)
  }

  // MARK: Responses

  func clientConnection(_ connection: ClientConnection, willRead byteCount: Int, _ arrival: Arrival) {
    result?.bytes += byteCount
  }

  func clientConnection(_ connection: ClientConnection, cachedHeadIn bytes: RawSpan) -> ResponseHead? {
    let head = headCache.lookup(bytes, for: connection.parser)?.head
    isHeadCached = head != nil
    return head
  }

  func clientConnection(
    _ connection: ClientConnection, didReceive head: ResponseHead, _ arrival: Arrival, into output: OutputBuffer
  ) {
    if !isHeadCached { headCache.insert(head, from: connection.parser) }
    self.head = head
  }

  func clientConnection(
    _ connection: ClientConnection, didReadBody ranges: BodyRanges, of bytes: RawSpan,
    _ outcome: ClientConnection.ReadOutcome, _ arrival: Arrival, into output: OutputBuffer
  ) {
    let before = lines.tokens
    for index in 0..<ranges.count {
      unsafe bytes.extracting(ranges[index]).withUnsafeBytes { unsafe lines.append($0) }
    }
    note(lines.tokens - before, arrival)
    switch outcome {
    case .complete: end(ending())
    case .failed: end(.broken)
    case .partial:
      if let limit = plan.abortAfterTokens, lines.tokens >= limit {
        end(.aborted)
      } else if plan.readPauseMilliseconds > 0 {
        pause(connection)
      }
    }
  }

  private func note(_ tokens: Int, _ arrival: Arrival) {
    guard tokens > 0 else { return }
    if result?.firstTokenAt == nil { result?.firstTokenAt = arrival.at }
    if plan.keepsArrivals { result?.arrivals.append(contentsOf: repeatElement(arrival.at, count: tokens)) }
  }

  private func pause(_ connection: ClientConnection) {
    connection.stream.pauseReading(detectingClose: true)
    if readTimer == nil {
      readTimer = Timer(loop: client.loop) { [unowned self] in self.connection?.stream.startReading() }
    }
    readTimer?.start(milliseconds: plan.readPauseMilliseconds)
  }

  /// How a response ended that HTTP takes for complete.
  private func ending() -> LoadResult.Ending {
    if head?.status != 200 { return .status }
    if lines.sawError { return .inBandError }
    if case .length = head?.framing { return .ok }
    return lines.sawEnd ? .ok : .unterminated
  }

  func clientConnection(_ connection: ClientConnection, serverDidEnd end: ClientConnectionState.ServerEnd) {
    switch end {
    case .completesResponse: self.end(ending())
    case .truncatesResponse, .idle: fail()
    }
  }

  func clientConnection(_ connection: ClientConnection, didFailWith error: TransportError) { fail() }

  func clientConnectionDidReadUnexpectedly(_ connection: ClientConnection) { close() }

  /// The connection is lost, and so is the response that was under way.
  private func fail() {
    close()
    end(.broken)
  }
}
