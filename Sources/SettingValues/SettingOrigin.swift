// Where a setting was given.

/// Where a setting was given.
public enum SettingOrigin: Hashable, Sendable, CustomStringConvertible {
  /// Nowhere: it has its default.
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
