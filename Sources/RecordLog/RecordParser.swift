// What one line of a log is: a record, a notice of dropped records, or something to skip.
import JSON
import Measurement

/// What one line of the log is (Documentation.docc/Record.md, "Other lines").
public enum RecordLine<Record> {
  /// A record of version 1.
  case record(Record)
  /// The writer's notice that it dropped records because its queue was full: how many, and when (nanoseconds since
  /// 1970) where it says so.
  case dropped(count: Int, timestampNanoseconds: Int64?)
  /// A record of a version that this reader does not know.
  case otherVersion
  /// Cut off, not JSON, or not a record.
  case unreadable
}

extension RecordLine: Sendable where Record: Sendable {}
extension RecordLine: Equatable where Record: Equatable {}

/// A parser of log lines. Not `Sendable`: one a thread.
public final class RecordParser {
  private let json: JSONParser

  /// Makes a parser that keeps `retainedBytes` of memory from line to line; for a longer line memory is allocated.
  public init(retainedBytes: Int = 256 * 1024) { json = JSONParser(retainedBytes: retainedBytes) }

  /// Parses one line, without its newline, into a whole record.
  public func parse(_ line: RawSpan) -> RecordLine<ExchangeRecord> {
    parse(line) { id, members in ExchangeRecord(id: id, members: &members) }
  }

  /// Parses one line, without its newline, as far as its reader needs it.
  /// - Parameter project: gets the record's `id` and its members, with the cursor behind `v` and `id`; returns what the
  ///   reader needs of them, or nil where this is no record. Its arguments must not leave it.
  public func parse<Record>(
    _ line: RawSpan, project: (JSONValue, inout JSONMembers) -> Record?
  ) -> RecordLine<Record> {
    json.parse(line) { root in
      guard var members = root.members, let version = members.present(.version)?.int else { return .unreadable }
      guard version == ExchangeRecord.version else { return .otherVersion }
      guard let id = members.present(.id), id.isString else { return Self.dropNotice(&members) }
      return project(id, &members).map { .record($0) } ?? .unreadable
    } ?? .unreadable
  }

  /// The writer's notice: `{"v":1,"dropped":N,"ts":"…","instance":"…"}`. Unlike a record it has no `id`.
  private static func dropNotice<Record>(_ members: inout JSONMembers) -> RecordLine<Record> {
    guard let count = members.present(.dropped)?.int, count >= 0 else { return .unreadable }
    return .dropped(count: count, timestampNanoseconds: timestampNanoseconds(members.present(.timestamp)))
  }

  /// The RFC 3339 time in `value`, in nanoseconds since 1970; nil where it is none.
  public static func timestampNanoseconds(_ value: JSONValue?) -> Int64? {
    unsafe value?.withUTF8 { text in unsafe nanoseconds(rfc3339: text) } ?? nil
  }
}
