// Every instant and counter of one exchange, from the request's first byte to the response's last.
// It must not do I/O, read a clock, or keep any text but the words the record names.
import Clocks
import TokenWire

/// How a response's body is measured.
public enum MeasuredBody: UInt8, Sendable {
  /// Event by event: its tokens have arrival times.
  case stream
  /// One whole body: it has counts, and no time but its end.
  case whole
}

/// The meter of one exchange. Call its methods as things happen; `fill` makes the record at the end
/// (Documentation.docc/Metrics.md, "Numbers of one exchange").
///
/// Allocates nothing an event but for the doubling of its sample stores; their size is bounded whatever arrives.
public struct ExchangeMeter: ~Copyable, Sendable {
  // What each token touches stands first and close together: between two tokens of a stream thousands of others pass, and
  // memory that has left the processor's cache costs more than the work on it.
  @PackedInstant private var readAt: Instant? = nil
  /// When the last line came that may have been an event without its end.
  @PackedInstant private var pendingAt: Instant? = nil
  @PackedInstant var firstEventAt: Instant? = nil
  @PackedInstant var firstTokenAt: Instant? = nil
  @PackedInstant var firstAnswerAt: Instant? = nil
  @PackedInstant var lastTokenAt: Instant? = nil
  var deadlines = TokenDeadlines()
  var stalls: StallMeter
  var events = 0
  /// The tokens of the events so far; one that does not say how many it has counts as one.
  var eventTokens = 0
  /// Those of them whose reads the client's socket has not taken.
  var pendingTokens = 0
  var scalars = 0
  var scalarsAfterFirstEvent = 0
  var body: MeasuredBody?
  var decodingStopped = false
  /// An event did not say how many tokens it has.
  var lacksEventTokens = false
  private var readHasToken = false
  private var pendingReadHasToken = false
  /// The answer repeats the prompt, so that its first output is not known, nor how much there is of it.
  public var echoesPrompt = false
  /// A text was longer than what is read of it.
  var lacksScalars = false
  var sawReasoning = false
  /// The dialect's terminator was seen.
  public private(set) var sawTerminator = false
  /// The model that answers, as the server said it.
  public internal(set) var responseModel: String?
  var timeline: PackedTimeline?
  var delivery: DeliveryMeter
  var gaps = GapMeter()
  var ledger = TokenLedger()

  /// When the request's first byte came.
  public let received: WallAnchor
  @PackedInstant var requestCompleteAt: Instant? = nil
  @PackedInstant var connectStartedAt: Instant? = nil
  @PackedInstant var connectedAt: Instant? = nil
  var connectionReused: Bool?
  @PackedInstant var headFirstByteAt: Instant? = nil
  @PackedInstant var headCompleteAt: Instant? = nil
  @PackedInstant var endedAt: Instant? = nil
  var coalescedEvents = 0
  var toolCalls = 0
  var stalledNanoseconds: Int64 = 0
  /// Tokens that had come when the client ended its side; nil where it has not.
  @PackedInt var tokensAtClientEnd: Int? = nil
  /// The finish reason, as the server last said it.
  public internal(set) var finishReason: String?
  /// The kind of an in-band error, where one came.
  public private(set) var errorKind: String?

  /// Starts with the first byte of the request.
  /// - Parameters:
  ///   - keepsTimeline: keep each token-bearing event's instant (`records.timeline`): eight bytes an event.
  ///   - stallNanoseconds: the shortest gap that is a stall.
  ///   - counters: the worker's counters, in which the exchange's reads are counted too.
  public init(
    received: WallAnchor, keepsTimeline: Bool, stallNanoseconds: Int64 = 500_000_000, counters: DeliveryCounters? = nil
  ) {
    self.received = received
    delivery = DeliveryMeter(counters: counters)
    timeline = keepsTimeline ? PackedTimeline() : nil
    stalls = StallMeter(threshold: stallNanoseconds)
  }

  /// The request is complete: t0, from which every interval counts.
  public mutating func requestComplete(at: Instant) { requestCompleteAt = at }

  /// The times that the tokens are held to, in nanoseconds. Call it when the request is complete and before the first token;
  /// later it has no effect.
  public mutating func heldTo(ttft: Int64, tpot: Int64) {
    guard let t0 = requestCompleteAt, firstTokenAt == nil else { return }
    deadlines.set(from: t0, ttft: ttft, tpot: tpot)
  }

  /// Whether it is.
  public var isRequestComplete: Bool { requestCompleteAt != nil }

  /// The exchange has a connection to upstream, for which it had waited since `startedAt`. Where a second one is needed
  /// (the pooled one was dead), the wait counts from the first.
  public mutating func connected(startedAt: Instant, at: Instant, reused: Bool) {
    connectStartedAt = connectStartedAt ?? startedAt
    connectedAt = at
    connectionReused = reused
  }

  /// The final response head (not a 1xx) began and was complete.
  public mutating func responseHead(firstByteAt: Instant, completeAt: Instant) {
    headFirstByteAt = firstByteAt
    headCompleteAt = completeAt
  }

  /// What the response's head says of the server's work.
  public mutating func serverStated(_ durations: ServerDurations) { ledger.add(durations) }

  /// A decoder will observe the response's body. Do not call it for a body that is not decoded: its tokens stay unknown.
  public mutating func measures(_ body: MeasuredBody) { self.body = body }

  /// A read from upstream with response bytes in it; what is observed next was completed by it.
  public mutating func beginRead(_ arrival: Arrival) {
    delivery.begin(arrival)
    // Two anchors differ by a microsecond or so; a read must not come before the last one for that.
    readAt = max(arrival.at, readAt ?? arrival.at)
    readHasToken = false
  }

  /// When the current read arrived.
  public var readArrivedAt: Instant? { readAt }

  /// What is observed next was completed by a read that arrived at `at` and has begun before: it had to be inflated first.
  public mutating func resumeRead(at: Instant) {
    readAt = at
    readHasToken = false
  }

  /// `beginRead` and `delivered` in one, for a read whose bytes the client's socket accepted at once.
  public mutating func read(_ arrival: Arrival, deliveredAt: Instant) {
    beginRead(arrival)
    if deliveredAt.nanoseconds(since: arrival.at) >= stalls.threshold { proxyStalled(arrival, until: deliveredAt) }
    delivery.delivered(at: deliveredAt)
    pendingTokens = 0
  }

  /// The client's socket has accepted the bytes of every read begun so far. May be called late, or never.
  public mutating func delivered(at: Instant) {
    noteClientDelay(until: at)
    delivery.delivered(at: at)
    pendingTokens = 0
  }

  /// Not inlined: it runs for few reads.
  @inline(never)
  private mutating func proxyStalled(_ arrival: Arrival, until: Instant) {
    stalls.proxyDelay(from: delivery.waitBegan(arrival.at), to: until)
  }

  /// The client's socket took at `at`, or had not taken then, what waited for it.
  mutating func noteClientDelay(until at: Instant) {
    guard let handedAt = delivery.oldestPendingReadAt, at.nanoseconds(since: handedAt) >= stalls.threshold else {
      return
    }
    stalls.clientDelay(from: handedAt, to: at)
  }

  /// Reading from upstream was paused this long because the client was slow.
  public mutating func clientStalled(nanoseconds: Int64) {
    stalledNanoseconds &+= max(nanoseconds, 0)
    stalls.paused(nanoseconds: max(nanoseconds, 0), tokenAt: lastTokenAt)
  }

  /// The client ended its side and may still read: if it turns out to have gone, this is when it went.
  public mutating func clientEndedSide() { tokensAtClientEnd = tokensAtClientEnd ?? eventTokens }

  /// Reading from upstream resumes after such a pause. Call it when every read before it has begun.
  public mutating func readingResumed(at: Instant) { delivery.resumed(at: at) }

  /// The decoder stopped reading this body (an event beyond its bounds): what is not known yet stays unknown.
  public mutating func measuringStopped() { decodingStopped = true }

  /// The last byte of the response, or the end of the exchange where it was cut.
  public mutating func ended(at: Instant) { endedAt = at }

  /// A line ended with the current read that may be an event: if it is, it will be observed with `endedEarlier`.
  public mutating func eventPending() {
    pendingAt = readAt
    pendingReadHasToken = readHasToken
  }

  /// An event that the current read completed, or the one observation of a whole body.
  public mutating func observe(_ observation: borrowing Observation) {
    guard !decodingStopped, let body else { return }
    if let reason = observation.finishReason { finishReason = reason }
    if responseModel == nil, let model = observation.responseModel { responseModel = model }
    if let kind = observation.errorKind, errorKind == nil { errorKind = kind }
    if observation.isTerminator { sawTerminator = true }
    ledger.add(observation, choices: &gaps)
    toolCalls &+= observation.toolCalls
    for output in observation.outputs { toolCalls &+= output.toolCalls }
    for choice in observation.silentChoices {
      gaps.register(choice: choice.choice, silentTokens: choice.tokens ?? 0)
      if let tokens = choice.tokens { ledger.addSilentIDs(tokens) }
    }
    switch body {
    case .whole: observeWhole(observation)
    case .stream: observeEvent(observation)
    }
  }

  private mutating func observeWhole(_ observation: borrowing Observation) {
    for output in observation.outputs {
      events = 1
      scalars &+= output.scalars
      gaps.register(choice: output.choice)
    }
  }

  private mutating func observeEvent(_ observation: borrowing Observation) {
    guard let at = observation.endedEarlier ? pendingAt ?? readAt : readAt else { return }
    if firstEventAt == nil { firstEventAt = at }
    if observation.isOfUnknownDialect || observation.isMedia {
      gaps.addEvent(at: at)
      noteGap(to: at)
      lastTokenAt = max(lastTokenAt ?? at, at)
      if observation.isMedia {
        firstTokenAt = firstTokenAt ?? at
        firstAnswerAt = firstAnswerAt ?? at
      }
    }
    guard !observation.outputs.isEmpty else { return }
    events += 1
    if observation.endedEarlier {
      if pendingReadHasToken { coalescedEvents += 1 }
      pendingReadHasToken = true
    } else {
      if readHasToken { coalescedEvents += 1 }
      readHasToken = true
    }
    let isFirst = firstTokenAt == nil
    if isFirst {
      firstTokenAt = at
      gaps.forgetEvents()
    } else {
      noteGap(to: at)
    }
    lastTokenAt = max(lastTokenAt ?? at, at)

    var tokens: Int? = 0
    for output in observation.outputs {
      scalars &+= output.scalars
      if observation.isShortened, output.scalars >= Observation.keptScalars { lacksScalars = true }
      if !isFirst { scalarsAfterFirstEvent &+= output.scalars }
      if output.kinds.contains(.reasoning) { sawReasoning = true }
      if firstAnswerAt == nil, output.kinds.contains(.answer) { firstAnswerAt = at }
      ledger.addIDs(output.tokens)
      let counted = gaps.add(
        output, at: at,
        usageCount: observation.countedChoice == output.choice ? observation.usage?.output : nil,
        serverCount: observation.serverCounts?.output)
      tokens = tokens.flatMap { sum in counted.map { sum &+ $0 } }
    }
    if tokens == nil { lacksEventTokens = true }
    let known = tokens ?? observation.outputs.count
    eventTokens &+= known
    deadlines.add(known, at: at)
    if delivery.hasPending { pendingTokens &+= known }
    if timeline != nil, let t0 = requestCompleteAt {
      timeline?.add(nanoseconds: at.nanoseconds(since: t0), tokens: tokens)
    }
  }

  /// Lays the gap before an event with a token to the server, where it is a stall.
  @inline(__always)
  private mutating func noteGap(to at: Instant) {
    guard let lastTokenAt else { return }
    let gap = at.nanoseconds(since: lastTokenAt)
    if gap >= stalls.threshold { stalls.serverGap(gap, behind: lastTokenAt) }
  }

  /// Whether output has begun: the first token, or the head of a body whose tokens are not timed.
  public var hasOutput: Bool {
    // Mutating, although it changes nothing: a borrowed meter would be copied.
    mutating get { firstTokenAt != nil || (headCompleteAt != nil && (body != .stream || decodingStopped)) }
  }

  /// When the newest token came; nil before the first, and where tokens are not timed.
  public var newestTokenAt: Instant? { lastTokenAt }
}
