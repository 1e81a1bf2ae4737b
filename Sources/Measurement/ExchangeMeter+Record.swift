// From one exchange's instants and counters to the numbers of its record: the formulas of
// Documentation.docc/Metrics.md.
// It must not use one instant in place of another: what is not known is nil.
import Clocks
import Metrics
import TokenWire

extension ExchangeMeter {
  /// Fills every number of Documentation.docc/Metrics.md, `ts`, and the server's words (`response_model`, `finish_reason`).
  ///
  /// Call it last: it reads the record's `dialect`, `status` and `stream`, and cuts all its strings to
  /// `StringLimit.limit`. Outcome, stage and error are the caller's own. Call it once: the words are moved, not copied.
  public mutating func fill(_ record: inout ExchangeRecord) {
    record.timestampNanoseconds = received.realtimeNanoseconds
    record.upstreamReused = connectionReused
    swap(&record.responseModel, &responseModel)
    swap(&record.finishReason, &finishReason)
    let counted = ledger.output(
      events: events, choices: gaps.choices, isStream: body == .stream, partial: decodingStopped, echoes: echoesPrompt)
    fillCounts(&record, counted)
    fillInstants(&record)
    fillSpeeds(&record, tokens: counted?.tokens)
    fillDistributions(&record)
    fillVerdicts(&record, tokens: counted?.tokens)
    record.capStrings()
  }

  /// The stream was decoded from its first event to its last.
  private var sawWholeStream: Bool { body == .stream && !decodingStopped }

  /// Counts every gap of which the record's `gaps_ms` are percentiles.
  public mutating func countGaps(in counter: borrowing BucketCounter) {
    guard sawWholeStream, !gaps.choices.overflowed, !echoesPrompt else { return }
    gaps.gaps.count(in: counter)
  }

  // These change nothing of the meter: a borrowed one of half a kilobyte is copied at each call, a mutable one is not.
  private mutating func fillCounts(_ record: inout ExchangeRecord, _ counted: (tokens: Int, from: TokenSource)?) {
    record.inputTokens = ledger.input
    record.cachedTokens = ledger.cached
    record.cacheWriteTokens = ledger.cacheWrite
    record.outputTokens = counted?.tokens
    record.tokensFrom = counted?.from
    record.reasoningTokens = counted == nil ? nil : ledger.reasoning(choices: gaps.choices.count)
    record.server = ledger.serverDurations.map(ServerReport.init)
    guard body != nil, !decodingStopped, !gaps.areOfEvents else { return }
    record.outputChars = (body == .stream || events > 0) && !echoesPrompt && !lacksScalars ? scalars : nil
    if record.dialect != nil { record.toolCalls = toolCalls }
    record.choices = gaps.choices.overflowed || gaps.choices.count == 0 ? nil : gaps.choices.count
    guard body == .stream else { return }
    record.events = events
    record.coalescedEvents = coalescedEvents
    record.reads = events - coalescedEvents
  }

  private mutating func fillInstants(_ record: inout ExchangeRecord) {
    if let started = connectStartedAt, let connected = connectedAt {
      record.connectMilliseconds = Self.milliseconds(connected.nanoseconds(since: started))
    }
    if headCompleteAt != nil { record.clientStalledMilliseconds = Self.milliseconds(stalledNanoseconds) }
    guard let t0 = requestCompleteAt else { return }
    record.uploadMilliseconds = Self.milliseconds(t0.nanoseconds(since: received.instant))
    record.ttfbMilliseconds = sinceRequest(headFirstByteAt)
    record.ttfeMilliseconds = sinceRequest(firstEventAt)
    record.ttftMilliseconds = echoesPrompt ? nil : sinceRequest(firstTokenAt)
    record.ttfaMilliseconds = echoesPrompt ? nil : sinceRequest(firstAnswerAt)
    record.ttltMilliseconds = sawWholeStream ? sinceRequest(lastTokenAt) : nil
    record.totalMilliseconds = sinceRequest(endedAt)
    if endedBeforeFirstToken(isMeasured: record.dialect != nil, status: record.status, isStream: record.stream) {
      record.waitedMilliseconds = sinceRequest(endedAt)
    }
  }

  /// Whether the exchange is known to have ended before a first token.
  private func endedBeforeFirstToken(isMeasured: Bool, status: Int?, isStream: Bool?) -> Bool {
    guard isMeasured, firstTokenAt == nil else { return false }
    // An error's body has no token, decoded or not.
    if let status, status >= 400 { return true }
    if headCompleteAt != nil { return sawWholeStream }
    // Of an answer in one piece the first token's arrival is not seen.
    return isStream != false
  }

  private mutating func fillSpeeds(_ record: inout ExchangeRecord, tokens: Int?) {
    guard sawWholeStream, let first = firstTokenAt, let last = lastTokenAt else { return }
    // Tokens from before t0 are among `tokens`, and the time they took is not in the interval.
    if let tokens, sinceRequest(first) != nil, let toLast = sinceRequest(last), toLast > 0 {
      record.tokensPerSecondEndToEnd = Double(tokens) / toLast * 1_000
    }
    let streamed = Self.milliseconds(last.nanoseconds(since: first))
    // All tokens in one read: how long each took is not known, and it is not 0.
    guard streamed > 0, !echoesPrompt else { return }
    if !lacksScalars { record.charsPerSecond = Double(scalarsAfterFirstEvent) / streamed * 1_000 }
    guard let tokens, tokens >= 2, gaps.choices.count == 1, !gaps.choices.overflowed, !hidReasoning else { return }
    let perToken = streamed / Double(tokens - 1)
    record.tpotMilliseconds = perToken
    record.tokensPerSecond = 1_000 / perToken
  }

  /// The server counted reasoning tokens that it did not show: they came before the first token that was seen, so N is
  /// not the number of tokens between the first and the last instant.
  private var hidReasoning: Bool {
    (ledger.reasoning(choices: gaps.choices.count) ?? 0) > 0 && !sawReasoning
  }

  private mutating func fillDistributions(_ record: inout ExchangeRecord) {
    record.clock = delivery.clock
    record.loopLagMicroseconds = delivery.worstLag.map { Double($0) / 1_000 }
    if let only = delivery.samples.single.map({ Double($0) / 1_000 }) {
      record.deliveryMicroseconds = DeliveryQuantiles(p50: only, p99: only, max: only)
    } else if let values = delivery.samples.quantiles([0.5, 0.99, 1]) {
      record.deliveryMicroseconds = DeliveryQuantiles(
        p50: Double(values[0]) / 1_000, p99: Double(values[1]) / 1_000, max: Double(values[2]) / 1_000)
    }
    guard sawWholeStream else { return }
    if !gaps.choices.overflowed, !echoesPrompt { record.gapsMilliseconds = Self.quantiles(gaps.gaps) }
    record.itlMilliseconds =
      echoesPrompt
      ? nil
      : gaps.areWeightsOnes ? record.gapsMilliseconds : gaps.weightedGaps.flatMap(Self.quantiles)
    record.timeline = requestCompleteAt == nil ? nil : timeline?.unpacked
  }

  /// What follows from counts and times together: late tokens, stalls, buffering.
  private mutating func fillVerdicts(_ record: inout ExchangeRecord, tokens: Int?) {
    guard sawWholeStream else { return }
    record.lateTokens = lateTokens(of: tokens)
    if record.dialect != nil, !gaps.areOfEvents {
      let afterEnd = record.outcome == .clientCancelled ? tokensAtClientEnd.map { eventTokens - $0 } : nil
      record.undeliveredTokens = max(pendingTokens, afterEnd ?? 0)
    }
    noteLastGaps(isWhole: record.outcome == .ok)
    record.stalls = stalls.stalls
    record.buffered = isBuffered(record, tokens: tokens)
  }

  private func lateTokens(of tokens: Int?) -> Int? {
    guard deadlines.areSet, let tokens, !echoesPrompt, gaps.choices.count == 1, !gaps.choices.overflowed, !hidReasoning
    else { return nil }
    guard !lacksEventTokens || (tokens - eventTokens).magnitude <= 1 else { return nil }
    return deadlines.late
  }

  /// The waits that the exchange's end cut short.
  private mutating func noteLastGaps(isWhole: Bool) {
    guard let endedAt else { return }
    noteClientDelay(until: endedAt)
    guard let lastTokenAt, !isWhole, !sawTerminator else { return }
    stalls.serverGap(endedAt.nanoseconds(since: lastTokenAt), behind: lastTokenAt)
  }

  private func isBuffered(_ record: borrowing ExchangeRecord, tokens: Int?) -> Bool? {
    guard gaps.choices.count == 1, !gaps.areOfEvents, let quantiles = record.gapsMilliseconds, let first = firstTokenAt,
      let last = lastTokenAt
    else { return nil }
    return ArrivalPattern(
      events: events, ttft: record.ttftMilliseconds, span: Self.milliseconds(last.nanoseconds(since: first)),
      gaps: quantiles, decode: record.server?.decodeMilliseconds,
      showsMostTokens: tokens.map { eventTokens >= $0 / 2 } ?? true
    ).isBuffered
  }

  /// Milliseconds from t0; nil for what did not happen, or happened before the request was complete.
  private func sinceRequest(_ instant: Instant?) -> Double? {
    guard let instant, let t0 = requestCompleteAt, instant >= t0 else { return nil }
    return Self.milliseconds(instant.nanoseconds(since: t0))
  }

  private static func milliseconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds) / 1_000_000 }

  private static func quantiles(_ store: SampleStore) -> Quantiles? {
    if store.count == 0 { return nil }
    guard let values = store.quantiles([0.5, 0.9, 0.99, 1]) else { return nil }
    return Quantiles(
      p50: Double(values[0]) / 1e6, p90: Double(values[1]) / 1e6, p99: Double(values[2]) / 1e6,
      max: Double(values[3]) / 1e6)
  }
}

extension ExchangeRecord {
  /// Cuts every string that a client or a server may have chosen: a record is small, whatever arrives.
  mutating func capStrings() {
    StringLimit.cap(&responseID)
    StringLimit.cap(&user)
    StringLimit.cap(&task)
    StringLimit.cap(&userFrom)
    StringLimit.cap(&session)
    StringLimit.cap(&client)
    StringLimit.cap(&requestID)
    StringLimit.cap(&traceID)
    StringLimit.cap(&method)
    StringLimit.cap(&path)
    StringLimit.cap(&model)
    StringLimit.cap(&responseModel)
    StringLimit.cap(&error)
    StringLimit.cap(&finishReason)
    StringLimit.cap(&upstream)
  }
}

extension ServerReport {
  /// The server's own durations, as the record has them.
  init(_ durations: ServerDurations) {
    self.init()
    queueMilliseconds = durations.queueMilliseconds
    loadMilliseconds = durations.loadMilliseconds
    prefillMilliseconds = durations.prefillMilliseconds
    decodeMilliseconds = durations.decodeMilliseconds
    totalMilliseconds = durations.totalMilliseconds
    ttftMilliseconds = durations.ttftMilliseconds
    itlMilliseconds = durations.itlMilliseconds
    draftTokens = durations.draftTokens
    acceptedTokens = durations.acceptedTokens
    acceptanceRate = durations.acceptanceRate
    acceptanceLength = durations.acceptanceLength
  }
}
