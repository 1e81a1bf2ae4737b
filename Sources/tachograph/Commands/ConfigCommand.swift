// `tachograph config`: every setting with its meaning and default, or what is wrong with a settings file.
import ArgumentParser
import Logging
import Service

struct ConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config",
    abstract: "Print every setting with its meaning and default, or check a settings file.",
    discussion: """
      What is printed is a settings file for `tachograph serve --config FILE`. Remove the settings that you do not change.

      With --check nothing is started, and the environment is not read: what the file sets is printed, or each mistake is \
      a line on standard error and the exit code is 2.
      """)

  @Option(help: ArgumentHelp("Check this settings file as `serve` reads it.", valueName: "file"), completion: .file())
  var check: String?

  func run() throws {
    Terminal.ignoreBrokenPipe()
    let text: String
    do throws(ServiceFailure) {
      text = try check.map(Self.summary) ?? SettingsHelp.reference
    } catch {
      for message in error.messages { Log.standardError.error("\(message)") }
      throw ExitCode(error.exitCode)
    }
    if !Terminal.write(text) { try CommandFailure.unwritten() }
  }

  private static func summary(of file: String) throws(ServiceFailure) -> String {
    let lines = try SettingsHelp.check(file: file)
    let what = lines.isEmpty ? "it sets nothing" : lines.count == 1 ? "it sets:" : "it sets \(lines.count) settings:"
    return (["\(file): no mistake found; \(what)"] + lines).joined(separator: "\n") + "\n"
  }
}
