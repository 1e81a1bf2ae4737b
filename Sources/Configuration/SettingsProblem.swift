// What is wrong with settings: where, what, and what to do about it.
// A problem never carries a credential.
import SettingValues

/// One thing wrong with the settings. Its description is one line.
public struct SettingsProblem: Hashable, Sendable, CustomStringConvertible {
  /// Where the setting was given; `.standard` where it was not given.
  public let origin: SettingOrigin
  /// What is wrong.
  public let what: String
  /// What to do.
  public let remedy: String

  /// Where, what and what to do, in one line.
  public var description: String {
    origin == .standard ? "\(what); \(remedy)" : "\(origin): \(what); \(remedy)"
  }
}

/// Everything that is wrong with the settings, so that all of it can be corrected at once.
public struct SettingsErrors: Error, Hashable, Sendable, CustomStringConvertible {
  /// At least one, in the order of file, environment, flags.
  public let problems: [SettingsProblem]

  /// One line a problem.
  public var description: String {
    problems.map(\.description).joined(separator: "\n")
  }
}

/// Why a value was refused. Who reads a value does not know where it was given.
struct InvalidValue: Error {
  let what: String
  let remedy: String
}

/// A value as a message may show it: one line, no control characters, and not long.
func quoted(_ text: String) -> String {
  let shown = text.unicodeScalars.prefix(60).map { scalar in
    scalar.properties.generalCategory == .control ? "�" : String(scalar)
  }
  return "\"\(shown.joined())\(text.unicodeScalars.count > 60 ? "…" : "")\""
}
