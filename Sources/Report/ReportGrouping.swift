// What a report can be grouped by.

/// The key of a record whose values make a report's groups.
public enum ReportGrouping: String, CaseIterable, Sendable {
  case user
  /// The conversation; its groups have turns.
  case session
  /// The model as asked for.
  case model
  case dialect
  case upstream
  case outcome
}
