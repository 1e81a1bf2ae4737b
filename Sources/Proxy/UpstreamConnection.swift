// A connection to the LLM server: made, lent to one exchange at a time, kept or closed.
// It must not look into bodies.
import Clocks
import HTTPWire
import Transport

/// One upstream connection, confined to its worker's thread.
final class UpstreamConnection: StreamDelegate {
  private let worker: Worker
  private var stream: Stream?
  private var exchange: Exchange?
  private var addresses: ArraySlice<SocketAddress> = []
  private var isClosed = false
  /// What is to be sent once there is a socket.
  private var early: [UInt8] = []

  /// What it was made under.
  let rules: Rules
  /// Reads this connection's responses.
  let parser: MessageParser
  /// Whether it has carried an exchange before.
  private(set) var isReused = false
  /// Whether the connection stands.
  private(set) var isOpen = false
  /// When it last became idle.
  private(set) var idleAt = Instant.now()

  init(worker: Worker) {
    self.worker = worker
    rules = worker.rules
    parser = MessageParser(.response, limits: rules.settings.responseLimits, spans: worker.spans)
  }

  /// Bytes that the upstream socket has not taken.
  var queuedBytes: Int { early.count + (stream?.queuedBytes ?? 0) }

  // MARK: What exchanges and the pool ask for

  /// Lends the connection to an exchange.
  func begin(_ exchange: Exchange, answersHead: Bool) {
    self.exchange = exchange
    parser.answersHead = answersHead
  }

  /// Resolves and connects; `Exchange.upstreamConnected` or `upstreamFailed` follows.
  func connect() {
    worker.resolver.resolve { [self] result in
      guard !isClosed else { return }
      switch result {
      case .success(let addresses):
        self.addresses = addresses[...]
        tryNext(after: TransportError(.resolve, code: 0))
      case .failure(let error):
        fail(error)
      }
    }
  }

  private func tryNext(after error: TransportError) {
    stream?.close()
    stream = nil
    guard let address = addresses.popFirst() else { return fail(error) }
    do throws(TransportError) {
      let stream = try Stream.connect(loop: worker.loop, to: address, stamped: true, delegate: self)
      self.stream = stream
      _ = unsafe early.withUnsafeBytes { unsafe stream.write($0.bytes) }
    } catch {
      noteFailedAttempt(error)
      tryNext(after: error)
    }
  }

  /// Sends bytes, or keeps them until the connection stands.
  func send(_ bytes: RawSpan) {
    worker.counters.upstreamWrittenBytes.add(bytes.byteCount)
    if isOpen, let stream {
      stream.write(bytes)
    } else {
      // Kept whole until an address has answered: the next one needs it from the beginning.
      unsafe bytes.withUnsafeBytes { unsafe early.append(contentsOf: $0) }
      stream?.write(bytes)
    }
  }

  /// The same, of what was put together.
  func send(_ output: OutputBuffer) { output.withBytes { send($0) } }

  /// The same, of an array.
  func send(_ bytes: [UInt8]) { unsafe bytes.withUnsafeBytes { unsafe send($0.bytes) } }

  /// The client takes less than upstream gives.
  func pause() { stream?.pauseReading(noticingDeparture: false) }
  /// The client has caught up.
  func resume() { stream?.startReading() }

  /// The exchange is over for this connection.
  func end() { exchange = nil }

  /// Makes it ready for the pool.
  func rest() {
    isReused = true
    idleAt = .now()
    parser.reset()
    stream?.startReading()
  }

  /// Whether upstream has closed it, or sent what nobody asked for.
  var isStale: Bool { stream?.isStale() ?? true }

  /// Closes at once. Safe to call twice.
  func close() {
    if isOpen { worker.counters.connectionsClosed.add(.upstream) }
    isClosed = true
    isOpen = false
    exchange = nil
    stream?.close()
    stream = nil
  }

  // MARK: The stream's life

  func streamDidConnect(_ stream: Stream) {
    isOpen = true
    worker.counters.connectionsOpened.add(.upstream)
    early = []
    stream.startReading()
    exchange?.upstreamConnected(reused: false, at: .now())
  }

  func streamDidRead(_ stream: Stream, _ bytes: RawSpan, _ arrival: Arrival) {
    worker.counters.upstreamReads.add()
    worker.counters.upstreamReadBytes.add(bytes.byteCount)
    if let exchange { exchange.upstreamRead(self, bytes, arrival) } else { drop() }
  }

  func streamDidFlush(_ stream: Stream) { exchange?.upstreamFlushed() }

  func streamDidEnd(_ stream: Stream) {
    if let exchange { exchange.upstreamEnded(at: .now()) } else { drop() }
  }

  func streamDidFail(_ stream: Stream, _ error: TransportError) {
    if isOpen || exchange == nil { return fail(error) }
    noteFailedAttempt(error)
    tryNext(after: error)
  }

  private func noteFailedAttempt(_ error: TransportError) {
    worker.counters.connectionsFailed.add(.upstream)
    if error.isOutOfDescriptors { worker.counters.hit(.descriptors) }
  }

  private func fail(_ error: TransportError) {
    if let exchange { exchange.upstreamFailed(error) } else { drop() }
  }

  /// Leaves the pool: what an idle connection says, nobody asked for (case 37).
  private func drop() {
    close()
    worker.pool.remove(self)
  }
}
