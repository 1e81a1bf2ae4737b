// A client of the admin listener: its requests one after the other, each answered as soon as it is complete.
import Clocks
import HTTP
import HTTP1
import Transport

/// One client, confined to the admin thread.
final class AdminConnection: ServerConnectionDelegate {
  /// How long a head, or the client's taking of a page, may last.
  static let busySeconds: Int64 = 10
  /// How long a client may stay without a request: longer than any usual scrape interval.
  static let idleSeconds: Int64 = 150
  private static let options = ServerConnection.Options(
    limits: HTTPLimits(
      headBytes: 8 << 10, fieldCount: 100, targetBytes: 2 << 10, trailerBytes: 1 << 10, chunkExtensionBytes: 1 << 10))

  private let connection: ServerConnection
  private let pageAt: (String) -> AdminPage?
  private let onClose: (AdminConnection) -> Void
  private var head: RequestHead?

  /// When the client last asked for something or took something.
  var activeAt: Instant { connection.activeAt }

  init(
    _ stream: any ByteStream, pageAt: @escaping (String) -> AdminPage?, onClose: @escaping (AdminConnection) -> Void
  ) {
    connection = ServerConnection(stream, Self.options, ranges: BodyRanges(), output: OutputBuffer())
    self.pageAt = pageAt
    self.onClose = onClose
    connection.start(self)
  }

  // MARK: Requests

  func serverConnection(
    _ connection: ServerConnection, didReceive head: RequestHead, at: Instant, into output: OutputBuffer
  ) {
    guard head.framing == .none else { return refuse(HTTPParseError(.bodyTooLarge, "no request here has a body")) }
    self.head = head
  }

  func serverConnection(
    _ connection: ServerConnection, didReceiveBody ranges: BodyRanges, of bytes: RawSpan, at: Instant,
    into output: OutputBuffer
  ) {}

  func serverConnection(
    _ connection: ServerConnection, didCompleteRequestWith last: BodyRanges, of bytes: RawSpan, at: Instant
  ) {
    guard let head = head.take() else { return }
    switch head.method {
    case .get, .head: reply(pageAt(head.path) ?? AdminPage(status: 404, body: "nothing here\n"), to: head)
    default: reply(AdminPage(status: 405, body: "only GET and HEAD\n"), to: head)
    }
  }

  func serverConnection(_ connection: ServerConnection, didFailWith error: HTTPParseError) { refuse(error) }

  private func reply(_ page: AdminPage, to head: RequestHead) {
    connection.write(
      page.bytes(headOnly: head.method == .head, closes: !head.keepsAlive, keepsAlive10: !head.isVersion11))
    connection.endReply(head.keepsAlive ? .keepAlive : .close(.lingering))
  }

  private func refuse(_ error: HTTPParseError) {
    let page = AdminPage(status: error.kind.requestStatus, body: "\(error.detail)\n")
    connection.write(page.bytes(headOnly: false, closes: true))
    connection.endReply(.close(.lingering))
  }

  // MARK: The end

  func serverConnectionDidLoseClient(_ connection: ServerConnection) { close() }

  func serverConnectionDidClose(_ connection: ServerConnection) { onClose(self) }

  /// Closes where something has taken too long.
  func checkDeadline(_ now: Instant) {
    let isOver =
      switch connection.wait {
      case .lingering(_, let until): now >= until
      case .idle(let since): now.nanoseconds(since: since) > Self.idleSeconds * 1_000_000_000
      case .head(let since), .sending(let since), .prelude(let since):
        now.nanoseconds(since: since) > Self.busySeconds * 1_000_000_000
      // Pages are made at once.
      case .owner: false
      }
    if isOver { close() }
  }

  /// Closes at once.
  func close() { connection.close() }
}
