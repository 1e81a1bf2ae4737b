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
  var inFlight: Int?
  var inputTokens: Int?
  var outputTokens: Int?
  /// The output tokens were counted by events: the true number may be higher.
  var isLowerBound = false
  /// The client was slow at some time, so that later stamps are late.
  var wasStalled = false
  var totalMicroseconds: UInt64?
  /// The record's own value of each metric but `everyGap`.
  var ttft: UInt64?
  var waited: UInt64?
  var tpot: UInt64?
  /// Thousandths of a token a second.
  var tokensPerSecond: UInt64?
  var ttlt: UInt64?
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
  ///   - key: gets the value that `grouping` names (nil where it is null); called only inside the window.
  /// - Returns: nil where this is no record of version 1.
  mutating func read(
    _ members: inout JSONMembers, by grouping: ReportGrouping, within: TimeWindow, where conditions: [RecordCondition],
    key: (JSONValue?) -> Void
  ) -> Selection? {
    guard let start = RecordParser.timestampNanoseconds(members.present(.timestamp)) else { return nil }
    startNanoseconds = start
    let user = grouping == .user ? members.present(.user) : nil
    let dialect = grouping == .dialect ? members.present(.dialect) : nil
    let model = grouping == .model ? members.present(.model) : nil
    let outcomeName = members.present(.outcome)
    guard let outcome = outcomeName.flatMap(Outcome.init(_:)) else { return nil }
    guard within.contains(start) else { return .outside }
    // A cursor of their own: the other keys are read in the order of a line.
    var all = members
    for condition in conditions where !condition.holds(for: &all) { return .outside }
    self.outcome = outcome
    switch grouping {
    case .user: key(user)
    case .dialect: key(dialect)
    case .model: key(model)
    case .outcome: key(outcomeName)
    case .upstream: key(members.present(.upstream))
    }
    readNumbers(&members)
    return .inside
  }

  private mutating func readNumbers(_ members: inout JSONMembers) {
    inFlight = members.present(.inFlight)?.int
    inputTokens = members.tokens(.inputTokens)
    outputTokens = members.tokens(.outputTokens)
    isLowerBound = members.present(.tokensFrom)?.equals("events") ?? false
    let choices = members.present(.choices)?.int
    let upload = members.thousandths(.upload)
    ttft = members.thousandths(.ttft)
    ttlt = members.thousandths(.ttlt)
    totalMicroseconds = members.thousandths(.total)
    waited = members.thousandths(.waited)
    tpot = members.thousandths(.tpot)
    tokensPerSecond = members.thousandths(.tokensPerSecond)
    endNanoseconds = totalMicroseconds.map { startNanoseconds &+ Int64(($0 &+ (upload ?? 0)) &* 1000) }
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
