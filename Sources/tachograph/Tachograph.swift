// The root of the command line: the subcommands and the version.
import ArgumentParser

struct Tachograph: ParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "tachograph",
    abstract: "A transparent proxy that records the arrival time of every token of an LLM server.",
    discussion: """
      A wrong flag or argument ends a command with exit code 2. Of a flag that is given twice the last one counts; flags that \
      are called repeatable count each time.
      """,
    version: version,
    subcommands: [
      ServeCommand.self, TailCommand.self, ReportCommand.self, SimulateCommand.self, DemoCommand.self,
      LoadCommand.self, ConfigCommand.self, DieWithParentCommand.self,
    ])
}
