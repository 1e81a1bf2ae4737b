// The root of the command line: the subcommands and the version.
import ArgumentParser

@main
struct Tachograph: ParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "tachograph",
    abstract: "A transparent proxy that records the arrival time of every token of an LLM server.",
    version: version,
    subcommands: [
      ServeCommand.self, TailCommand.self, ReportCommand.self, SimulateCommand.self, DemoCommand.self,
      LoadCommand.self, DieWithParentCommand.self,
    ])
}
