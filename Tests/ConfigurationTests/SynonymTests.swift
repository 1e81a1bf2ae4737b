// What other servers call settings of ours, as flags and in files.
import Testing

@testable import Configuration

@Suite("Names of other servers")
struct SynonymTests {
  @Test(
    "An unknown flag suggests the one that was meant",
    arguments: [
      ("--port", "--listen"), ("-p", "--listen"), ("--host", "--listen"), ("--bind-address", "--listen"),
      ("--backend", "--upstream"),
      ("--upsteam", "--upstream"), ("--log-file", "--records"), ("--metrics", "--admin"), ("--threads", "--workers"),
      ("--timeouts.idle", "--set timeouts.idle=VALUE"), ("--timeouts-idle", "--set timeouts.idle=VALUE"),
      ("--records-queue", "--set records.queue=VALUE"), ("--idle-timeout", "--set timeouts.idle=VALUE"),
    ])
  func flags(written: String, meant: String) { #expect(flag(meantBy: written) == meant) }

  @Test("What is like nothing suggests nothing", arguments: ["--nonsense", "--", "-x"])
  func nothing(written: String) { #expect(flag(meantBy: written) == nil) }

  @Test("A file's unknown name suggests the setting of that meaning")
  func inFile() {
    var loader = SettingsLoader()
    loader.addFile(path: "t.yaml", contents: "upstream: http://h\nport: 80\n")
    let error = #expect(throws: SettingsErrors.self) { try loader.load() }
    #expect(error?.description == "t.yaml:2: \"port\" is not a setting; did you mean listen?")
  }

  @Test("Every synonym stands for a setting that there is")
  func valid() {
    for name in [
      "port", "backend", "log", "metrics", "threads", "name", "maxconn", "maxinflight", "draintimeout", "reuseport",
    ] {
      #expect(synonym(of: name).flatMap(Setting.named) != nil, "\(name)")
    }
  }

  @Test("No message points at a file that a copied binary does not have")
  func messages() {
    var loader = SettingsLoader()
    loader.addFile(path: "t.yaml", contents: "upstream: http://h\nworkers: many\n")
    loader.addFile(path: "u.yaml", contents: "a: [")
    let error = #expect(throws: SettingsErrors.self) { try loader.load() }
    #expect(error?.description.contains("config/tachograph.yaml") == false)
    #expect(error?.problems.allSatisfy { $0.remedy.contains("`tachograph config`") } == true)
  }
}
