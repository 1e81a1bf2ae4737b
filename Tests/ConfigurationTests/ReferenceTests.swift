// That the example an operator copies is the reference: it loads, names every setting, and says the defaults.
// It must not know a single setting by name, but the one that has no default.
import Foundation
import SettingValues
import Testing

@testable import Configuration

@Suite("Reference")
struct ReferenceTests {
  private let path = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../config/tachograph.yaml").standardizedFileURL.path

  @Test("config/tachograph.yaml is the reference (WRITE_REFERENCE=1 makes it so)")
  func exampleIsReference() throws {
    if ProcessInfo.processInfo.environment["WRITE_REFERENCE"] == "1" {
      try Settings.referenceFile.write(toFile: path, atomically: true, encoding: .utf8)
    }
    let contents = try String(contentsOfFile: path, encoding: .utf8)
    #expect(contents == Settings.referenceFile)
  }

  @Test("The reference loads, says every setting, and what it says is the default")
  func referenceIsDefaults() throws {
    var fromReference = SettingsLoader()
    fromReference.addFile(path: "reference", contents: Settings.referenceFile)
    var fromNothing = SettingsLoader()
    fromNothing.addFlags(["upstream": "http://127.0.0.1:8000"])
    let said = try fromReference.load()
    let standard = try fromNothing.load()
    #expect(said.current.map(\.value) == standard.current.map(\.value))
    #expect(said.current.allSatisfy { $0.origin != .standard })
    var bare = said
    bare.origins = standard.origins
    #expect(bare == standard)
  }

  @Test("Every setting's variable is its own")
  func variables() {
    #expect(Set(Setting.all.map(\.environmentName)).count == Setting.all.count)
  }

  @Test("Every setting can be said in the environment just as the reference says it")
  func environment() throws {
    var loader = SettingsLoader()
    let example = Settings(upstream: UpstreamAddress(host: "127.0.0.1", port: 8000))
    let pairs = Setting.all.map { setting in
      switch setting.value(example) {
      case .one(let scalar): (setting.environmentName, scalar.text)
      case .many(let scalars): (setting.environmentName, scalars.map(\.text).joined(separator: ","))
      }
    }
    loader.addEnvironment(Dictionary(uniqueKeysWithValues: pairs))
    var loaded = try loader.load()
    loaded.origins = [:]
    #expect(loaded == example)
  }

  @Test("What is set is written so that a file takes it back")
  func roundTrip() throws {
    var loader = SettingsLoader()
    loader.addFlags([
      "upstream": "http://[::1]:1", "listen": "[::1]:0", "records.file": "-", "instance": "42", "workers": "3",
      "identity.trusted_proxies": "::1,10.0.0.0/8",
    ])
    let settings = try loader.load()
    var again = SettingsLoader()
    for row in settings.current {
      let parts = row.name.split(separator: ".")
      let contents = parts.count == 2 ? "\(parts[0]):\n  \(parts[1]): \(row.value)" : "\(row.name): \(row.value)"
      again.addFile(path: "again", contents: contents)
    }
    #expect(try again.load().current.map(\.value) == settings.current.map(\.value))
  }

  @Test("The settings in force are a file that says them again, and where each was said")
  func currentFile() throws {
    var loader = SettingsLoader()
    loader.addEnvironment(["TACHOGRAPH_RECORDS_QUEUE": "17"])
    loader.addFlags(["upstream": "http://127.0.0.1:8000", "admin.listen": "0"])
    loader.addAssignments(["identity.headers=x-a,x-b", "records.file=a b#c"])
    let settings = try loader.load()
    let file = settings.currentFile
    #expect(file.contains("\nrecords:\n") && file.contains("  queue: 17  # TACHOGRAPH_RECORDS_QUEUE\n"))
    #expect(
      file.contains("upstream: \"http://127.0.0.1:8000\"  # --upstream\n") || file.contains("8000  # --upstream\n"))
    #expect(file.contains("workers: auto  # default\n"))
    var again = SettingsLoader()
    again.addFile(path: "in force", contents: file)
    #expect(try again.load().current.map(\.value) == settings.current.map(\.value))
  }

  @Test(
    "A value in force is written so that a file with it is read as the same value",
    arguments: [
      "tab\t", "tru:", "a\u{2028}b", "line\nbreak", "del\u{7F}", "c1\u{9B}", "back\\slash\"", "é",
    ])
  func quotedValue(value: String) throws {
    var loader = SettingsLoader()
    loader.addAssignments(["upstream=http://127.0.0.1:8000", "records.file=\(value)"])
    let settings = try loader.load()
    var again = SettingsLoader()
    again.addFile(path: "in force", contents: settings.currentFile)
    #expect(try again.load().records.file == settings.records.file)
  }
}
