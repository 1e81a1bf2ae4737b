// Bytes both ways between a client and upstream once they have switched protocols: counted, and not looked at.
// It must not decide how a tunnel ends (TunnelState does), nor know what is spoken in it.
import Clocks
import Measurement
import Transport

/// What passed a tunnel.
struct TunnelCount: Sendable {
  /// Bytes that the client sent.
  var fromClient = 0
  /// Bytes that upstream sent.
  var fromUpstream = 0
  /// How long upstream was not read because the client took no more.
  var stalledNanoseconds: Int64 = 0
}

/// Two streams joined. Confined to its worker's thread; it is the delegate of both until it has ended.
final class Tunnel: StreamDelegate {
  /// How it ended.
  struct End {
    let termination: Termination
    let count: TunnelCount
    /// Whether the client's stream is to be reset.
    let reset: Bool
  }

  /// How long what a lost side had sent may wait for the other's socket without any of it being taken.
  private static let lastWordsNanoseconds: Int64 = 10_000_000_000

  private let counters: Counters
  private let upstreamCounters: UpstreamCounters
  private let client: any ByteStream
  private let upstream: any ByteStream
  private let highWatermark: Int
  private let lowWatermark: Int
  private let idleTimeout: Int64?
  /// Called once, when it is over: upstream's stream is closed then, and the client's to be closed.
  private let onEnd: (End) -> Void

  private var state = TunnelState()
  private var count: TunnelCount
  private var activeAt: Instant
  private var isClientPaused = false
  /// Since when upstream has not been read.
  private var upstreamPausedAt: Instant?

  /// Joins two streams, of which the client's may still have bytes to take.
  /// - Parameters:
  ///   - early: what the client has sent behind its request.
  ///   - count: what has passed already.
  init(
    _ worker: Worker, client: any ByteStream, upstream: any ByteStream, early: [UInt8], count: TunnelCount,
    settings: ProxySettings, upstreamCounters: UpstreamCounters, at: Instant,
    onEnd: @escaping (End) -> Void
  ) {
    counters = worker.counters
    self.upstreamCounters = upstreamCounters
    self.client = client
    self.upstream = upstream
    highWatermark = settings.highWatermark
    lowWatermark = settings.lowWatermark
    idleTimeout = settings.tunnelTimeout
    self.onEnd = onEnd
    activeAt = at
    self.count = count
    for stream in [client, upstream] {
      stream.delegate = self
      // A side that is paused, or has ended, can still be reset.
      stream.detectsReset = true
      stream.startReading()
    }
    unsafe early.withUnsafeBytes { unsafe sendUp($0.bytes) }
    holdBack()
  }

  // MARK: The two streams

  func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival) {
    activeAt = arrival.readAt
    if stream === client {
      count.fromClient += bytes.byteCount
      counters.downstreamReads.add()
      counters.downstreamReadBytes.add(bytes.byteCount)
      sendUp(bytes)
    } else {
      count.fromUpstream += bytes.byteCount
      upstreamCounters.reads.add()
      upstreamCounters.readBytes.add(bytes.byteCount)
      counters.downstreamWrittenBytes.add(bytes.byteCount)
      client.write(bytes)
    }
    holdBack()
  }

  func streamDidFlush(_ stream: any ByteStream) {
    activeAt = .now()
    if stream.queuedBytes <= lowWatermark { letGo(stream) }
    if stream.queuedBytes == 0 { perform(state.handle(.drained(side(of: stream)))) }
  }

  func streamDidEnd(_ stream: any ByteStream) {
    let side = side(of: stream)
    perform(state.handle(.ended(side)))
    perform(ifDrained: side.other)
  }

  func streamDidFail(_ stream: any ByteStream, _ error: TransportError) {
    let side = side(of: stream)
    perform(state.handle(.failed(side, ExchangeFailure(upstream: error))))
    perform(ifDrained: side.other)
  }

  func streamDidConnect(_ stream: any ByteStream) {}

  private func sendUp(_ bytes: RawSpan) {
    upstreamCounters.writtenBytes.add(bytes.byteCount)
    upstream.write(bytes)
  }

  private func side(of stream: any ByteStream) -> TunnelState.Side { stream === client ? .client : .upstream }
  private func stream(_ side: TunnelState.Side) -> any ByteStream { side == .client ? client : upstream }

  /// Pauses a side whose bytes the other one does not take.
  private func holdBack() {
    if upstream.queuedBytes > highWatermark, !isClientPaused {
      isClientPaused = true
      counters.uploadPauses.add()
      client.pauseReading(detectingClose: false)
    }
    if client.queuedBytes > highWatermark, upstreamPausedAt == nil {
      upstreamPausedAt = .now()
      upstreamCounters.pauses.add()
      upstream.pauseReading(detectingClose: false)
    }
  }

  /// Reads again from the side whose bytes `stream` has taken.
  private func letGo(_ stream: any ByteStream) {
    if stream === upstream, isClientPaused {
      isClientPaused = false
      client.startReading()
    } else if stream === client, upstreamPausedAt != nil {
      noteStall()
      upstream.startReading()
    }
  }

  // MARK: Its end

  /// Ends it where nothing has passed for too long.
  func checkDeadline(_ now: Instant) {
    let limit = state.isEnding ? Self.lastWordsNanoseconds : idleTimeout ?? .max
    guard now.nanoseconds(since: activeAt) > limit else { return }
    if !state.isEnding { counters.hit(.tunnelTimeout) }
    perform(state.handle(.idle))
  }

  /// Ends it now.
  func shutDown() { perform(state.handle(.shutDown)) }

  private func perform(ifDrained side: TunnelState.Side) {
    if stream(side).queuedBytes == 0 { perform(state.handle(.drained(side))) }
  }

  private func perform(_ action: TunnelState.Action) {
    switch action {
    case .none: return
    case .finishWriting(let side): stream(side).shutdownWriting()
    case .stopReading(let side):
      noteStall()
      isClientPaused = false
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
