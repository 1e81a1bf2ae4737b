// Where the secret of the fingerprints comes from, and that a place to keep one is not demanded.
import Foundation
import Glibc
import Logging
import Measurement
import SettingValues
import TestSupport
import Testing

@testable import Service

@Suite("The secret of the fingerprints")
struct IdentitySecretTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func settings(records: Settings.RecordsTarget, file: String? = nil) -> Settings {
    var settings = Settings(upstream: UpstreamAddress(host: "127.0.0.1", port: 1))
    settings.records.file = records
    settings.identity.secretFile = file
    return settings
  }

  @Test("Beside a log that is a file it is kept, without a warning")
  func kept() throws {
    defer { folder.remove() }
    let loaded = try IdentitySecret.load(settings(records: .file(folder.file("log.jsonl"))), variable: nil)
    #expect(loaded.warning == nil)
    #expect(FileManager.default.fileExists(atPath: folder.file("tachograph.secret")))
  }

  @Test("Where records go to no file, it is in memory, and one warning says how to keep it")
  func noFile() throws {
    defer { folder.remove() }
    let fifo = folder.file("fifo")
    #expect(mkfifo(fifo, 0o600) == 0)
    for target in [.standardOutput, .file("/dev/stdout"), .file("/proc/self/fd/1"), .file("/dev/null"), .file(fifo)]
      as [Settings.RecordsTarget]
    {
      let loaded = try IdentitySecret.load(settings(records: target), variable: nil)
      #expect(loaded.warning?.contains("identity.secret_file") == true)
    }
    for place in [folder.file("tachograph.secret"), "/dev/tachograph.secret", "tachograph.secret"] {
      #expect(!FileManager.default.fileExists(atPath: place))
    }
  }

  @Test("Where the folder takes no file, it is in memory, and the warning says why")
  func folderRefuses() throws {
    defer { folder.remove() }
    let loaded = try IdentitySecret.load(settings(records: .file("/sys/log.jsonl")), variable: nil)
    #expect(loaded.warning?.contains("/sys/tachograph.secret") == true)
    #expect(loaded.warning?.contains("TACHOGRAPH_IDENTITY_SECRET") == true)
  }

  @Test("A given one makes none, and the variable wins over the file")
  func given() throws {
    defer { folder.remove() }
    let file = try folder.write("a secret of some length", to: "given")
    chmod(file, 0o440)
    let settings = settings(records: .file(folder.file("log.jsonl")), file: file)
    #expect(try IdentitySecret.load(settings, variable: nil).warning == nil)
    #expect(throws: ServiceFailure.self) { try IdentitySecret.load(settings, variable: "short") }
    #expect(!FileManager.default.fileExists(atPath: folder.file("tachograph.secret")))
  }

  @Test("A given one that cannot be used ends the start with exit code 2: a restart cannot help")
  func wrong() throws {
    defer { folder.remove() }
    let settings = settings(records: .standardOutput, file: folder.file("none"))
    let failure = #expect(throws: ServiceFailure.self) { try IdentitySecret.load(settings, variable: nil) }
    #expect(failure?.exitCode == 2 && failure?.messages.first?.contains(folder.file("none")) == true)
  }

  @Test("A log whose folder is not there, or is no folder, is reported as that")
  func missingFolder() throws {
    defer { folder.remove() }
    _ = try folder.write("", to: "plain")
    for (path, words) in [("none/log.jsonl", "is not there"), ("plain/log.jsonl", "is not a folder")] {
      let failure = #expect(throws: ServiceFailure.self) {
        try Settings.RecordsTarget.file(folder.file(path)).checkFolder()
      }
      #expect(failure?.messages.first?.contains(words) == true && failure?.exitCode == 1)
    }
    for target in [.file("log.jsonl"), .file("/log.jsonl"), .standardOutput] as [Settings.RecordsTarget] {
      #expect(throws: Never.self) { try target.checkFolder() }
    }
  }
}
