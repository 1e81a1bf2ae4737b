// What is wrong with the settings that somebody wrote: where, what, and what to do about it.
// It must not know how settings are parsed, nor ever carry a credential.

/// Where a setting was said.
public enum SettingOrigin: Hashable, Sendable, CustomStringConvertible {
  /// Nowhere: it is the default.
  case standard
  /// In a file, at a line counted from 1.
  case file(path: String, line: Int)
  /// In an environment variable.
  case environment(String)
  /// By a flag of the command line, such as `--upstream` or `--set records.queue`.
  case flag(String)

  /// As a message begins: `file:line`, the variable, the flag, or `default`.
  public var description: String {
    switch self {
    case .standard: "default"
    case .file(let path, let line): "\(path):\(line)"
    case .environment(let name): name
    case .flag(let flag): flag
    }
  }
}

/// One thing wrong with the settings. Its description is one line.
public struct SettingsProblem: Hashable, Sendable, CustomStringConvertible {
  /// Where it was said; `.standard` where the trouble is that nothing was said.
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

/// Everything wrong with the settings, so that all of it can be put right at once.
public struct SettingsErrors: Error, Hashable, Sendable, CustomStringConvertible {
  /// At least one, in the order of file, environment, flags.
  public let problems: [SettingsProblem]

  /// One line a problem.
  public var description: String {
    problems.map(\.description).joined(separator: "\n")
  }
}

/// Why a value was not taken: without where it stood, which its reader does not know.
struct Refusal: Error {
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
