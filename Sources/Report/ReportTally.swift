// Lines of a log counted into a report: mergeable, so that threads can each take a part.
// It must not open files nor show anything.
import JSON
import RecordLog

/// What reading the log itself came to.
public struct ReadingTally: Hashable, Sendable {
  /// Records of version 1, inside and outside the time asked for.
  public internal(set) var records = 0
  /// Lines stepped over: torn, not JSON, or no record.
  public internal(set) var unreadableLines = 0
  /// Lines stepped over: records of a version this reader does not know.
  public internal(set) var otherVersionLines = 0
  /// Records that the writer says it dropped, inside the time asked for.
  public internal(set) var droppedRecords = 0

  mutating func merge(_ other: ReadingTally) {
    records += other.records
    unreadableLines += other.unreadableLines
    otherVersionLines += other.otherVersionLines
    droppedRecords += other.droppedRecords
  }
}

/// A report in the making.
public struct ReportTally: Sendable {
  /// What the groups are made by.
  public let grouping: ReportGrouping
  let window: TimeWindow
  /// What reading came to.
  public internal(set) var reading = ReadingTally()
  private(set) var all = GroupTally()
  private(set) var groups: GroupTable
  private(set) var inFlight = InFlightCurve()
  /// The first start and the last end of the exchanges counted, nanoseconds since 1970.
  private(set) var firstStart: Int64?
  private(set) var lastEnd: Int64?

  /// An empty report.
  public init(by grouping: ReportGrouping, within window: TimeWindow = TimeWindow(), limits: ReportLimits = .init()) {
    self.grouping = grouping
    self.window = window
    groups = GroupTable(limits: limits)
  }

  fileprivate mutating func add(_ row: ReportRow, to owner: GroupTable.Owner) {
    all.add(row)
    groups.add(row, to: owner)
    inFlight.add(row)
    firstStart = min(firstStart ?? .max, row.startNanoseconds)
    lastEnd = max(lastEnd ?? .min, row.endNanoseconds ?? row.startNanoseconds)
  }

  fileprivate mutating func owner(of key: Span<UInt8>) -> GroupTable.Owner { groups.owner(of: key) }

  /// Adds what another part of the same report has counted.
  public mutating func merge(_ other: ReportTally) {
    reading.merge(other.reading)
    all.merge(other.all)
    groups.merge(other.groups)
    inFlight.merge(other.inFlight)
    if let start = other.firstStart { firstStart = min(firstStart ?? .max, start) }
    if let end = other.lastEnd { lastEnd = max(lastEnd ?? .min, end) }
  }
}

/// Takes lines and counts them: a parser, a row that is re-used, and the tally. One a thread.
struct ReportCounter {
  private(set) var tally: ReportTally
  private var row = ReportRow()
  private let parser = RecordParser()

  init(_ tally: ReportTally) { self.tally = tally }

  mutating func skip(lines: Int) { tally.reading.unreadableLines += lines }

  mutating func take(_ line: RawSpan) {
    switch select(line) {
    case .record((.inside, let owner)):
      tally.reading.records += 1
      tally.add(row, to: owner)
    case .record((.outside, _)): tally.reading.records += 1
    case .dropped(let count, let time):
      // A notice that does not say when may well belong here: better told than hidden.
      if time.map(tally.window.contains) ?? true { tally.reading.droppedRecords &+= count }
    case .otherVersion: tally.reading.otherVersionLines += 1
    case .unreadable: tally.reading.unreadableLines += 1
    }
  }

  private mutating func select(_ line: RawSpan) -> RecordLine<(ReportRow.Selection, GroupTable.Owner)> {
    parser.parse(line) { _, members in
      var owner = GroupTable.Owner.keyless
      let selection = row.read(&members, by: tally.grouping, within: tally.window) { key in
        owner = unsafe key?.withUTF8 { utf8 in unsafe tally.owner(of: utf8.span) } ?? .keyless
      }
      return selection.map { ($0, owner) }
    }
  }
}
