// Lines of a log counted into a report. Tallies merge, so that each thread can count a part.
import JSON
import RecordLog

/// What was read.
public struct ReadingTally: Hashable, Sendable {
  /// Records of version 1, inside and outside the time asked for.
  public internal(set) var records = 0
  /// Lines skipped: cut off, not JSON, or not a record.
  public internal(set) var unreadableLines = 0
  /// Lines skipped: records of a version that this reader does not know.
  public internal(set) var otherVersionLines = 0
  /// Records that the writer dropped, by its notices inside the time asked for.
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
  /// The key that makes the groups.
  public let grouping: ReportGrouping
  let window: TimeWindow
  let conditions: [RecordCondition]
  let options: ReportOptions
  /// What was read.
  public internal(set) var reading = ReadingTally()
  private(set) var all = GroupTally()
  private(set) var groups: GroupTable
  private(set) var inFlight = InFlightCurve()
  private(set) var inputs = InputCurve()
  /// The first start and the last end of the exchanges counted, nanoseconds since 1970.
  private(set) var firstStart: Int64?
  private(set) var lastEnd: Int64?

  /// An empty report.
  /// - Parameter conditions: what a record has to meet to count, all of them.
  public init(
    by grouping: ReportGrouping, within window: TimeWindow = TimeWindow(), where conditions: [RecordCondition] = [],
    options: ReportOptions = .init(), limits: ReportLimits = .init()
  ) {
    self.grouping = grouping
    self.window = window
    self.conditions = conditions
    self.options = options
    groups = GroupTable(limits: limits, keepsTurns: grouping == .session)
  }

  fileprivate mutating func add(
    _ row: ReportRow, to destination: GroupTable.Destination, model: GroupTable.Destination
  ) {
    if options.showsTTFTByInput { inputs.add(row, to: model) }
    all.add(row)
    groups.add(row, to: destination)
    inFlight.add(row)
    firstStart = min(firstStart ?? .max, row.startNanoseconds)
    lastEnd = max(lastEnd ?? .min, row.endNanoseconds ?? row.startNanoseconds)
  }

  fileprivate mutating func destination(of key: Span<UInt8>) -> GroupTable.Destination { groups.destination(of: key) }

  fileprivate mutating func modelDestination(of name: Span<UInt8>) -> GroupTable.Destination {
    inputs.number(of: name).map { .key($0) } ?? .folded
  }

  /// Adds what another part of the same report has counted.
  public mutating func merge(_ other: ReportTally) {
    reading.merge(other.reading)
    all.merge(other.all)
    groups.merge(other.groups)
    inFlight.merge(other.inFlight)
    inputs.merge(other.inputs)
    if let start = other.firstStart { firstStart = min(firstStart ?? .max, start) }
    if let end = other.lastEnd { lastEnd = max(lastEnd ?? .min, end) }
  }
}

/// Counts lines: a parser, a row that is reused, and the tally. One per thread.
struct ReportCounter {
  private(set) var tally: ReportTally
  private var row = ReportRow()
  private let parser = RecordParser()

  init(_ tally: ReportTally) { self.tally = tally }

  /// Counts lines that were skipped before they could be parsed.
  mutating func countUnreadable(_ lines: Int) { tally.reading.unreadableLines += lines }

  mutating func count(_ line: RawSpan) {
    switch select(line) {
    case .record((.inside, let destination, let model)):
      tally.reading.records += 1
      if let objective = tally.options.objective { row.compliance = row.compliance(on: objective) }
      tally.add(row, to: destination, model: model)
    case .record((.outside, _, _)): tally.reading.records += 1
    case .dropped(let count, let time):
      // A notice without a time may belong here: better counted than hidden.
      if time.map(tally.window.contains) ?? true { tally.reading.droppedRecords &+= count }
    case .otherVersion: tally.reading.otherVersionLines += 1
    case .unreadable: tally.reading.unreadableLines += 1
    }
  }

  /// Whether a record counts, for which group and for which model.
  private typealias Selected = (ReportRow.Selection, GroupTable.Destination, GroupTable.Destination)

  private mutating func select(_ line: RawSpan) -> RecordLine<Selected> {
    let options = tally.options
    return parser.parse(line) { _, members in
      var destination = GroupTable.Destination.keyless
      var model = GroupTable.Destination.keyless
      let selection = row.read(
        &members, by: tally.grouping, within: tally.window, where: tally.conditions, options: options
      ) { key, name in
        destination = unsafe key?.withUTF8 { utf8 in unsafe tally.destination(of: utf8.span) } ?? .keyless
        guard options.showsTTFTByInput else { return }
        model = unsafe name?.withUTF8 { utf8 in unsafe tally.modelDestination(of: utf8.span) } ?? .keyless
      }
      return selection.map { ($0, destination, model) }
    }
  }
}
