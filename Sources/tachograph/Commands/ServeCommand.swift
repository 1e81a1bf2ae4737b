// `tachograph serve`: the flags of the proxy, and its exit code; `Service` does the rest.
import ArgumentParser
import Logging
import Service

struct ServeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Stand in front of an LLM server: forward every byte, record every token's time.",
    discussion: """
      Every setting can be given in a YAML file (--config, see config/tachograph.yaml), as an environment variable \
      (TACHOGRAPH_ and the setting's name in capitals: records.file is TACHOGRAPH_RECORDS_FILE), or as a flag; flags \
      win over the environment, which wins over the file. A wrong setting ends it with exit code 2 before anything is \
      served.

      SIGTERM or SIGINT drains: no new clients, open streams may end (timeouts.drain), every record is written, exit 0; \
      a second signal ends at once. SIGUSR1 opens the log anew, for rotation by rename; SIGHUP does that and has the \
      settings read again: what is wrong with them is said on standard error and changes nothing.

      Sockets that systemd hands down (LISTEN_FDS) are listened on in place of --listen.
      """)

  @Option(help: ArgumentHelp("The server to forward to, such as http://127.0.0.1:8000.", valueName: "url"))
  var upstream: String?

  @Option(
    help: ArgumentHelp(
      "Where clients connect; port 0 takes a free one. [default: 127.0.0.1:4141]", valueName: "address:port"))
  var listen: String?

  @Option(
    help: ArgumentHelp(
      "The file to append records to; - is standard output. [default: ./tachograph.jsonl]",
      discussion: "The secret of the API keys' fingerprints is kept beside a file, in tachograph.secret.",
      valueName: "file"))
  var records: String?

  @Option(
    help: ArgumentHelp(
      "Where /metrics and /-/ready are served; a port alone is one of this machine only. [default: off]",
      valueName: "address:port"))
  var admin: String?

  @Option(help: ArgumentHelp("Event loops, each with a thread. [default: one a core]", valueName: "count"))
  var workers: String?

  @Option(help: ArgumentHelp("A YAML file of settings.", valueName: "file"))
  var config: String?

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("Any other setting, as named in the YAML file; repeatable.", valueName: "name=value"))
  var assignments: [String] = []

  func run() throws {
    OpenFiles.raiseLimit()
    ServiceSignals.holdUntilStarted()
    do throws(ServiceFailure) {
      let inherited = try InheritedSockets.adopt()
      let source = try SettingsSource(file: config, flags: flags, assignments: assignments)
      let service = try ProxyService(
        source, inherited: inherited, version: Tachograph.version, log: .standardError)
      try ServiceSignals.pass(to: service)
      service.announce(inherited: !inherited.isEmpty)
      service.wait()
    } catch {
      for message in error.messages { Log.standardError.error("\(message)") }
      throw ExitCode(error.exitCode)
    }
  }

  private var flags: [String: String] {
    var flags: [String: String] = [:]
    flags["upstream"] = upstream
    flags["listen"] = listen
    flags["records.file"] = records
    flags["workers"] = workers
    flags["admin.listen"] = admin
    return flags
  }
}
