// Which of an exchange's deadlines has passed. It is asked four times a second, so that reads pay nothing for deadlines.
// It must stay a value without a clock: a test says what time it is.
import Clocks
import Measurement

/// How long a count has not changed, as far as it is seen by checking now and then.
struct StallDetector: Sendable {
  private var count: UInt64 = 0
  private var since: Instant

  init(at: Instant) { since = at }

  /// How long `count` has not changed, in nanoseconds; 0 where it is not expected to change.
  mutating func stalledNanoseconds(_ count: UInt64, isAwaited: Bool, at now: Instant) -> Int64 {
    if !isAwaited || count != self.count {
      self.count = count
      since = now
    }
    return now.nanoseconds(since: since)
  }
}

/// How fast a body comes, on average over the time in which it was awaited.
struct MinimumRate: Sendable {
  private var awaited: Int64 = 0
  private var checkedAt: Instant

  init(at: Instant) { checkedAt = at }

  /// Whether fewer bytes have come than `rate` (bytes a second) asks for, not counting the first `grace` nanoseconds.
  /// - Parameter isAwaited: whether the proxy has waited for the client since the last check, and not for upstream.
  mutating func isTooSlow(bytes: Int, isAwaited: Bool, at now: Instant, rate: Int, grace: Int64) -> Bool {
    let elapsed = now.nanoseconds(since: checkedAt)
    checkedAt = now
    guard isAwaited else { return false }
    awaited &+= max(0, elapsed)
    return awaited > grace && Double(bytes) * 1e9 < Double(rate) * Double(awaited - grace)
  }
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
  mutating func expired(_ snapshot: Snapshot, _ settings: ProxySettings, at now: Instant) -> ExpiredDeadline? {
    let clientStill = clientStall.stalledNanoseconds(
      snapshot.client.accepted, isAwaited: snapshot.client.queued > 0, at: now)
    let upstreamStill = upstreamStall.stalledNanoseconds(
      snapshot.upstream.accepted, isAwaited: snapshot.upstream.queued > 0 && snapshot.wait != .connection, at: now)
    let isUploading = snapshot.wait == .requestBody
    // While upstream takes no more, the client is not read.
    let isAwaited = isUploading && snapshot.upstream.queued <= settings.lowWatermark
    let isSlow = rate.isTooSlow(
      bytes: snapshot.uploadedBytes, isAwaited: isAwaited, at: now, rate: settings.requestBodyRate ?? 0,
      grace: settings.requestBodyTimeout ?? 60_000_000_000)
    if clientStill > settings.clientStalledTimeout ?? .max {
      return ExpiredDeadline(.clientStalledTimeout, .clientStalledTimeout, "the client stopped reading")
    }
    // Upstream may answer early, and then take no more of the request.
    if upstreamStill > settings.upstreamStalledTimeout ?? .max, snapshot.awaitsHead {
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

  private func queued(_ snapshot: Snapshot, _ settings: ProxySettings, _ now: Instant) -> ExpiredDeadline? {
    guard now.nanoseconds(since: snapshot.stepAt) > settings.queueTimeout ?? .max else { return nil }
    return ExpiredDeadline(.queueTimeout, .queueTimeout, "no place at upstream in time")
  }

  private func connecting(_ snapshot: Snapshot, _ settings: ProxySettings, _ now: Instant) -> ExpiredDeadline? {
    guard now.nanoseconds(since: snapshot.stepAt) > settings.connectTimeout ?? .max else { return nil }
    return ExpiredDeadline(.connectTimeout, .connectTimeout, "no connection to upstream in time")
  }

  private func uploading(_ snapshot: Snapshot, _ settings: ProxySettings, _ now: Instant, isSlow: Bool)
    -> ExpiredDeadline?
  {
    if now.nanoseconds(since: snapshot.activeAt) > settings.requestBodyTimeout ?? .max {
      return ExpiredDeadline(.requestBodyTimeout, .requestBodyTimeout, "the request's body stopped coming")
    }
    guard isSlow, snapshot.awaitsHead else { return nil }
    return ExpiredDeadline(.requestBodyRate, .requestBodyRate, "the request's body came too slowly")
  }

  private func waiting(_ snapshot: Snapshot, _ settings: ProxySettings, _ now: Instant, headStartedAt: Instant?)
    -> ExpiredDeadline?
  {
    if let began = headStartedAt, now.nanoseconds(since: began) > settings.responseHeadTimeout ?? .max {
      return ExpiredDeadline(.responseHeadTimeout, .responseHeadTimeout, "the response's head did not come in time")
    }
    guard now.nanoseconds(since: snapshot.stepAt) > settings.responseTimeout ?? .max else { return nil }
    return ExpiredDeadline(.responseTimeout, .responseTimeout, "no response from upstream in time")
  }

  private func streaming(_ snapshot: Snapshot, _ settings: ProxySettings, _ now: Instant) -> ExpiredDeadline? {
    if now.nanoseconds(since: snapshot.activeAt) > settings.betweenReadsTimeout ?? .max {
      return ExpiredDeadline(.betweenReadsTimeout, .betweenReadsTimeout, "upstream fell silent")
    }
    guard snapshot.awaitsTokens else { return nil }
    if let tokenAt = snapshot.tokenAt {
      guard now.nanoseconds(since: tokenAt) > settings.betweenTokensTimeout ?? .max else { return nil }
      return ExpiredDeadline(.betweenTokensTimeout, .betweenTokensTimeout, "no further token in time")
    }
    guard now.nanoseconds(since: snapshot.stepAt) > settings.firstTokenTimeout ?? .max else { return nil }
    return ExpiredDeadline(.firstTokenTimeout, .firstTokenTimeout, "no token in time")
  }
}
