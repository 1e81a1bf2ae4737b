// Settings from files, environment and flags. Flags win over the environment, the environment over files, files over
// defaults. The caller reads file and environment.
import SettingValues

/// Collects settings from all places, and loads them together.
public struct SettingsLoader: Sendable {
  private typealias Entry = (name: String, raw: RawSetting, origin: SettingOrigin)

  private var fromFiles: [Entry] = []
  private var fromEnvironment: [Entry] = []
  private var fromFlags: [Entry] = []
  private var problems: [SettingsProblem] = []
  /// Whether a file may have settings that could not be read.
  private var hasIllegibleFile = false

  /// Variables that look like mistyped settings and may belong to another program: one line each.
  public private(set) var warnings: [String] = []

  /// A loader with nothing but the defaults.
  public init() {}

  /// Adds a file's settings; a later file wins over an earlier one. Values are checked in `load`.
  public mutating func addFile(path: String, contents: String) {
    let file = SettingsFile(path: path, contents: contents)
    fromFiles += file.entries
    problems += file.problems
    hasIllegibleFile = hasIllegibleFile || file.isIllegible
  }

  /// Adds the variables that begin with `TACHOGRAPH_`; an empty one counts as not set.
  ///
  /// A variable that names no setting is not refused, because others set such variables too (Kubernetes does for a
  /// service called tachograph). Where it is within two letters of a setting's variable there is one of the `warnings`.
  public mutating func addEnvironment(_ environment: [String: String]) {
    let settings = Setting.byEnvironmentName
    for (name, value) in environment.sorted(by: { $0.key < $1.key }) where name.hasPrefix("TACHOGRAPH_") {
      if let setting = settings[name] {
        guard !value.isEmpty else { continue }
        fromEnvironment.append((setting.name, .one(Scalar(value)), .environment(name)))
      } else if let near = Setting.environmentNames.first(where: { editDistance($0, name, atMost: 2) != nil }) {
        warnings.append("\(name) is not a setting and is ignored; did you mean \(near)?")
      }
    }
  }

  /// Adds the values of flags, by the settings' names.
  public mutating func addFlags(_ flags: [String: String]) {
    for (name, value) in flags.sorted(by: { $0.key < $1.key }) {
      addFlag(name, value, origin: .flag(Setting.named(name)?.flag ?? "--set \(name)"))
    }
  }

  /// Adds the `NAME=VALUE` of each `--set`, in their order.
  public mutating func addAssignments(_ assignments: [String]) {
    for assignment in assignments {
      let parts = assignment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2 else {
        refuse(.flag("--set"), "expected NAME=VALUE, found \(quoted(assignment))", "write it like records.queue=1000")
        continue
      }
      addFlag(parts[0], parts[1], origin: .flag("--set \(Setting.named(parts[0])?.name ?? "NAME=VALUE")"))
    }
  }

  /// The settings in force.
  ///
  /// - Parameter requiresUpstream: whether it is a problem that no place names the upstream.
  /// - Throws: every problem of every place, also of values that another place overrides.
  public func load(requiresUpstream: Bool = true) throws(SettingsErrors) -> Settings {
    var settings = Settings(upstream: .unset)
    var found = problems
    for (name, raw, origin) in fromFiles + fromEnvironment + fromFlags {
      guard let setting = Setting.named(name) else { continue }
      do {
        try setting.assign(raw, &settings)
        settings.origins[name] = origin
      } catch {
        let what = origin == .flag(setting.flag) ? error.what : "\(name): \(error.what)"
        found.append(SettingsProblem(origin: origin, what: what, remedy: error.remedy))
        settings.origins[name] = origin
      }
    }
    found += contradictions(in: settings, requiresUpstream: requiresUpstream)
    guard found.isEmpty else { throw SettingsErrors(problems: found) }
    return settings
  }

  private mutating func addFlag(_ name: String, _ value: String, origin: SettingOrigin) {
    guard Setting.named(name) != nil else {
      refuse(origin, "\(quoted(name)) is not a setting", nearestRemedy(to: name))
      return
    }
    fromFlags.append((name, .one(Scalar(value)), origin))
  }

  private mutating func refuse(_ origin: SettingOrigin, _ what: String, _ remedy: String) {
    problems.append(SettingsProblem(origin: origin, what: what, remedy: remedy))
  }

  /// Problems of no single value: a setting that is missing, and two that contradict each other.
  func contradictions(in settings: Settings, requiresUpstream: Bool = true) -> [SettingsProblem] {
    var found: [SettingsProblem] = []
    if requiresUpstream, settings.origin(of: "upstream") == .standard, !hasIllegibleFile {
      found.append(
        SettingsProblem(
          origin: .standard, what: "no upstream is set",
          remedy: "use --upstream http://HOST:PORT, TACHOGRAPH_UPSTREAM, or upstream: in the file"))
    }
    if settings.listen.isReached(by: settings.upstream) {
      found.append(
        SettingsProblem(
          origin: settings.origin(of: "upstream"), what: "upstream and listen are the same address",
          remedy: "listen on another port: the proxy would connect to itself"))
    }
    let isRuled = settings.origin(of: "identity.rules") != .standard && !settings.identity.rules.isEmpty
    if isRuled, settings.origin(of: "identity.headers") != .standard {
      found.append(
        SettingsProblem(
          origin: settings.origin(of: "identity.headers"), what: "identity.headers and identity.rules are both set",
          remedy: "write each header into identity.rules, as header:NAME"))
    }
    if (settings.identity.tokenAlgorithm == nil) != (settings.identity.tokenKeyFile == nil) {
      let isKeyMissing = settings.identity.tokenKeyFile == nil
      found.append(
        SettingsProblem(
          origin: settings.origin(of: isKeyMissing ? "identity.jwt_algorithm" : "identity.jwt_key_file"),
          what: "identity.jwt_algorithm and identity.jwt_key_file go together", remedy: "set both, or neither"))
    }
    if settings.buffers.lowWatermarkBytes >= settings.buffers.highWatermarkBytes {
      let low = settings.origin(of: "buffers.low_watermark")
      found.append(
        SettingsProblem(
          origin: low == .standard ? settings.origin(of: "buffers.high_watermark") : low,
          what: "buffers.low_watermark is not below buffers.high_watermark",
          remedy: "reading pauses at the high one and continues at the low one"))
    }
    if settings.buffers.waitingRequestsBytes < 2 * settings.buffers.highWatermarkBytes {
      let bound = settings.origin(of: "buffers.waiting_requests")
      found.append(
        SettingsProblem(
          origin: bound == .standard ? settings.origin(of: "buffers.high_watermark") : bound,
          what: "buffers.waiting_requests is less than twice buffers.high_watermark",
          remedy: "a request that waits alone may hold more than the high watermark"))
    }
    return found
  }
}
