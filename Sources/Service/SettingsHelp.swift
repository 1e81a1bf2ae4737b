// What the command line shows of the settings, without a service.
import Configuration
import SettingValues

/// The settings for whoever writes them.
public enum SettingsHelp {
  /// A settings file with every setting, its meaning and its default.
  public static var reference: String { Settings.referenceFile }

  /// The flag of `serve` that was probably meant by one that there is not; nil where none is near.
  public static func flag(meantBy flag: String) -> String? { Configuration.flag(meantBy: flag) }

  /// Checks a settings file as `serve` reads it, without the environment. It may leave the upstream to a flag.
  /// - Returns: what the file sets, a line each.
  /// - Throws: `ServiceFailure` with exit code 2: a line for each mistake.
  public static func check(file: String) throws(ServiceFailure) -> [String] {
    let source = try SettingsSource(file: file, environment: [:], requiresUpstream: false)
    return source.settings.current.compactMap { $0.origin == .standard ? nil : "\($0.name): \($0.value)" }
  }
}
