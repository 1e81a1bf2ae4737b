// One client's connection: its requests with their bodies, and the bytes of the replies.
// It must not pace anything.
import Clocks
import HTTP
import HTTP1
import Transport

/// A connection that a client has made.
final class SimulatorConnection: ServerConnectionDelegate {
  /// Size of the largest body that is accepted, in bytes.
  private static let maxBodyBytes = 256 << 20
  private static let options = ServerConnection.Options(
    limits: HTTPLimits(
      headBytes: 64 << 10, fieldCount: 1000, targetBytes: 16 << 10, trailerBytes: 16 << 10, chunkExtensionBytes: 4 << 10
    ))

  /// Bytes of replies are written here.
  let stream: any ByteStream
  private let connection: ServerConnection
  private unowned let simulator: Simulator
  private var head: RequestHead?
  private var isHeadCached = false
  private var body: [UInt8] = []
  private var reply: ActiveReply?

  /// Whether the client of the present request reads chunked bodies.
  var readsChunks: Bool { head?.isVersion11 ?? true }
  private var keepsAlive: Bool { head?.keepsAlive ?? false }

  init(_ stream: any ByteStream, _ simulator: Simulator) {
    self.stream = stream
    self.simulator = simulator
    connection = ServerConnection(
      stream, Self.options, ranges: simulator.ranges, output: simulator.output)
  }

  func start() { connection.start(self) }

  // MARK: Requests

  func serverConnection(_ connection: ServerConnection, cachedHeadIn bytes: RawSpan) -> RequestHead? {
    let head = simulator.headCache.lookup(bytes, for: connection.parser)?.head
    isHeadCached = head != nil
    return head
  }

  func serverConnection(
    _ connection: ServerConnection, didReceive head: RequestHead, at: Instant, into output: OutputBuffer
  ) {
    if !isHeadCached { simulator.headCache.insert(head, from: connection.parser) }
    self.head = head
    if head.expectsContinue { connection.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) }
  }

  func serverConnection(
    _ connection: ServerConnection, didReceiveBody ranges: BodyRanges, of bytes: RawSpan, at: Instant,
    into output: OutputBuffer
  ) {
    guard body.count + ranges.byteCount <= Self.maxBodyBytes else {
      return refuse(HTTPParseError(.bodyTooLarge, "body too large"))
    }
    for index in 0..<ranges.count {
      unsafe bytes.extracting(ranges[index]).withUnsafeBytes { unsafe body.append(contentsOf: $0) }
    }
  }

  func serverConnection(
    _ connection: ServerConnection, didCompleteRequestWith last: BodyRanges, of bytes: RawSpan, at: Instant
  ) {
    guard let head else { return }
    simulator.answer(self, head, body)
  }

  func serverConnection(_ connection: ServerConnection, didFailWith error: HTTPParseError) { refuse(error) }

  private func refuse(_ error: HTTPParseError) {
    head = nil
    writeError(status: error.kind.requestStatus, isOllama: false, message: error.detail)
    connection.endReply(.close(.lingering))
  }

  // MARK: Replies

  /// `reply` takes its time: it is told when the client has taken bytes, or has left.
  func attach(_ reply: ActiveReply) { self.reply = reply }

  /// The present reply is complete: the next request may come.
  func replyEnded(closing: Bool) {
    let closes = closing || !keepsAlive
    reply = nil
    head = nil
    body = []
    connection.endReply(closes ? .close(.lingering) : .keepAlive)
  }

  /// The present reply is cut off once what is written has been sent; or at once, by a reset.
  func cut(reset: Bool) {
    reply = nil
    if reset { connection.close(reset: true) } else { connection.endReply(.close(.plain)) }
  }

  /// Writes a response head; without a length the body is chunked or ends with the connection.
  func writeHead(status: Int, contentType: StaticString, length: Int?, closing: Bool, chunked: Bool) {
    var bytes: [UInt8] = []
    bytes.append("HTTP/1.1 " as StaticString)
    bytes.append(decimal: status)
    bytes.append(UInt8(ascii: " "))
    bytes.append(ReasonPhrase.standard(for: status) ?? "Simulated")
    bytes.append("\r\nserver: tachograph-simulate\r\ncontent-type: " as StaticString)
    bytes.append(contentType)
    if let length {
      bytes.append("\r\ncontent-length: " as StaticString)
      bytes.append(decimal: length)
    } else if chunked {
      bytes.append("\r\ntransfer-encoding: chunked" as StaticString)
    }
    if closing || !keepsAlive {
      bytes.append("\r\nconnection: close" as StaticString)
    } else if !readsChunks {
      bytes.append("\r\nconnection: keep-alive" as StaticString)
    }
    bytes.append("\r\n\r\n" as StaticString)
    stream.write(bytes)
  }

  /// Writes a whole response.
  func writeWhole(status: Int, contentType: StaticString, body: [UInt8]) {
    writeHead(status: status, contentType: contentType, length: body.count, closing: false, chunked: false)
    guard head?.method != .head else { return }
    stream.write(body)
  }

  /// Writes an error body in the manner of the dialect.
  func writeError(status: Int, isOllama: Bool, message: String = "simulated failure") {
    var body: [UInt8] = []
    body.append(isOllama ? "{\"error\":" : "{\"error\":{\"message\":" as StaticString)
    body.append(jsonString: message)
    if !isOllama {
      body.append(",\"type\":" as StaticString)
      body.append(jsonString: status == 429 ? "rate_limit_exceeded" : status < 500 ? "invalid_request" : "server_error")
      body.append(",\"param\":null,\"code\":" as StaticString)
      body.append(decimal: status)
      body.append("}" as StaticString)
    }
    body.append("}" as StaticString)
    writeWhole(status: status, contentType: "application/json", body: body)
  }

  func serverConnectionDidFlush(_ connection: ServerConnection) {
    if let reply, reply.waitsForDrain { simulator.resume(reply) }
  }

  // MARK: The end

  /// The client has left. A server stops generating then, whether it was a FIN or a reset.
  func serverConnectionDidLoseClient(_ connection: ServerConnection) {
    if let reply { simulator.abort(reply) }
    reply = nil
    connection.close()
  }

  func serverConnectionDidClose(_ connection: ServerConnection) { simulator.connectionClosed(self) }

  /// Closes a connection whose last reply was sent long enough ago.
  func checkDeadline(_ now: Instant) {
    if case .lingering(_, let until) = connection.wait, now >= until { connection.close() }
  }

  /// The simulator is being stopped: what is under way ends where it is.
  func stop() {
    if let reply { simulator.interrupt(reply) }
    reply = nil
    connection.close()
  }
}

extension ByteStream {
  /// Writes an array.
  @discardableResult
  func write(_ bytes: [UInt8]) -> Bool { unsafe write(bytes.span.bytes) }
}
