// Forwards bytes both ways between a client and upstream once they have switched protocols: counted and not parsed.
import Clocks
import Measurement
import SettingValues
import Transport

/// What a tunnel has forwarded.
struct TunnelCount: Sendable {
  /// Bytes that the client sent.
  var fromClient = 0
  /// Bytes that upstream sent.
  var fromUpstream = 0
  /// How long upstream was not read because the client was slow, in nanoseconds.
  var stalledNanoseconds: Int64 = 0
}

/// Joins two streams, as the delegate of both until it has ended; `TunnelState` decides how. Confined to its worker's thread.
final class Tunnel: StreamDelegate {
  /// How it ended.
  struct End {
    let termination: Termination
    let count: TunnelCount
    /// Whether the client's stream is to be reset.
    let reset: Bool
  }

  /// How long the last bytes of a side that failed may wait without the other's socket taking any.
  private static let lastBytesDuration = Duration.seconds(10)

  private let counters: Counters
  private let upstreamCounters: UpstreamCounters
  private let client: any ByteStream
  private let upstream: any ByteStream
  private let idleTimeout: Duration?
  /// Called once, at the end: upstream's stream is closed by then, and the client's is the callee's to close.
  private let onEnd: (End) -> Void

  private var state: TunnelState
  private(set) var count: TunnelCount
  private var activeAt: Instant
  /// Since when upstream has not been read.
  private var upstreamPausedAt: Instant?

  /// Begins to forward. The client's stream may have queued bytes.
  /// - Parameters:
  ///   - early: what the client has sent behind its request.
  ///   - count: bytes that are counted already, `early` among them.
  init(
    _ worker: Worker, client: any ByteStream, upstream: any ByteStream, early: [UInt8], count: TunnelCount,
    settings: Settings, upstreamCounters: UpstreamCounters, at: Instant,
    onEnd: @escaping (End) -> Void
  ) {
    counters = worker.counters
    self.upstreamCounters = upstreamCounters
    self.client = client
    self.upstream = upstream
    state = TunnelState(
      highWatermark: settings.buffers.highWatermarkBytes, lowWatermark: settings.buffers.lowWatermarkBytes)
    idleTimeout = settings.timeouts.tunnel
    self.onEnd = onEnd
    activeAt = at
    self.count = count
    for stream in [client, upstream] {
      stream.delegate = self
      // A side that is paused or has ended can still be reset.
      stream.detectsReset = true
      stream.startReading()
    }
    unsafe early.withUnsafeBytes { unsafe sendUpstream($0.bytes) }
    // The response's head may wait for the client.
    perform(state.handle(.written(.client, queued: client.queuedBytes)))
  }

  // MARK: The two streams

  func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival) {
    activeAt = arrival.readAt
    if stream === client {
      count.fromClient += bytes.byteCount
      counters.downstreamReads.add()
      counters.downstreamReadBytes.add(bytes.byteCount)
      sendUpstream(bytes)
    } else {
      count.fromUpstream += bytes.byteCount
      upstreamCounters.reads.add()
      upstreamCounters.readBytes.add(bytes.byteCount)
      counters.downstreamWrittenBytes.add(bytes.byteCount)
      client.write(bytes)
      perform(state.handle(.written(.client, queued: client.queuedBytes)))
    }
  }

  func streamDidFlush(_ stream: any ByteStream) {
    activeAt = .now()
    perform(state.handle(.flushed(side(of: stream), queued: stream.queuedBytes)))
  }

  func streamDidEnd(_ stream: any ByteStream) {
    let side = side(of: stream)
    perform(state.handle(.ended(side)))
    perform(ifDrained: side.other)
  }

  func streamDidFail(_ stream: any ByteStream, _ error: TransportError) {
    let side = side(of: stream)
    let vanished = side == .client ? ExchangeFailure(client: error) : nil
    perform(state.handle(.failed(side, vanished ?? ExchangeFailure(upstream: error))))
    perform(ifDrained: side.other)
  }

  func streamDidConnect(_ stream: any ByteStream) {}

  private func sendUpstream(_ bytes: RawSpan) {
    upstreamCounters.writtenBytes.add(bytes.byteCount)
    upstream.write(bytes)
    perform(state.handle(.written(.upstream, queued: upstream.queuedBytes)))
  }

  private func side(of stream: any ByteStream) -> TunnelState.Side { stream === client ? .client : .upstream }
  private func stream(_ side: TunnelState.Side) -> any ByteStream { side == .client ? client : upstream }

  private func pauseReading(_ side: TunnelState.Side) {
    switch side {
    case .client: counters.uploadPauses.add()
    case .upstream:
      upstreamPausedAt = .now()
      upstreamCounters.pauses.add()
    }
    stream(side).pauseReading(detectingClose: false)
  }

  // MARK: Its end

  /// Ends it where nothing has been forwarded for too long.
  func checkDeadline(_ now: Instant) {
    guard now.duration(since: activeAt).exceeds(state.isEnding ? Self.lastBytesDuration : idleTimeout) else { return }
    if !state.isEnding { counters.hit(.tunnelTimeout) }
    perform(state.handle(.idle))
  }

  /// Ends it now.
  func shutDown() { perform(state.handle(.shutDown)) }

  private func perform(ifDrained side: TunnelState.Side) {
    if stream(side).queuedBytes == 0 { perform(state.handle(.flushed(side, queued: 0))) }
  }

  private func perform(_ action: TunnelState.Action) {
    switch action {
    case .none: return
    case .pauseReading(let side): pauseReading(side)
    case .resumeReading(let side):
      if side == .upstream { noteStall() }
      stream(side).startReading()
    case .finishWriting(let side): stream(side).shutdownWriting()
    case .stopReading(let side):
      noteStall()
      stream(side).pauseReading(detectingClose: false)
    case .close(let termination, let reset):
      noteStall()
      upstream.close(reset: reset)
      onEnd(End(termination: termination, count: count, reset: reset))
    }
  }

  private func noteStall() {
    guard let pausedAt = upstreamPausedAt else { return }
    count.stalledNanoseconds += Instant.now().nanoseconds(since: pausedAt)
    upstreamPausedAt = nil
  }
}
