// The command line's root: names the subcommands and the version.
// It must not know how any of them works.
import ArgumentParser

@main
struct Tachograph: ParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "tachograph",
    abstract: "A transparent proxy that stamps every token of an LLM server with its arrival time.",
    version: version,
    subcommands: [
      ServeCommand.self, TailCommand.self, ReportCommand.self, SimulateCommand.self, DemoCommand.self,
      LoadCommand.self, DieWithParentCommand.self,
    ])
}
