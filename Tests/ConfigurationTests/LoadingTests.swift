// That settings come from file, environment and flags by their precedence, and that all that is wrong is said at once.
// It must not know how the command line spells its flags.
import SettingValues
import Testing

@testable import Configuration

/// Loads with a valid upstream already there, so that a test says only what it is about.
private func load(
  file: String = "", environment: [String: String] = [:], flags: [String: String] = [:]
) throws(SettingsErrors) -> Settings {
  var loader = SettingsLoader()
  loader.addFile(path: "t.yaml", contents: file)
  loader.addEnvironment(environment)
  loader.addFlags(["upstream": "http://llm:8000"].merging(flags) { $1 })
  return try loader.load()
}

private func problems(
  file: String = "", environment: [String: String] = [:], flags: [String: String] = [:]
) -> [String] {
  do throws(SettingsErrors) {
    _ = try load(file: file, environment: environment, flags: flags)
    return []
  } catch {
    return error.problems.map(\.description)
  }
}

@Suite("Precedence")
struct PrecedenceTests {
  @Test("What nobody says is the default")
  func defaults() throws {
    let settings = try load()
    #expect(settings.listen.description == "127.0.0.1:4141")
    #expect(settings.records.file == .file("./tachograph.jsonl"))
    #expect(settings.workers == nil)
    #expect(settings.timeouts.response == nil)
    #expect(settings.identity.trustedProxies.isEmpty)
    #expect(settings.origin(of: "listen") == .standard)
  }

  @Test("A flag wins over the environment, that over a file, that over the default")
  func order() throws {
    let file = "records:\n  queue: 1\n  timeline: true\nworkers: 7\n"
    let environment = ["TACHOGRAPH_RECORDS_QUEUE": "2", "TACHOGRAPH_WORKERS": "5"]
    let settings = try load(file: file, environment: environment, flags: ["records.queue": "3"])
    #expect(settings.records.queue == 3)
    #expect(settings.workers == 5)
    #expect(settings.records.timeline)
    #expect(settings.origin(of: "records.queue") == .flag("--set records.queue"))
    #expect(settings.origin(of: "workers") == .environment("TACHOGRAPH_WORKERS"))
    #expect(settings.origin(of: "records.timeline") == .file(path: "t.yaml", line: 3))
  }

  @Test("The order in which the places are added does not matter")
  func addingOrder() throws {
    var loader = SettingsLoader()
    loader.addFlags(["upstream": "http://flag"])
    loader.addEnvironment(["TACHOGRAPH_UPSTREAM": "http://environment"])
    loader.addFile(path: "t.yaml", contents: "upstream: http://file")
    #expect(try loader.load().upstream.description == "flag:80")
  }

  @Test("A byte order mark at a file's beginning is no part of it", arguments: ["\n", "\r\n"])
  func byteOrderMark(lineEnd: String) throws {
    let settings = try load(file: "\u{FEFF}workers: 3\(lineEnd)records:\(lineEnd)  queue: 5\(lineEnd)")
    #expect(settings.workers == 3 && settings.records.queue == 5)
    #expect(settings.origin(of: "records.queue") == .file(path: "t.yaml", line: 3))
  }

  @Test("An empty variable counts as not set")
  func emptyVariable() throws {
    #expect(try load(file: "workers: 3", environment: ["TACHOGRAPH_WORKERS": ""]).workers == 3)
  }

  @Test("Lists outside a file stand between commas")
  func commas() throws {
    let settings = try load(
      environment: ["TACHOGRAPH_IDENTITY_HEADERS": "X-Team, x-user"], flags: ["identity.session_headers": ""])
    #expect(settings.identity.headers == ["x-team", "x-user"])
    #expect(settings.identity.sessionHeaders.isEmpty)
  }

  @Test("auto and off take a value back that a lower place gave")
  func takingBack() throws {
    let file = "workers: 3\ntimeouts: {response: 10s, between_reads: 5s}"
    let settings = try load(file: file, flags: ["workers": "auto", "timeouts.response": "off"])
    #expect(settings.workers == nil)
    #expect(settings.timeouts.response == nil)
    #expect(settings.timeouts.betweenReads == .seconds(5))
  }

  @Test("--set takes NAME=VALUE, and the value may hold an equals sign")
  func assignments() throws {
    var loader = SettingsLoader()
    loader.addAssignments(["upstream=http://a", "instance=a=b"])
    #expect(try loader.load().instance == "a=b")
  }

  @Test("Explaining names each setting, its value and where it was said")
  func explaining() throws {
    let settings = try load(file: "\nlimits:\n  event_bytes: 2MiB")
    let lines = settings.explain().split(separator: "\n").map(String.init)
    #expect(lines.count == Setting.all.count)
    #expect(lines.contains { $0.hasPrefix("limits.event_bytes ") && $0.contains(" 2MiB ") && $0.hasSuffix("t.yaml:3") })
    #expect(lines.contains { $0.hasPrefix("listen ") && $0.hasSuffix("default") })
  }
}

@Suite("Refusals")
struct RefusalTests {
  @Test("Without an upstream loading says where one can be said")
  func noUpstream() {
    #expect(throws: SettingsErrors.self) { try SettingsLoader().load() }
    do throws(SettingsErrors) {
      _ = try SettingsLoader().load()
    } catch {
      #expect(error.description.contains("TACHOGRAPH_UPSTREAM"))
      #expect(error.problems.count == 1)
    }
  }

  @Test(
    "An unknown key is refused with its line and the nearest valid key",
    arguments: [
      ("upstrem: http://a", 1, "upstream"), ("records:\n  queu: 1", 2, "records.queue"),
      ("\n\nqueue: 1", 3, "records.queue"), ("record:\n  queue: 1", 1, "records"),
      ("timeouts:\n  # comment\n  conect: 1s", 3, "timeouts.connect"),
    ])
  func unknownKey(file: String, line: Int, nearest: String) {
    let found = problems(file: file)
    #expect(found.count == 1)
    #expect(found.first?.hasPrefix("t.yaml:\(line): ") == true)
    #expect(found.first?.hasSuffix("did you mean \(nearest)?") == true)
  }

  @Test(
    "Where no valid key is near none is suggested",
    arguments: [
      "<<: {workers: 1}", "\"\": 1", "? \n: 1", "x: 1", "nonsense: 1", "records:\n  <<: 1", "records:\n  \"\": 1",
    ])
  func nothingNear(file: String) {
    let found = problems(file: file)
    #expect(found.count == 1)
    #expect(
      found.first?.hasSuffix(" is not a setting; remove it; `tachograph config` prints every setting") == true,
      "\(found)")
  }

  @Test(
    "A wrong type is refused with its line",
    arguments: [
      ("workers: many", 1), ("records:\n  queue: \"100\"", 2), ("records:\n  timeline: yes", 2),
      ("records:\n  timeline: \"true\"", 2), ("instance: 42", 1), ("workers: [1]", 1), ("workers:\n  a: 1", 2),
      ("identity:\n  headers: x-user", 2), ("records: file", 1), ("- upstream", 1),
      ("limits:\n  event_bytes: 5 apples", 2),
      ("timeouts:\n  connect: 10", 2), ("workers:", 1), ("identity:\n  headers: [[a]]", 2), ("workers: 0", 1),
    ])
  func wrongType(file: String, line: Int) {
    let found = problems(file: file)
    #expect(found.count == 1)
    #expect(found.first?.hasPrefix("t.yaml:\(line): ") == true, "\(found)")
  }

  @Test("A number in quotes is told to leave them out, a bare number for text to take them")
  func quotes() {
    #expect(problems(file: "records: {queue: \"100\"}").first?.hasSuffix("remove the quotes") == true)
    #expect(problems(file: "instance: 42").first?.hasSuffix("put it in quotes") == true)
  }

  @Test(
    "Broken YAML is refused with its line, and none of its text",
    arguments: [
      ("workers: 1\nlisten: [secret-text", 2...3), ("a: b: secret-text", 1...1), ("workers: 1\nworkers: 2", 1...2),
      ("upstream: *secret-text", 1...1), ("a: 1\n---\nb: 2", 1...3),
    ])
  func brokenYAML(file: String, lines: ClosedRange<Int>) {
    let found = problems(file: file)
    #expect(found.count == 1)
    #expect(lines.contains { found.first?.hasPrefix("t.yaml:\($0): ") == true }, "\(found)")
    #expect(!found.joined().contains("secret-text"))
  }

  @Test(
    "What stands twice is refused with the line of its second place",
    arguments: [
      ("workers: 1\nrecords:\n  queue: 1\n\nworkers: 2", 5), ("records:\n  queue: 1\n  # again\n  queue: 1", 4),
      ("records:\n  queue: 1\nlimits:\n  queue: 3\nrecords:\r\n  queue: 2", 5), ("workers: 1\r\nworkers: 2", 2),
      ("limits: {queue: 1, queue: 2}", 1),
    ])
  func twice(file: String, line: Int) {
    let found = problems(file: file)
    #expect(found.count == 1)
    #expect(found.first?.hasPrefix("t.yaml:\(line): ") == true, "\(found)")
  }

  @Test("Of a file that cannot be read as YAML nobody says that it names no upstream")
  func illegible() {
    for file in ["upstream: http://a\nlisten: [", "upstream: http://a\nupstream: http://b"] {
      var loader = SettingsLoader()
      loader.addFile(path: "t.yaml", contents: file)
      do throws(SettingsErrors) {
        _ = try loader.load()
        Issue.record("it was taken")
      } catch {
        #expect(error.problems.count == 1 && !error.description.contains("no upstream"), "\(error)")
      }
    }
  }

  @Test("Everything wrong in every place is said at once, one line each")
  func allAtOnce() {
    let found = problems(
      file: "workers: no\nlisten: here", environment: ["TACHOGRAPH_RECORDS_QUEUE": "-1"],
      flags: ["limits.event_bytes": "big", "nonsense": "1"])
    #expect(found.count == 5)
    #expect(found.allSatisfy { !$0.contains("\n") })
    #expect(found.contains { $0.hasPrefix("TACHOGRAPH_RECORDS_QUEUE: ") })
    #expect(found.contains { $0.hasPrefix("--set limits.event_bytes: ") })
  }

  @Test("A wrong value in a file is refused even where a flag overrides it")
  func overridden() {
    #expect(problems(file: "workers: many", flags: ["workers": "1"]).count == 1)
  }

  @Test("A credential in the upstream's URL is refused and not repeated")
  func credentials() {
    let found = problems(flags: ["upstream": "http://user:hunter2@host"])
    #expect(found.count == 1)
    #expect(!found.joined().contains("hunter2"))
  }

  @Test("A value with control characters is shown in one line")
  func controlCharacters() {
    let found = problems(environment: ["TACHOGRAPH_WORKERS": "a\nb\u{1b}[31m"])
    #expect(found.count == 1)
    #expect(found.first?.contains { $0 == "\n" || $0 == "\u{1b}" } == false)
  }

  @Test("Settings that contradict each other are refused")
  func contradictions() {
    #expect(problems(flags: ["buffers.low_watermark": "256KiB"]).count == 1)
  }

  @Test(
    "A proxy that would call itself is refused, by whatever name of this machine",
    arguments: [
      ("127.0.0.1", "127.0.0.1", true), ("LocalHost", "127.0.0.1", true), ("localhost", "[::1]", true),
      ("0.0.0.0", "127.0.0.1", true), ("127.0.0.2", "0.0.0.0", true), ("localhost", "0.0.0.0", true),
      ("[::1]", "[::]", true), ("127.0.0.1", "[::]", true), ("[0:0::1]", "[::1]", true), ("[::]", "[::1]", true),
      ("127.0.0.2", "127.0.0.1", false), ("[::1]", "0.0.0.0", false), ("[::1]", "127.0.0.1", false),
      ("10.0.0.1", "0.0.0.0", false), ("llm", "0.0.0.0", false),
    ])
  func ownUpstream(host: String, listen: String, isRefused: Bool) {
    let found = problems(flags: ["upstream": "http://\(host):4000", "listen": "\(listen):4000"])
    #expect(found.count == (isRefused ? 1 : 0), "\(found)")
    #expect(problems(flags: ["upstream": "http://\(host):4000", "listen": "\(listen):4001"]).isEmpty)
  }

  @Test("A variable that is nearly a setting's is warned of; another program's is left alone")
  func nearVariable() throws {
    var loader = SettingsLoader()
    loader.addEnvironment(["TACHOGRAPH_UPSTREM": "x", "TACHOGRAPH_SERVICE_HOST": "10.0.0.1", "OTHER": "y"])
    #expect(loader.warnings.count == 1)
    #expect(loader.warnings.first?.contains("TACHOGRAPH_UPSTREAM") == true)
  }

  @Test("--set without an equals sign is refused")
  func badAssignment() {
    var loader = SettingsLoader()
    loader.addAssignments(["records.queue", "upstream=http://a"])
    #expect(throws: SettingsErrors.self) { try loader.load() }
  }
}
