// Settings read again while the proxy runs: what changes at once, and what only a restart changes.
// It must not act on them, nor read files itself.

/// What came of reading the settings again.
public struct SettingsReload: Sendable {
  /// One setting that is now said to be something else.
  public struct Change: Hashable, Sendable, CustomStringConvertible {
    /// Dotted: `timeouts.idle`.
    public let name: String
    /// What it was, as a file would say it.
    public let before: String
    /// What it is said to be now.
    public let after: String

    /// `timeouts.idle: 10s (was 75s)`.
    public var description: String { "\(name): \(after) (was \(before))" }
  }

  /// What is to be in force: the new settings, but for what needs a restart.
  public let settings: Settings
  /// What changes now.
  public let changes: [Change]
  /// What was said to change and does not until a restart.
  public let needingRestart: [Change]
}

extension SettingsLoader {
  /// The settings that a running proxy is to go over to.
  ///
  /// - Parameter running: those in force; of them stays what cannot change without a restart.
  /// - Throws: every problem, as `load` does; also where what is new and what stays do not go together.
  public func reload(_ running: Settings) throws(SettingsErrors) -> SettingsReload {
    var settings = try load()
    var changes: [SettingsReload.Change] = []
    var needingRestart: [SettingsReload.Change] = []
    for setting in Setting.all {
      let (before, after) = (setting.value(running), setting.value(settings))
      if setting.needsRestart {
        setting.copy(running, &settings)
        settings.origins[setting.name] = running.origins[setting.name]
      }
      guard before != after else { continue }
      let change = SettingsReload.Change(name: setting.name, before: inline(before), after: inline(after))
      if setting.needsRestart { needingRestart.append(change) } else { changes.append(change) }
    }
    let found = contradictions(in: settings)
    guard found.isEmpty else { throw SettingsErrors(problems: found) }
    return SettingsReload(settings: settings, changes: changes, needingRestart: needingRestart)
  }
}
