// One connection of the load: a request, its answer walked to the end, the next request.
// It must not decide how many requests there are, nor add anything up.
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
    /// The connection failed or ended in mid-answer.
    case broken
    /// Given up by this client, as planned.
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
final class LoadConnection: StreamDelegate {
  private enum Phase {
    case idle
    case head
    case body
  }
  private unowned let client: LoadClient
  private let plan: LoadPlan
  private let parser: MessageParser
  private let headCache: HeadCache<ResponseHead, Void>
  private var stream: (any ByteStream)?
  private var phase = Phase.idle
  private var head: ResponseHead?
  private var chunks = ChunkedBody()
  private var remaining: UInt64 = 0
  private var lines: TokenLines
  private var result: LoadResult?
  private var readTimer: Timer?
  private var waitTimer: Timer?
  private var waited: (() -> Void)?

  var isIdle: Bool { result == nil }

  init(_ client: LoadClient, ranges: BodyRanges, headCache: HeadCache<ResponseHead, Void>) {
    self.client = client
    plan = client.plan
    parser = MessageParser(.response, limits: HTTPLimits(), ranges: ranges)
    self.headCache = headCache
    lines = TokenLines(path: client.plan.path)
  }

  // MARK: Requests

  /// Sends request `number`; `due` is when it should have been sent.
  func send(_ number: Int, due: Instant) {
    phase = .head
    parser.reset()
    head = nil
    chunks = ChunkedBody()
    lines.restart()
    result = LoadResult(
      number: number, ending: .broken, tokens: 0, bytes: 0, sentAt: due, endAt: due, arrivals: [])
    do throws(TransportError) {
      let stream = if let open = self.stream { open } else { try connect() }
      unsafe stream.write(client.requests.bytes(number).span.bytes)
    } catch {
      end(.broken)
    }
  }

  private func connect() throws(TransportError) -> any ByteStream {
    let stream = try SocketStream.connect(
      loop: client.loop, to: plan.address, stamped: plan.usesKernelStamps, delegate: self)
    stream.startReading()
    self.stream = stream
    return stream
  }

  /// Ends the connection, and with it what is under way.
  func stop() {
    if result != nil { end(.cutAtEnd) }
    drop()
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

  private func drop() {
    stream?.close()
    stream = nil
  }

  private func end(_ ending: LoadResult.Ending) {
    guard var result else { return }
    result.ending = ending
    result.tokens = lines.tokens
    result.endAt = .now()
    self.result = nil
    phase = .idle
    let keeps = ending == .ok || ending == .status || ending == .unterminated || ending == .inBandError
    if !keeps || head?.keepsAlive != true { drop() }
    client.ended(self, result)
  }

  // MARK: Answers

  func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival) {
    result?.bytes += bytes.byteCount
    let before = lines.tokens
    let ending = take(bytes)
    note(lines.tokens - before, arrival)
    if let ending {
      end(ending)
    } else if let limit = plan.abortAfterTokens, lines.tokens >= limit {
      end(.aborted)
    } else if plan.readPauseMilliseconds > 0 {
      pause(stream)
    }
  }

  private func note(_ tokens: Int, _ arrival: Arrival) {
    guard tokens > 0 else { return }
    if result?.firstTokenAt == nil { result?.firstTokenAt = arrival.at }
    if plan.keepsArrivals { result?.arrivals.append(contentsOf: repeatElement(arrival.at, count: tokens)) }
  }

  private func pause(_ stream: any ByteStream) {
    stream.pauseReading(detectingClose: true)
    if readTimer == nil { readTimer = Timer(loop: client.loop) { [unowned self] in self.stream?.startReading() } }
    readTimer?.start(milliseconds: plan.readPauseMilliseconds)
  }

  private func take(_ bytes: RawSpan) -> LoadResult.Ending? {
    var start = 0
    while phase == .head {
      if let found = headCache.lookup(bytes.extracting(start..<bytes.byteCount), for: parser) {
        start += found.head.fields.bytes.count
        begin(found.head)
        continue
      }
      let (consumed, progress) = parser.parse(bytes.extracting(start..<bytes.byteCount))
      start += consumed
      switch progress {
      case .needsMore: return nil
      case .headComplete: if !validateHead() { return .broken }
      case .messageComplete: parser.reset()
      case .failed: return .broken
      }
    }
    guard phase == .body, let head else { return .broken }
    return unsafe bytes.withUnsafeBytes { bytes in unsafe walk(bytes, from: start, head.framing) }
  }

  /// An informational head is followed by another one.
  private func validateHead() -> Bool {
    do throws(HTTPParseError) {
      let head = try ResponseHead(parser)
      headCache.insert(head, from: parser)
      begin(head)
      return true
    } catch {
      return false
    }
  }

  private func begin(_ head: ResponseHead) {
    if head.isInformational { return }
    if case .length(let length) = head.framing { remaining = length }
    self.head = head
    phase = .body
  }

  private func walk(
    _ bytes: UnsafeRawBufferPointer, from start: Int, _ framing: BodyFraming
  ) -> LoadResult.Ending? {
    switch framing {
    case .none: return ending()
    case .untilClose:
      unsafe lines.feed(UnsafeRawBufferPointer(rebasing: bytes[start...]))
      return nil
    case .length:
      let count = Int(min(remaining, UInt64(bytes.count - start)))
      unsafe lines.feed(UnsafeRawBufferPointer(rebasing: bytes[start..<start + count]))
      remaining -= UInt64(count)
      return remaining == 0 ? ending() : nil
    case .chunked:
      let (_, progress) = unsafe chunks.walk(bytes, from: start) { range in
        unsafe lines.feed(UnsafeRawBufferPointer(rebasing: bytes[range]))
      }
      switch progress {
      case .needsMore: return nil
      case .complete: return ending()
      case .broken: return .broken
      }
    }
  }

  /// How an answer that is whole by HTTP's rules ended.
  private func ending() -> LoadResult.Ending {
    if head?.status != 200 { return .status }
    if lines.sawError { return .inBandError }
    if case .length = head?.framing { return .ok }
    return lines.sawEnd ? .ok : .unterminated
  }

  func streamDidEnd(_ stream: any ByteStream) { lost() }
  func streamDidFail(_ stream: any ByteStream, _ error: TransportError) { lost() }
  func streamDidConnect(_ stream: any ByteStream) {}
  func streamDidFlush(_ stream: any ByteStream) {}

  private func lost() {
    let ending: LoadResult.Ending = head?.framing == .untilClose ? ending() : .broken
    drop()
    end(ending)
  }
}
