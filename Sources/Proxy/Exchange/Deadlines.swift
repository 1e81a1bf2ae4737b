// Which of an exchange's deadlines has passed. It is asked four times a second, so that reads pay nothing for deadlines.
// It must stay a value without a clock: a test says what time it is.
import Clocks
import Measurement
import SettingValues

/// How long a count has not changed, as far as it is seen by checking now and then.
struct StallDetector: Sendable {
  private var count: UInt64 = 0
  private var since: Instant

  init(at: Instant) { since = at }

  /// How long `count` has not changed; 0 where it is not expected to change.
  mutating func stalledDuration(_ count: UInt64, isAwaited: Bool, at now: Instant) -> Duration {
    if !isAwaited || count != self.count {
      self.count = count
      since = now
    }
    return now.duration(since: since)
  }
}

/// How fast a body comes, over each stretch of a window's length in which it was awaited: what came fast at first does not
/// speak for what trickles later.
struct MinimumRate: Sendable {
  private static let parts = 8
  /// Bytes that had come at the ends of the window's last parts; the first one was at 0.
  private var marks = InlineArray<8, Int>(repeating: 0)
  private var markCount = 1
  /// How long the body was awaited since the last mark.
  private var awaited = Duration.zero
  private var checkedAt: Instant

  init(at: Instant) { checkedAt = at }

  /// Whether fewer bytes have come within a window than `rate` (bytes a second) asks for.
  /// - Parameter isAwaited: whether the proxy has waited for the client since the last check, and not for upstream.
  mutating func isTooSlow(bytes: Int, isAwaited: Bool, at now: Instant, rate: Int, window: Duration) -> Bool {
    let elapsed = now.duration(since: checkedAt)
    checkedAt = now
    guard isAwaited else { return false }
    awaited += max(.zero, elapsed)
    let part = max(window / Self.parts, .nanoseconds(1))
    var isSlow = false
    for _ in 0..<Self.parts where awaited >= part {
      awaited -= part
      let place = markCount % Self.parts
      // Not yet at the end of the first window: a body that never begins is `Timeouts.requestBody`'s.
      if markCount > Self.parts, Double(bytes - marks[place]) < Double(rate) * (window / .seconds(1)) { isSlow = true }
      marks[place] = bytes
      markCount += 1
    }
    awaited = min(awaited, part)
    return isSlow
  }
}

extension Duration {
  /// Whether it is longer than `limit`; nil is no limit.
  func exceeds(_ limit: Duration?) -> Bool { limit.map { self > $0 } ?? false }
}

/// The deadlines of one exchange.
struct Deadlines: Sendable {
  /// What is known of an exchange when it is checked.
  struct Snapshot {
    /// What the exchange waits for.
    var wait: ExchangeMachine.Wait
    /// Whether the response's final head is still to come.
    var awaitsHead: Bool
    /// When bytes last came from either side.
    var activeAt: Instant
    /// When the present wait began: for a permit, for a connection, or for the answer to a complete request.
    var stepAt: Instant
    /// Bytes of the request's body that have come.
    var uploadedBytes = 0
    /// Bytes queued for upstream's socket, and bytes that it has accepted.
    var upstream: (queued: Int, accepted: UInt64) = (0, 0)
    /// Bytes queued for the client's socket, and bytes that it has accepted.
    var client: (queued: Int, accepted: UInt64) = (0, 0)
    /// Whether the response is a stream whose tokens are timed, and has not said its end.
    var awaitsTokens = false
    /// The last token; nil before the first.
    var tokenAt: Instant?
  }

  /// A deadline that has passed: what is counted, and what the exchange fails with.
  struct ExpiredDeadline {
    let limit: Limit
    let failure: ExchangeFailure

    init(_ limit: Limit, _ kind: ExchangeFailure.Kind, _ detail: String) {
      self.limit = limit
      failure = ExchangeFailure(kind, detail)
    }
  }

  private var clientStall: StallDetector
  private var upstreamStall: StallDetector
  private var rate: MinimumRate

  init(at: Instant) {
    clientStall = StallDetector(at: at)
    upstreamStall = StallDetector(at: at)
    rate = MinimumRate(at: at)
  }

  /// The deadline that has passed, if one has.
  mutating func expired(_ snapshot: Snapshot, _ settings: Settings, at now: Instant) -> ExpiredDeadline? {
    let clientStill = clientStall.stalledDuration(
      snapshot.client.accepted, isAwaited: snapshot.client.queued > 0, at: now)
    let upstreamStill = upstreamStall.stalledDuration(
      snapshot.upstream.accepted, isAwaited: snapshot.upstream.queued > 0 && snapshot.wait != .connection, at: now)
    let isUploading = snapshot.wait == .requestBody
    // While upstream takes no more, the client is not read.
    let isAwaited = isUploading && snapshot.upstream.queued <= settings.buffers.lowWatermarkBytes
    let isSlow = rate.isTooSlow(
      bytes: snapshot.uploadedBytes, isAwaited: isAwaited, at: now, rate: settings.limits.requestBodyRate ?? 0,
      window: settings.timeouts.requestBodyGrace)
    if clientStill.exceeds(settings.timeouts.clientStalled) {
      return ExpiredDeadline(.clientStalledTimeout, .clientStalledTimeout, "the client stopped reading")
    }
    // Upstream may answer early, and then take no more of the request.
    if upstreamStill.exceeds(settings.timeouts.upstreamStalled), snapshot.awaitsHead {
      return ExpiredDeadline(.upstreamStalledTimeout, .upstreamStalledTimeout, "upstream stopped taking the request")
    }
    switch snapshot.wait {
    case .permit: return queued(snapshot, settings, now)
    case .connection: return connecting(snapshot, settings, now)
    case .requestBody: return isAwaited ? uploading(snapshot, settings, now, isSlow: isSlow) : nil
    case .responseHead(let startedAt): return waiting(snapshot, settings, now, headStartedAt: startedAt)
    case .responseBody: return streaming(snapshot, settings, now)
    case .nothing: return nil
    }
  }

  private func queued(_ snapshot: Snapshot, _ settings: Settings, _ now: Instant) -> ExpiredDeadline? {
    guard now.duration(since: snapshot.stepAt).exceeds(settings.timeouts.queue) else { return nil }
    return ExpiredDeadline(.queueTimeout, .queueTimeout, "no place at upstream in time")
  }

  private func connecting(_ snapshot: Snapshot, _ settings: Settings, _ now: Instant) -> ExpiredDeadline? {
    guard now.duration(since: snapshot.stepAt).exceeds(settings.timeouts.connect) else { return nil }
    return ExpiredDeadline(.connectTimeout, .connectTimeout, "no connection to upstream in time")
  }

  private func uploading(_ snapshot: Snapshot, _ settings: Settings, _ now: Instant, isSlow: Bool)
    -> ExpiredDeadline?
  {
    if now.duration(since: snapshot.activeAt).exceeds(settings.timeouts.requestBody) {
      return ExpiredDeadline(.requestBodyTimeout, .requestBodyTimeout, "the request's body stopped coming")
    }
    guard isSlow, snapshot.awaitsHead else { return nil }
    return ExpiredDeadline(.requestBodyRate, .requestBodyRate, "the request's body came too slowly")
  }

  private func waiting(_ snapshot: Snapshot, _ settings: Settings, _ now: Instant, headStartedAt: Instant?)
    -> ExpiredDeadline?
  {
    if let began = headStartedAt, now.duration(since: began).exceeds(settings.timeouts.responseHead) {
      return ExpiredDeadline(.responseHeadTimeout, .responseHeadTimeout, "the response's head did not come in time")
    }
    guard now.duration(since: snapshot.stepAt).exceeds(settings.timeouts.response) else { return nil }
    return ExpiredDeadline(.responseTimeout, .responseTimeout, "no response from upstream in time")
  }

  private func streaming(_ snapshot: Snapshot, _ settings: Settings, _ now: Instant) -> ExpiredDeadline? {
    if now.duration(since: snapshot.activeAt).exceeds(settings.timeouts.betweenReads) {
      return ExpiredDeadline(.betweenReadsTimeout, .betweenReadsTimeout, "upstream fell silent")
    }
    guard snapshot.awaitsTokens else { return nil }
    if let tokenAt = snapshot.tokenAt {
      guard now.duration(since: tokenAt).exceeds(settings.timeouts.betweenTokens) else { return nil }
      return ExpiredDeadline(.betweenTokensTimeout, .betweenTokensTimeout, "no further token in time")
    }
    guard now.duration(since: snapshot.stepAt).exceeds(settings.timeouts.firstToken) else { return nil }
    return ExpiredDeadline(.firstTokenTimeout, .firstTokenTimeout, "no token in time")
  }
}
