// A client of the admin listener: its requests one after the other, each answered before the next is looked at.
// It must not know what the pages are about, nor trust its client in anything.
import Clocks
import HTTP
import HTTP1
import Transport

/// One client, confined to the admin thread.
final class AdminConnection: StreamDelegate {
  /// For a head, and for a client to take its answer.
  static let busySeconds: Int64 = 10
  /// For the next request: longer than any usual scrape interval.
  static let idleSeconds: Int64 = 150
  /// For what a client still sends once it has its last answer.
  static let lingerSeconds: Int64 = 2
  private static let limits = HTTPLimits(headBytes: 8 * 1024, targetBytes: 2 * 1024)

  private enum Phase {
    case open
    /// Closing once the answer is sent.
    case closing
    /// Our side has ended; what still comes is thrown away.
    case lingering
  }

  private let stream: any ByteStream
  private let parser = MessageParser(.request, limits: limits, ranges: BodyRanges())
  private let pageAt: (String) -> AdminPage?
  private let onClose: (AdminConnection) -> Void
  private var phase = Phase.open
  /// What came behind the request that is being answered; one read at most, since reading pauses.
  private var early: [UInt8] = []
  /// When it last asked for something or took something: the deadlines count from then.
  private(set) var activeAt = Instant.now()

  init(_ stream: any ByteStream, pageAt: @escaping (String) -> AdminPage?, onClose: @escaping (AdminConnection) -> Void)
  {
    self.stream = stream
    self.pageAt = pageAt
    self.onClose = onClose
    stream.delegate = self
    stream.startReading()
  }

  // MARK: The stream

  func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival) {
    guard case .open = phase else { return }
    // A head that trickles in has as long as one that stops: the deadline counts from its first byte.
    if !parser.hasBegun { activeAt = arrival.readAt }
    unsafe bytes.withUnsafeBytes { unsafe early.append(contentsOf: $0) }
    answerAll()
  }

  func streamDidFlush(_ stream: any ByteStream) {
    activeAt = .now()
    guard stream.queuedBytes == 0 else { return }
    if case .closing = phase { return linger() }
    stream.startReading()
    answerAll()
  }

  func streamDidEnd(_ stream: any ByteStream) { close() }
  func streamDidFail(_ stream: any ByteStream, _ error: TransportError) { close() }
  func streamDidConnect(_ stream: any ByteStream) {}

  // MARK: Requests

  /// Answers what is there, until the client has to take an answer first.
  private func answerAll() {
    while case .open = phase, !early.isEmpty, stream.queuedBytes == 0, !stream.isClosed {
      let bytes = early
      early = []
      unsafe bytes.withUnsafeBytes { unsafe consume($0.bytes) }
    }
    // One answer at a time: who does not read is not read from.
    if stream.queuedBytes > 0, !stream.isClosed { stream.pauseReading(detectingClose: true) }
  }

  private func consume(_ bytes: RawSpan) {
    let (consumed, progress) = parser.parse(bytes)
    switch progress {
    case .needsMore: return
    case .headComplete:
      answerHead()
      keep(bytes.extracting(consumed..<bytes.byteCount))
    case .messageComplete: keep(bytes.extracting(consumed..<bytes.byteCount))
    case .failed(let error): refuse(error)
    }
  }

  private func keep(_ bytes: RawSpan) {
    unsafe bytes.withUnsafeBytes { unsafe early.append(contentsOf: $0) }
  }

  private func answerHead() {
    let head: RequestHead
    do throws(HTTPParseError) {
      head = try RequestHead(parser)
      guard head.framing == .none else { throw HTTPParseError(.bodyTooLarge, "no request here has a body") }
    } catch {
      return refuse(error)
    }
    guard head.method == .get || head.method == .head else {
      return answer(AdminPage(status: 405, body: "only GET and HEAD\n"), to: head)
    }
    let path = head.path
    answer(pageAt(path) ?? AdminPage(status: 404, body: "nothing here\n"), to: head)
  }

  private func answer(_ page: AdminPage, to head: RequestHead) {
    let closes = !head.keepsAlive
    parser.reset()
    activeAt = .now()
    send(
      page.bytes(headOnly: head.method == .head, closes: closes, keepsAlive10: !head.isVersion11), closing: closes)
  }

  private func refuse(_ error: HTTPParseError) {
    send(
      AdminPage(status: error.kind.requestStatus, body: "\(error.detail)\n").bytes(headOnly: false, closes: true),
      closing: true)
  }

  private func send(_ bytes: [UInt8], closing: Bool) {
    let isTaken = unsafe bytes.withUnsafeBytes { unsafe stream.write($0.bytes) }
    guard closing else { return }
    phase = .closing
    if isTaken { linger() }
  }

  /// Ends our side and waits a moment for the client's: closing over unread bytes would reset it (RFC 9112 §9.6).
  private func linger() {
    phase = .lingering
    activeAt = .now()
    early = []
    stream.shutdownWriting()
    stream.startReading()
  }

  // MARK: The end

  /// Closes where something takes too long.
  func checkDeadline(_ now: Instant) {
    let isIdle = !parser.hasBegun && stream.queuedBytes == 0
    let seconds: Int64
    switch phase {
    case .lingering: seconds = Self.lingerSeconds
    case .closing: seconds = Self.busySeconds
    case .open: seconds = isIdle ? Self.idleSeconds : Self.busySeconds
    }
    if now.nanoseconds(since: activeAt) > seconds * 1_000_000_000 { close() }
  }

  /// Closes at once.
  func close() {
    guard !stream.isClosed else { return }
    stream.close()
    onClose(self)
  }
}
