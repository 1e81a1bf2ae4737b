// Where the settings of `serve` come from, so that they can be read again, and which of them are in force.
// It must not act on them, nor write anything.
import Configuration
import Glibc
import Synchronization

/// The places that settings are said in, and what they said last that could be taken. From any thread.
final class ServeConfiguration: Sendable {
  /// Why the settings cannot be loaded: a line a problem.
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// How often the settings were read again.
  struct Reloads: Sendable {
    /// Times they were good.
    var taken = 0
    /// Times they were refused, and nothing changed.
    var refused = 0
  }

  private struct State {
    var settings: Settings
    var reloads = Reloads()
  }

  /// What looked like a mistake at the start and could not be told from another program's variable.
  let warnings: [String]

  private let file: String?
  private let flags: [String: String]
  private let assignments: [String]
  private let state: Mutex<State>

  /// Loads the settings for the first time.
  /// - Parameters:
  ///   - file: the settings file's path; nil where there is none.
  ///   - flags: what flags of their own said, by the settings' names.
  ///   - assignments: the `NAME=VALUE` of each `--set`.
  init(file: String?, flags: [String: String], assignments: [String]) throws(Failure) {
    self.file = file
    self.flags = flags
    self.assignments = assignments
    let loader = try Self.loader(file: file, flags: flags, assignments: assignments)
    warnings = loader.warnings
    do {
      state = Mutex(State(settings: try loader.load()))
    } catch {
      throw Failure(description: "\(error)")
    }
  }

  /// The settings in force.
  var settings: Settings { state.withLock { $0.settings } }
  /// How often they were read again.
  var reloads: Reloads { state.withLock { $0.reloads } }

  /// Reads file, environment and flags again as at the start.
  /// - Throws: `Failure`; what was in force is in force still.
  func reload() throws(Failure) -> SettingsReload {
    do {
      let loader = try Self.loader(file: file, flags: flags, assignments: assignments)
      let reload = try loader.reload(settings)
      state.withLock {
        $0.settings = reload.settings
        $0.reloads.taken += 1
      }
      return reload
    } catch {
      state.withLock { $0.reloads.refused += 1 }
      throw Failure(description: "\(error)")
    }
  }

  private static func loader(
    file: String?, flags: [String: String], assignments: [String]
  ) throws(Failure) -> SettingsLoader {
    var loader = SettingsLoader()
    loader.addEnvironment(Environment.all)
    if let file {
      guard let contents = read(file) else {
        throw Failure(description: "cannot read \(file): \(unsafe String(cString: strerror(errno)))")
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
