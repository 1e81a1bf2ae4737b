// What an exchange waits for and for how long: which of its deadlines has passed, looked for four times a second.
// It must not read a clock nor do I/O; nothing here costs anything a read.
import Clocks

/// Since when a count has stood still, as far as those who look at it now and then can tell.
struct Stillness: Sendable {
  private var count: UInt64 = 0
  private var since: Instant

  init(at: Instant) { since = at }

  /// How long `count` has not changed, in nanoseconds; 0 where nothing is waiting, whatever it says.
  mutating func look(_ count: UInt64, isAwaited: Bool, at now: Instant) -> Int64 {
    if !isAwaited || count != self.count {
      self.count = count
      since = now
    }
    return now.nanoseconds(since: since)
  }
}

/// How fast a body comes, on average over the time in which it was waited for.
struct UploadPace: Sendable {
  private var awaited: Int64 = 0
  private var lookedAt: Instant

  init(at: Instant) { lookedAt = at }

  /// Whether fewer bytes have come than `rate` (bytes a second) asks for, after `grace` nanoseconds that are free.
  /// - Parameter isAwaited: whether the client was waited for since the last look, and not upstream.
  mutating func isTooSlow(bytes: Int, isAwaited: Bool, at now: Instant, rate: Int, grace: Int64) -> Bool {
    let elapsed = now.nanoseconds(since: lookedAt)
    lookedAt = now
    guard isAwaited else { return false }
    awaited &+= max(0, elapsed)
    return awaited > grace && Double(bytes) * 1e9 < Double(rate) * Double(awaited - grace)
  }
}

/// One exchange's deadlines.
struct Deadlines: Sendable {
  /// What is known of an exchange when it is looked at.
  struct Sight {
    var state: ExchangeState
    /// When bytes last came from either side.
    var activeAt: Instant
    /// When the present wait began: for a place, for a connection, or for the answer to a complete request.
    var stepAt: Instant
    /// When a response's head began, where it is not whole.
    var headStartedAt: Instant?
    /// Bytes of the request's body that have come.
    var uploadedBytes = 0
    /// What waits for upstream's socket, and what that has taken.
    var upstream: (queued: Int, accepted: UInt64) = (0, 0)
    /// What waits for the client's socket, and what that has taken.
    var client: (queued: Int, accepted: UInt64) = (0, 0)
    /// Whether upstream is not read, because the client is slow.
    var isPaused = false
    /// Whether the response is a stream whose tokens are timed, and has not said its end.
    var awaitsTokens = false
    /// The last token; nil before the first.
    var tokenAt: Instant?
  }

  /// A deadline that has passed: what is counted, and what has happened to the exchange.
  struct Overrun {
    let limit: Limit
    let event: ExchangeState.Event
  }

  private var clientStillness: Stillness
  private var upstreamStillness: Stillness
  private var pace: UploadPace

  init(at: Instant) {
    clientStillness = Stillness(at: at)
    upstreamStillness = Stillness(at: at)
    pace = UploadPace(at: at)
  }

  /// The deadline that has passed, if one has.
  mutating func overrun(_ sight: Sight, _ settings: ProxySettings, at now: Instant) -> Overrun? {
    let clientStill = clientStillness.look(sight.client.accepted, isAwaited: sight.client.queued > 0, at: now)
    let upstreamStill = upstreamStillness.look(
      sight.upstream.accepted, isAwaited: sight.upstream.queued > 0 && !sight.state.isConnecting, at: now)
    let isUploading = !sight.state.isRequestComplete && !sight.state.isQueued && !sight.state.isConnecting
    // While upstream takes no more, the client is not asked for any.
    let isAwaited = isUploading && sight.upstream.queued <= settings.lowWatermark
    let isSlow = pace.isTooSlow(
      bytes: sight.uploadedBytes, isAwaited: isAwaited, at: now, rate: settings.requestBodyRate ?? 0,
      grace: settings.requestBodyTimeout ?? 60_000_000_000)
    if clientStill > settings.clientStalledTimeout ?? .max {
      return Overrun(limit: .clientStalledTimeout, event: .clientStalled("the client stopped reading"))
    }
    // An early answer says by itself what upstream thinks of the rest.
    if upstreamStill > settings.upstreamStalledTimeout ?? .max, !sight.state.hasResponded {
      return Overrun(limit: .upstreamStalledTimeout, event: .timedOut("upstream stopped taking the request"))
    }
    if sight.state.isQueued { return queued(sight, settings, now) }
    if sight.state.isConnecting { return connecting(sight, settings, now) }
    if isUploading { return isAwaited ? uploading(sight, settings, now, isSlow: isSlow) : nil }
    if !sight.state.hasResponded { return waiting(sight, settings, now) }
    return sight.state.isResponseComplete || sight.isPaused ? nil : streaming(sight, settings, now)
  }

  private func queued(_ sight: Sight, _ settings: ProxySettings, _ now: Instant) -> Overrun? {
    guard now.nanoseconds(since: sight.stepAt) > settings.queueTimeout ?? .max else { return nil }
    return Overrun(limit: .queueTimeout, event: .timedOut("no place at upstream in time"))
  }

  private func connecting(_ sight: Sight, _ settings: ProxySettings, _ now: Instant) -> Overrun? {
    guard now.nanoseconds(since: sight.stepAt) > settings.connectTimeout ?? .max else { return nil }
    return Overrun(limit: .connectTimeout, event: .timedOut("no connection to upstream in time"))
  }

  private func uploading(_ sight: Sight, _ settings: ProxySettings, _ now: Instant, isSlow: Bool) -> Overrun? {
    if now.nanoseconds(since: sight.activeAt) > settings.requestBodyTimeout ?? .max {
      return Overrun(limit: .requestBodyTimeout, event: .uploadTimedOut("the request's body stopped coming"))
    }
    guard isSlow, !sight.state.hasResponded else { return nil }
    return Overrun(limit: .requestBodyRate, event: .uploadTimedOut("the request's body came too slowly"))
  }

  private func waiting(_ sight: Sight, _ settings: ProxySettings, _ now: Instant) -> Overrun? {
    if let began = sight.headStartedAt, now.nanoseconds(since: began) > settings.responseHeadTimeout ?? .max {
      return Overrun(limit: .responseHeadTimeout, event: .timedOut("the response's head did not come in time"))
    }
    guard now.nanoseconds(since: sight.stepAt) > settings.responseTimeout ?? .max else { return nil }
    return Overrun(limit: .responseTimeout, event: .timedOut("no response from upstream in time"))
  }

  private func streaming(_ sight: Sight, _ settings: ProxySettings, _ now: Instant) -> Overrun? {
    if now.nanoseconds(since: sight.activeAt) > settings.betweenReadsTimeout ?? .max {
      return Overrun(limit: .betweenReadsTimeout, event: .timedOut("upstream fell silent"))
    }
    guard sight.awaitsTokens else { return nil }
    if let tokenAt = sight.tokenAt {
      guard now.nanoseconds(since: tokenAt) > settings.betweenTokensTimeout ?? .max else { return nil }
      return Overrun(limit: .betweenTokensTimeout, event: .timedOut("no further token in time"))
    }
    guard now.nanoseconds(since: sight.stepAt) > settings.firstTokenTimeout ?? .max else { return nil }
    return Overrun(limit: .firstTokenTimeout, event: .timedOut("no token in time"))
  }
}
