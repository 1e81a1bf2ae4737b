// `tachograph serve`: the flags of the proxy, and its exit code; `Service` does the rest.
import ArgumentParser
import Logging
import Service

struct ServeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Stand in front of an LLM server: forward every byte, record every token's time.",
    discussion: """
      Every setting can be given in a YAML file (--config), as an environment variable, or as a flag. `tachograph config` prints \
      all settings with their meaning and default. The variable of a setting is TACHOGRAPH_ and its name in capitals: \
      records.file is TACHOGRAPH_RECORDS_FILE. A flag wins over a variable, and a variable over the file. Of a flag that is \
      given twice the last one counts; of two --set of one name, too.

      Exit codes: 0 after SIGTERM or SIGINT; 1 if the machine refuses something, such as an address in use; 2 if a flag or a \
      setting is wrong: then nothing is served, and a restart cannot help.

      Signals: SIGTERM or SIGINT drains. No new client is accepted, open streams may end within timeouts.drain, and every \
      record is written. A second signal ends everything at once. SIGUSR1 opens the log again, after it was renamed. SIGHUP \
      does that and reads the settings again; if one is wrong, it says so on standard error and changes nothing.

      If systemd hands sockets down (LISTEN_FDS), those are used and --listen is not.
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
