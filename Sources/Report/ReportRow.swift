// What a report needs of one record, read in the order of a line without a copy of any text.
import JSON
import Measurement
import RecordLog

/// One exchange's numbers, reused from line to line. Times are whole microseconds; nil is "not known".
struct ReportRow {
  /// Wall time of the first request byte and of the last response byte, nanoseconds since 1970.
  var startNanoseconds: Int64 = 0
  var endNanoseconds: Int64?
  var outcome = Outcome.ok
  /// The exchange had begun to answer when it ended early.
  var wasStreaming = false
  var hasDialect = false
  var status: Int?
  /// Whether the response was a stream; nil where there was none.
  var isStream: Bool?
  /// A front end's own call, which is not in the distributions.
  var isLeftOut = false
  var inFlight: Int?
  var inputTokens: Int?
  var cachedTokens: Int?
  var outputTokens: Int?
  /// The output tokens were counted by events: the true number may be higher.
  var isLowerBound = false
  /// Whether the answer called tools.
  var callsTools = false
  var lateTokens: Int?
  /// By the objective that the report was asked for; nil without one.
  var compliance: Compliance?
  var undeliveredTokens: Int?
  /// The client was slow at some time, so that later stamps are late.
  var wasStalled = false
  var uploadMicroseconds: UInt64?
  var totalMicroseconds: UInt64?
  /// The record's own value of each metric but `everyGap`.
  var ttft: UInt64?
  /// The first token of an answer that a person can read.
  var firstAnswer: UInt64?
  var waited: UInt64?
  var tpot: UInt64?
  /// Thousandths of a token a second.
  var tokensPerSecond: UInt64?
  var ttlt: UInt64?
  /// Gaps that the next three are of, about: as many as events after each choice's first.
  var gapCount: Int?
  var gapP50: UInt64?
  var gapP99: UInt64?
  var gapMax: UInt64?
  /// Gaps of the timeline, where there is one and the exchange has one choice; storage is kept.
  var timelineGaps: [UInt64] = []

  /// Whether a record began in the time window and meets the conditions.
  enum Selection { case inside, outside }

  /// Reads one record.
  /// - Parameters:
  ///   - within: the wall times in which an exchange must have started.
  ///   - conditions: what it must meet besides.
  ///   - options: what else is asked for.
  ///   - keys: gets the value that `grouping` names, and the model (nil where they are null); called only inside the window.
  /// - Returns: nil where this is no record of version 1.
  mutating func read(
    _ members: inout JSONMembers, by grouping: ReportGrouping, within: TimeWindow, where conditions: [RecordCondition],
    options: ReportOptions, keys: (JSONValue?, _ model: JSONValue?) -> Void
  ) -> Selection? {
    guard let start = RecordParser.timestampNanoseconds(members.present(.timestamp)) else { return nil }
    startNanoseconds = start
    let user = grouping == .user ? members.present(.user) : nil
    let session = grouping == .session ? members.present(.session) : nil
    isLeftOut = members.present(.task) != nil && !options.includesTasks
    let dialect = members.present(.dialect)
    let model = grouping == .model || options.showsTTFTByInput ? members.present(.model) : nil
    isStream = members.present(.stream)?.bool
    status = members.present(.status)?.int
    let outcomeName = members.present(.outcome)
    guard let outcome = outcomeName.flatMap(Outcome.init(_:)) else { return nil }
    guard within.contains(start) else { return .outside }
    // A cursor of their own: the other keys are read in the order of a line.
    var all = members
    for condition in conditions where !condition.holds(for: &all) { return .outside }
    self.outcome = outcome
    hasDialect = dialect != nil
    wasStreaming = members.present(.stage)?.equals("streaming") ?? false
    let finish = members.present(.finishReason)
    switch grouping {
    case .user: keys(user, model)
    case .session: keys(session, model)
    case .dialect: keys(dialect, model)
    case .model: keys(model, model)
    case .outcome: keys(outcomeName, model)
    case .upstream: keys(members.present(.upstream), model)
    }
    readNumbers(&members)
    // Logs of earlier versions do not say how many tools were called.
    callsTools = callsTools || finish?.equals("tool_calls") ?? false || finish?.equals("tool_use") ?? false
    return .inside
  }

  private mutating func readNumbers(_ members: inout JSONMembers) {
    inFlight = members.present(.inFlight)?.int
    inputTokens = members.tokens(.inputTokens)
    cachedTokens = members.tokens(.cachedTokens)
    outputTokens = members.tokens(.outputTokens)
    callsTools = (members.tokens(.toolCalls) ?? 0) > 0
    lateTokens = members.tokens(.lateTokens)
    undeliveredTokens = members.tokens(.undeliveredTokens)
    isLowerBound = members.present(.tokensFrom)?.equals("events") ?? false
    let choices = members.present(.choices)?.int
    let events = members.tokens(.events)
    gapCount = events.map { max($0 - (choices ?? 1), 0) }
    uploadMicroseconds = members.thousandths(.upload)
    ttft = members.thousandths(.ttft)
    firstAnswer = members.thousandths(.ttfa)
    ttlt = members.thousandths(.ttlt)
    totalMicroseconds = members.thousandths(.total)
    waited = members.thousandths(.waited)
    tpot = members.thousandths(.tpot)
    tokensPerSecond = members.thousandths(.tokensPerSecond)
    endNanoseconds = totalMicroseconds.map { startNanoseconds &+ Int64(($0 &+ (uploadMicroseconds ?? 0)) &* 1000) }
    var gaps = members.present(.gaps)?.members
    gapP50 = gaps?.thousandths(.p50)
    gapP99 = gaps?.thousandths(.p99)
    gapMax = gaps?.thousandths(.max)
    wasStalled = (members.thousandths(.clientStalled) ?? 0) > 0
    timelineGaps.removeAll(keepingCapacity: true)
    if choices == 1, let timeline = members.present(.timeline) { readTimeline(timeline) }
  }

  private mutating func readTimeline(_ timeline: JSONValue) {
    var earlier: Int64?
    var isWhole = true
    timeline.forEachElement { pair in
      guard isWhole, let offset = TimelineEntry(pair)?.offsetMicroseconds, offset >= earlier ?? offset else {
        isWhole = false
        return
      }
      if let earlier { timelineGaps.append(UInt64(offset &- earlier)) }
      earlier = offset
    }
    // Half a timeline would count half the gaps as if they were all.
    if !isWhole { timelineGaps.removeAll(keepingCapacity: true) }
  }
}

extension JSONMembers {
  /// A number of milliseconds as microseconds (or of anything as thousandths), rounded; nil where it is none or
  /// negative. More than 31 years is read as 31 years.
  fileprivate mutating func thousandths(_ key: RecordKey) -> UInt64? {
    guard let value = present(key)?.double, value >= 0 else { return nil }
    return UInt64(min(value * 1000, 1e15).rounded())
  }

  /// A count of tokens; nil where it is none, negative, or so large that a sum could overflow.
  fileprivate mutating func tokens(_ key: RecordKey) -> Int? {
    guard let count = present(key)?.int, count >= 0, count <= 1 << 40 else { return nil }
    return count
  }
}
