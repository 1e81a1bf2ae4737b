// That settings read again change what may change, keep what needs a restart, and are refused whole where any is wrong.
// It must not know what the proxy does with them.
import SettingValues
import Testing

@testable import Configuration

/// Loads `file` over defaults and an upstream that only files say.
private func loader(_ file: String) -> SettingsLoader {
  var loader = SettingsLoader()
  loader.addFile(path: "t.yaml", contents: file)
  return loader
}

private func reload(_ before: String, _ after: String) throws -> SettingsReload {
  try loader(after).reload(loader("upstream: http://llm:8000\n" + before).load())
}

@Suite("Reading settings again")
struct ReloadTests {
  @Test("What may change is taken over, with where it was said")
  func changes() throws {
    let reload = try reload(
      "timeouts:\n  idle: 10s\n", "upstream: http://other:9000\n\ntimeouts:\n  idle: 20s\n  response: 1m\n")
    #expect(reload.settings.upstream.description == "other:9000")
    #expect(reload.settings.timeouts.idle == .seconds(20))
    #expect(reload.settings.origin(of: "timeouts.idle") == .file(path: "t.yaml", line: 4))
    #expect(
      reload.changes.map(\.description) == [
        "upstream: http://other:9000 (was http://llm:8000)", "timeouts.idle: 20s (was 10s)",
        "timeouts.response: 1m (was off)",
      ])
    #expect(reload.needingRestart.isEmpty)
  }

  @Test("What needs a restart stays, and is named with what was asked for")
  func restart() throws {
    let reload = try reload(
      "workers: 2\nrecords:\n  file: a.jsonl\n",
      "upstream: http://llm:8000\nlisten: 127.0.0.1:1\nworkers: 4\nrecords:\n  file: b.jsonl\n  timeline: true\n")
    #expect(reload.settings.workers == 2)
    #expect(reload.settings.listen.port == 4141)
    #expect(reload.settings.records.file == .file("a.jsonl"))
    #expect(reload.settings.origin(of: "listen") == .standard)
    #expect(reload.settings.origin(of: "workers") == .file(path: "t.yaml", line: 2))
    #expect(reload.settings.records.timeline)
    #expect(reload.needingRestart.map(\.name) == ["listen", "workers", "records.file"])
    #expect(reload.changes.map(\.name) == ["records.timeline"])
  }

  @Test("A setting that is left out goes back to its default")
  func defaults() throws {
    let reload = try reload("timeouts:\n  idle: 10s\n", "upstream: http://llm:8000\n")
    #expect(reload.settings.timeouts.idle == .seconds(75))
    #expect(reload.settings.origin(of: "timeouts.idle") == .standard)
  }

  @Test("The same said again changes nothing")
  func nothing() throws {
    let reload = try reload("workers: 2\n", "workers: 2\nupstream: \"http://llm:8000\"\n")
    #expect(reload.changes.isEmpty && reload.needingRestart.isEmpty)
  }

  @Test("One mistake refuses it all, with its line and the nearest name")
  func mistake() throws {
    let error = try #require(throws: SettingsErrors.self) {
      try reload("", "upstream: http://other:1\ntimeouts:\n  idel: 1s\n")
    }
    #expect(error.description == "t.yaml:3: \"timeouts.idel\" is not a setting; did you mean timeouts.idle?")
  }

  @Test("What is new may not contradict what stays: the address listened on is no upstream")
  func contradiction() throws {
    let error = try #require(throws: SettingsErrors.self) {
      try reload("listen: 127.0.0.1:5000\n", "upstream: http://127.0.0.1:5000\nlisten: 127.0.0.1:6000\n")
    }
    #expect(error.description.contains("upstream and listen are the same address"))
  }
}
