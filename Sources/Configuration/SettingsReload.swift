// Settings read again while the proxy runs: which of them change at once, and which only a restart changes.
import SettingValues

/// The result of reading the settings again.
public struct SettingsReload: Sendable {
  /// One setting that has another value now.
  public struct Change: Hashable, Sendable, CustomStringConvertible {
    /// Dotted: `timeouts.idle`.
    public let name: String
    /// The former value, as in a file.
    public let before: String
    /// The new value.
    public let after: String

    /// `timeouts.idle: 10s (was 75s)`.
    public var description: String { "\(name): \(after) (was \(before))" }
  }

  /// The settings to take over: the new ones, except for those that need a restart.
  public let settings: Settings
  /// Settings that change now.
  public let changes: [Change]
  /// Settings whose new value takes effect after a restart only.
  public let needingRestart: [Change]
}

extension SettingsLoader {
  /// The settings that a running proxy has to take over.
  ///
  /// - Parameter running: those in force.
  /// - Throws: every problem, as `load` does; also where new settings contradict those that need a restart.
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
