// What servers say of their own times beside what was measured on the wire, per model and upstream: what lies between them is
// the queueing and the network that the servers' metrics do not see (Documentation.docc/Metrics.md, "Wire and server").
import JSON
import Measurement
import RecordLog

/// One time by both clocks: the differences in the order in which they happened.
public struct ComparedTime: Sendable {
  private(set) var wire = Distribution()
  private(set) var server = Distribution()
  /// Wire − server, where the wire's is the longer: it nearly always is.
  private(set) var between = Distribution()

  mutating func add(wire: Double?, server: Double?) {
    guard let wire, let server, wire >= 0, server >= 0 else { return }
    self.wire.record(Self.microseconds(wire))
    self.server.record(Self.microseconds(server))
    between.record(Self.microseconds(max(wire - server, 0)))
  }

  private static func microseconds(_ milliseconds: Double) -> UInt64 {
    UInt64(min(milliseconds * 1000, 1e15).rounded())
  }
}

/// The comparison of one model at one upstream.
public struct ServerComparisonGroup: Sendable {
  /// The model that was asked for; nil where none is known.
  public let model: String?
  /// The server, as `host:port`.
  public let upstream: String?
  /// `ok` exchanges whose server states a time.
  public private(set) var exchanges = 0
  /// Those of them whose stream something on the way clumps.
  public private(set) var buffered = 0
  /// Up to the first token: the wire counts from the complete request, the server from when it took it up.
  private(set) var first = ComparedTime()
  /// From the first token to the last.
  private(set) var decode = ComparedTime()
  /// From the request to the end.
  private(set) var total = ComparedTime()
  /// The server's own wait.
  private(set) var queue = Distribution()
  private(set) var draftTokens = 0
  private(set) var acceptedTokens = 0

  init(model: String?, upstream: String?) {
    self.model = model
    self.upstream = upstream
  }

  mutating func add(_ row: ServerComparisonRow) {
    exchanges += 1
    if row.buffered { buffered += 1 }
    first.add(wire: row.ttft, server: row.serverFirst)
    decode.add(wire: row.decode, server: row.server.decodeMilliseconds)
    total.add(wire: row.total, server: row.serverTotal)
    if let wait = row.server.queueMilliseconds, wait >= 0 { queue.record(UInt64(min(wait * 1000, 1e15).rounded())) }
    if let drafted = row.server.draftTokens, let accepted = row.server.acceptedTokens {
      draftTokens &+= drafted
      acceptedTokens &+= accepted
    }
  }

  /// The part of the drafted tokens that was accepted; nil without speculative decoding.
  var acceptance: Double? { draftTokens > 0 ? Double(acceptedTokens) / Double(draftTokens) : nil }
}

/// What the comparison needs of one record. Times are milliseconds.
struct ServerComparisonRow {
  var ttft: Double?
  var ttlt: Double?
  var total: Double?
  var server = ServerReport()
  var buffered = false

  /// From the first token to the last, on the wire.
  var decode: Double? { ttlt.flatMap { last in ttft.map { last - $0 } } }

  /// Up to the first token, by the server: what it says, else the sum of what comes before it.
  var serverFirst: Double? {
    server.ttftMilliseconds
      ?? server.prefillMilliseconds.map { $0 + (server.queueMilliseconds ?? 0) + (server.loadMilliseconds ?? 0) }
  }

  /// The whole exchange, by the server: what it says, else the sum of its parts.
  var serverTotal: Double? {
    server.totalMilliseconds ?? serverFirst.flatMap { first in server.decodeMilliseconds.map { first + $0 } }
  }
}

/// The comparison of a log in the making.
public struct ServerComparison: Sendable {
  private struct Key: Hashable {
    var model: String?
    var upstream: String?
  }

  /// Groups kept; exchanges of others are counted only.
  private static let mostGroups = 1_000

  private let window: TimeWindow
  private let conditions: [RecordCondition]
  private var groups: [Key: ServerComparisonGroup] = [:]
  /// `ok` exchanges whose server states no time.
  private(set) var silent = 0
  /// Exchanges of groups beyond those that are kept.
  private(set) var folded = 0

  /// An empty comparison.
  /// - Parameter conditions: what a record has to meet to count, all of them.
  public init(within window: TimeWindow = TimeWindow(), where conditions: [RecordCondition] = []) {
    self.window = window
    self.conditions = conditions
  }

  /// Reads whole logs, one after the other.
  /// - Parameter didRead: called with the size of each block that has been read.
  public mutating func read(paths: [String], didRead: (Int) -> Void = { _ in }) throws(RecordReadError) {
    let parser = RecordParser()
    for path in paths {
      _ = try RecordReader(path: path).forEachLine(didRead: didRead) { line in
        _ = parser.parse(line) { _, members in add(&members) }
      }
    }
  }

  /// - Returns: nil: nothing is kept of the record.
  private mutating func add(_ members: inout JSONMembers) -> Never? {
    guard let start = RecordParser.timestampNanoseconds(members.present(.timestamp)), window.contains(start) else {
      return nil
    }
    var all = members
    for condition in conditions where !condition.holds(for: &all) { return nil }
    let model = members.present(.model)
    guard members.present(.outcome)?.equals("ok") == true else { return nil }
    let upstream = members.present(.upstream)
    var row = ServerComparisonRow()
    row.ttft = members.present(.ttft)?.double
    row.ttlt = members.present(.ttlt)?.double
    row.total = members.present(.total)?.double
    guard let report = members.present(.server).flatMap(ServerReport.init(_:)) else {
      silent += 1
      return nil
    }
    row.server = report
    row.buffered = members.present(.buffered)?.bool == true
    add(row, Key(model: model?.string, upstream: upstream?.string))
    return nil
  }

  private mutating func add(_ row: ServerComparisonRow, _ key: Key) {
    guard groups[key] != nil || groups.count < Self.mostGroups else {
      folded += 1
      return
    }
    groups[key, default: ServerComparisonGroup(model: key.model, upstream: key.upstream)].add(row)
  }

  /// The groups, most exchanges first.
  public var ordered: [ServerComparisonGroup] {
    groups.values.sorted {
      ($1.exchanges, $0.model ?? "", $0.upstream ?? "") < ($0.exchanges, $1.model ?? "", $1.upstream ?? "")
    }
  }
}
