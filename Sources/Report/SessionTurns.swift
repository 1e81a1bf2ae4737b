// The turns of sessions: what lies between the exchanges of one conversation.

/// One exchange of a session. Instants are nanoseconds since 1970.
struct SessionTurn: Sendable {
  /// The complete request.
  var requestAt: Int64
  /// The last byte of the response.
  var endAt: Int64
  /// Microseconds from `requestAt` to the first token that a person can read; `noAnswer` where none came.
  var firstVisible: UInt32
  /// Whether the answer called tools, so that the session's next request brings what they returned.
  var callsTools: Bool

  static let noAnswer = UInt32.max

  init(_ row: ReportRow) {
    let upload = Int64(clamping: (row.uploadMicroseconds ?? 0) &* 1000)
    requestAt = row.startNanoseconds &+ upload
    endAt = max(row.endNanoseconds ?? requestAt, requestAt)
    callsTools = row.callsTools
    // An answer that is not streamed is seen when it is there.
    let whole = row.isStream == false && row.outcome == .ok && !callsTools ? row.totalMicroseconds : nil
    firstVisible = UInt32(clamping: row.firstAnswer ?? whole ?? UInt64(Self.noAnswer))
  }
}

/// The turns of one session, in any order.
struct SessionTurns: Sendable {
  private(set) var turns: [SessionTurn] = []

  var footprintBytes: Int { turns.capacity * MemoryLayout<SessionTurn>.stride }

  mutating func add(_ row: ReportRow) { turns.append(SessionTurn(row)) }

  mutating func merge(_ other: SessionTurns) { turns += other.turns }

  /// What lies between the turns.
  ///
  /// - Between turns: from the end of all earlier turns to the next request. Requests that begin before that (tasks of several
  ///   agents at once) are counted and have none.
  /// - A tool wait is such a time behind an answer that called tools.
  /// - First visible: from a request that answers no tool call to the first token that a person can read, over all the tool
  ///   calls between.
  /// - Returns: requests that overlap an earlier turn.
  func measure(_ record: (ReportMetric, UInt64) -> Void) -> Int {
    var overlapping = 0
    var earlier: (endAt: Int64, callsTools: Bool)?
    /// When the person asked, as long as there was nothing to read yet.
    var askedAt: Int64?
    for turn in turns.sorted(by: { $0.requestAt < $1.requestAt }) {
      if let earlier {
        if turn.requestAt >= earlier.endAt {
          let wait = UInt64(turn.requestAt &- earlier.endAt) / 1000
          record(.betweenTurns, wait)
          if earlier.callsTools { record(.toolWait, wait) }
        } else {
          overlapping += 1
        }
      }
      if earlier?.callsTools != true { askedAt = turn.requestAt }
      if let asked = askedAt, turn.firstVisible != SessionTurn.noAnswer {
        record(.firstVisible, UInt64(turn.requestAt &- asked) / 1000 &+ UInt64(turn.firstVisible))
        askedAt = nil
      }
      if turn.endAt >= earlier?.endAt ?? .min { earlier = (turn.endAt, turn.callsTools) }
    }
    return overlapping
  }
}
