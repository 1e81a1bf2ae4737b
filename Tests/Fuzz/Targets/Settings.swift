// Settings: files, variables and flags that people write.
import Configuration
import SettingValues

/// A file, and behind the first and second NUL an environment and assignments, a line each: loaded or refused in words.
func checkConfiguration(_ bytes: [UInt8], _ run: FuzzRun) throws(Finding) {
  let parts = bytes.split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false).map {
    String(decoding: $0, as: UTF8.self)
  }
  func lines(_ index: Int) -> [String] {
    index < parts.count ? parts[index].split(separator: "\n").map(String.init) : []
  }
  var environment: [String: String] = [:]
  for line in lines(1) {
    let pair = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    if pair.count == 2 { environment["TACHOGRAPH_" + pair[0]] = pair[1] }
  }
  func load() -> Result<Settings, SettingsErrors> {
    var loader = SettingsLoader()
    loader.addFile(path: "fuzz.yaml", contents: parts[0])
    loader.addEnvironment(environment)
    loader.addAssignments(lines(2))
    return Result { () throws(SettingsErrors) in try loader.load() }
  }
  let result = load()
  if run.isOne(of: 8) { try checkAgain(load(), result, hasComplexKey: parts[0].contains { "?{[".contains($0) }) }
  if case .failure(let errors) = result { try checkWords(errors) }
}

/// - Parameter hasComplexKey: whether a key may be a list or a group, of which Yams says one time that it is there twice, and
///   another time not.
private func checkAgain(
  _ again: Result<Settings, SettingsErrors>, _ first: Result<Settings, SettingsErrors>, hasComplexKey: Bool
) throws(Finding) {
  if case .failure = again, case .failure = first, hasComplexKey { return }
  try hold(again == first, "loaded twice, it is not the same")
}

/// The value of one setting, behind a byte that says which: refused in words; or in force, and as it is written then it is
/// the same value.
func checkSetting(_ bytes: [UInt8], _ run: FuzzRun) throws(Finding) {
  guard let first = bytes.first else { return }
  let name = settingNames[Int(first) % settingNames.count]
  let text = String(decoding: bytes.dropFirst(), as: UTF8.self)
  let settings: Settings
  do throws(SettingsErrors) { settings = try load(name, text) } catch { return try checkWords(error) }
  // Yams leaves a byte order mark out at the beginning of a value.
  guard !text.unicodeScalars.contains("\u{FEFF}") else { return }
  let value = written(name, settings)
  guard let again = try? loadFile(name, value) else {
    throw Finding("\(name)=\(text) is in force as \(value), and that is refused")
  }
  let second = written(name, again)
  try hold(second == value, "\(name)=\(text) is in force as \(value), and that as \(second)")
}

private let settingNames = (try? load("upstream", "http://127.0.0.1:8000"))?.current.map(\.name) ?? []

private func load(_ name: String, _ value: String) throws(SettingsErrors) -> Settings {
  var loader = SettingsLoader()
  loader.addAssignments(["upstream=http://127.0.0.1:8000", "\(name)=\(value)"])
  return try loader.load()
}

/// From a file, in whose form values in force are written.
private func loadFile(_ name: String, _ value: String) throws(SettingsErrors) -> Settings {
  var loader = SettingsLoader()
  if name != "upstream" { loader.addAssignments(["upstream=http://127.0.0.1:8000"]) }
  let groups = name.split(separator: ".")
  let lines = groups.indices.map { index in String(repeating: "  ", count: index) + groups[index] + ":" }
  loader.addFile(path: "fuzz.yaml", contents: lines.joined(separator: "\n") + " \(value)\n")
  return try loader.load()
}

private func written(_ name: String, _ settings: Settings) -> String {
  settings.current.first { $0.name == name }?.value ?? ""
}

private func checkWords(_ errors: SettingsErrors) throws(Finding) {
  try hold(!errors.problems.isEmpty, "refused for no reason")
  for problem in errors.problems {
    let text = problem.description
    let isPlain = text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    try hold(!text.isEmpty && isPlain, "said: \(text)")
  }
}
