// Where the settings come from, so that they can be read again, and which of them are in force.
import Configuration
import Glibc
import SettingValues
import Synchronization

/// The places that settings are given in, and the last settings from there that were valid. From any thread.
public final class SettingsSource: Sendable {
  /// How often the settings were read again.
  struct Reloads: Equatable, Sendable {
    /// Times they were valid.
    var taken = 0
    /// Times they were refused, and nothing changed.
    var refused = 0
  }

  private struct State {
    var settings: Settings
    var reloads = Reloads()
  }

  /// Environment variables that look like a mistyped setting, a line each; they may be another program's.
  public let warnings: [String]

  private let file: String?
  private let environment: [String: String]
  private let flags: [String: String]
  private let assignments: [String]
  private let state: Mutex<State>

  /// Loads the settings for the first time.
  /// - Parameters:
  ///   - file: the settings file's path; nil where there is none.
  ///   - environment: the process's variables. A running process cannot be given others.
  ///   - flags: the values of settings that have flags of their own, by the settings' names.
  ///   - assignments: the `NAME=VALUE` of each `--set`.
  ///   - requiresUpstream: whether one of these has to name the upstream.
  /// - Throws: `ServiceFailure` with exit code 2: a line for each problem.
  public init(
    file: String?, environment: [String: String] = Environment.all, flags: [String: String] = [:],
    assignments: [String] = [], requiresUpstream: Bool = true
  ) throws(ServiceFailure) {
    self.file = file
    self.environment = environment
    self.flags = flags
    self.assignments = assignments
    let loader = try Self.loader(file: file, environment: environment, flags: flags, assignments: assignments)
    warnings = loader.warnings
    do {
      state = Mutex(State(settings: try loader.load(requiresUpstream: requiresUpstream)))
    } catch {
      throw ServiceFailure(settings: "\(error)")
    }
  }

  /// The value of an environment variable at the start; nil where it is empty or not set.
  func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

  /// The settings in force.
  public var settings: Settings { state.withLock { $0.settings } }
  /// How often they were read again.
  var reloads: Reloads { state.withLock { $0.reloads } }

  /// Reads the file again, with the environment and the flags of the start.
  /// - Parameter check: throws where the new settings must not be used for another reason.
  /// - Throws: `ServiceFailure`; the settings that were in force stay in force.
  func reload(check: (Settings) throws(ServiceFailure) -> Void = { _ in }) throws(ServiceFailure) -> SettingsReload {
    do {
      let loader = try Self.loader(file: file, environment: environment, flags: flags, assignments: assignments)
      let reload = try loader.reload(settings)
      try check(reload.settings)
      state.withLock {
        $0.settings = reload.settings
        $0.reloads.taken += 1
      }
      return reload
    } catch {
      state.withLock { $0.reloads.refused += 1 }
      throw error as? ServiceFailure ?? ServiceFailure(settings: "\(error)")
    }
  }

  private static func loader(
    file: String?, environment: [String: String], flags: [String: String], assignments: [String]
  ) throws(ServiceFailure) -> SettingsLoader {
    var loader = SettingsLoader()
    loader.addEnvironment(environment)
    if let file {
      guard let contents = read(file) else {
        throw ServiceFailure(settings: "cannot read \(file): \(unsafe String(cString: strerror(errno)))")
      }
      loader.addFile(path: file, contents: contents)
    }
    loader.addFlags(flags)
    loader.addAssignments(assignments)
    return loader
  }

  private static func read(_ path: String) -> String? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
      let count = unsafe block.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { return count == 0 ? String(decoding: bytes, as: UTF8.self) : nil }
      bytes.append(contentsOf: block.prefix(count))
    }
  }
}
