// What a report is asked for besides its groups.
import SettingValues

/// What a report counts, and shows, beside what every report has.
public struct ReportOptions: Sendable {
  /// What exchanges are held to, for goodput; nil where they are held to nothing.
  public var objective: Objective?
  /// Whether a front end's own calls (`task`) are in the distributions, too.
  public var includesTasks = false
  /// Whether the first tokens are shown by the length of the input.
  public var showsTTFTByInput = false

  /// A report with nothing of this.
  public init() {}
}

/// A service level objective as it was asked for.
public struct Objective: Hashable, Sendable {
  /// As it was written: times, or a preset's name.
  public let text: String
  /// What it says.
  public let level: ServiceLevel
  /// The same in whole microseconds, as a report counts; nil where it has no such part.
  let ttft: UInt64?
  let tpot: UInt64?

  /// Reads `ttft=500ms,tpot=30ms` or the name of a preset, `mlperf:MODEL`; nil where it is neither.
  public init?(_ text: String) {
    guard let level = MLPerfLimits.preset(text)?.level ?? ServiceLevel(parsing: text) else { return nil }
    self.text = text
    self.level = level
    ttft = level.ttft.map { UInt64($0 / .microseconds(1)) }
    tpot = level.tpot.map { UInt64($0 / .microseconds(1)) }
  }
}
