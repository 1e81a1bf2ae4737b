// One client's connection: requests in, one after the other, and the bytes of their answers out.
// It must not pace anything.
import Clocks
import HTTP
import HTTP1
import Transport

/// A connection that a client has made.
final class ServerConnection: StreamDelegate {
  /// Bytes of further requests kept while one is being answered; beyond that the client has to wait.
  private static let pendingLimit = 256 * 1024
  private static let bodyLimit = 256 << 20

  let stream: any ByteStream
  private unowned let simulator: Simulator
  private let parser: MessageParser
  private var head: RequestHead?
  private var body: [UInt8] = []
  private var pending: [UInt8] = []
  private var reply: ActiveReply?
  private var isConsuming = false
  private var isAnswering = false
  private var isClosing = false

  /// Whether the client of the present request reads chunked bodies.
  var knowsChunks: Bool { head?.isVersion11 ?? true }
  private var keepsAlive: Bool { head?.keepsAlive ?? false }

  init(_ stream: any ByteStream, _ simulator: Simulator) {
    self.stream = stream
    self.simulator = simulator
    parser = MessageParser(.request, limits: HTTPLimits(), ranges: simulator.ranges)
  }

  func start() {
    stream.delegate = self
    stream.startReading()
  }

  // MARK: Requests

  func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival) {
    if isAnswering || !pending.isEmpty {
      unsafe bytes.withUnsafeBytes { unsafe pending.append(contentsOf: $0) }
      if pending.count > Self.pendingLimit { stream.pauseReading(detectingClose: true) }
    } else {
      consume(bytes)
    }
  }

  private func consume(_ bytes: RawSpan) {
    isConsuming = true
    defer { isConsuming = false }
    var rest = bytes
    while !isClosing, !stream.isClosed {
      if isAnswering {
        unsafe rest.withUnsafeBytes { unsafe pending.append(contentsOf: $0) }
        return
      }
      if let found = simulator.headCache.lookup(rest, for: parser) {
        rest = rest.extracting(found.head.fields.bytes.count..<rest.byteCount)
        begin(found.head)
      }
      let (consumed, progress) = parser.parse(rest)
      switch progress {
      case .needsMore:
        collect(rest)
        return
      case .headComplete:
        guard validateHead() else { return }
      case .messageComplete:
        collect(rest)
        isAnswering = true
        guard let head else { return close() }
        simulator.answer(self, head, body)
      case .failed(let error):
        return refuse(error)
      }
      rest = rest.extracting(consumed..<rest.byteCount)
    }
  }

  private func validateHead() -> Bool {
    do throws(HTTPParseError) {
      let head = try RequestHead(parser)
      simulator.headCache.insert(head, from: parser)
      begin(head)
      return true
    } catch {
      refuse(error)
      return false
    }
  }

  private func begin(_ head: RequestHead) {
    self.head = head
    if head.expectsContinue { write("HTTP/1.1 100 Continue\r\n\r\n") }
  }

  private func collect(_ bytes: RawSpan) {
    for index in 0..<simulator.ranges.count {
      let span = simulator.ranges[index]
      guard body.count + span.count <= Self.bodyLimit else {
        return refuse(HTTPParseError(.bodyTooLarge, "body too large"))
      }
      unsafe bytes.extracting(span).withUnsafeBytes {
        unsafe body.append(contentsOf: $0)
      }
    }
  }

  private func refuse(_ error: HTTPParseError) {
    head = nil
    writeError(status: error.kind.requestStatus, isOllama: false, message: error.detail)
    closeWhenWritten()
  }

  // MARK: Answers

  /// Gives the connection to an answer that will take its time.
  func hold(_ reply: ActiveReply) { self.reply = reply }

  /// The present answer is whole: the next request may come.
  func answerEnded(closing: Bool) {
    let closes = closing || !keepsAlive
    reply = nil
    head = nil
    body = []
    isAnswering = false
    parser.reset()
    if closes { return closeWhenWritten() }
    guard !isConsuming, !pending.isEmpty else { return }
    let waiting = pending
    pending = []
    stream.startReading()
    unsafe consume(waiting.span.bytes)
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
    } else if !knowsChunks {
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

  private func write(_ text: StaticString) {
    var bytes: [UInt8] = []
    bytes.append(text)
    stream.write(bytes)
  }

  // MARK: The end

  func closeWhenWritten() {
    isClosing = true
    if stream.queuedBytes == 0 { close() }
  }

  func close(reset: Bool = false) {
    stream.close(reset: reset)
    simulator.connectionClosed(self)
  }

  func streamDidFlush(_ stream: any ByteStream) {
    if isClosing {
      if stream.queuedBytes == 0 { close() }
      return
    }
    if let reply, reply.waitsForDrain { simulator.resume(reply) }
  }

  func streamDidEnd(_ stream: any ByteStream) { departed() }

  func streamDidConnect(_ stream: any ByteStream) {}

  func streamDidFail(_ stream: any ByteStream, _ error: TransportError) { departed() }

  /// The simulator is being stopped: what is under way ends where it is.
  func streamStopped() {
    if let reply { simulator.interrupt(reply) }
    reply = nil
    stream.close()
  }

  /// The client is gone. A server stops generating then, whether it was a FIN or a reset.
  private func departed() {
    if let reply { simulator.abort(reply) }
    reply = nil
    close()
  }
}

extension ByteStream {
  /// Writes an array.
  @discardableResult
  func write(_ bytes: [UInt8]) -> Bool { unsafe write(bytes.span.bytes) }
}
