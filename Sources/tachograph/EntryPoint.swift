// Where the program begins: a command line that is wrong ends it with exit code 2, as a wrong setting does.
import ArgumentParser
import Glibc
import Service

@main
enum EntryPoint {
  /// The exit code of a command line that is wrong. systemd's unit does not start the service again after it.
  private static let wrongArguments: Int32 = 2

  static func main() {
    do {
      var command = try Tachograph.parseAsRoot()
      try command.run()
    } catch {
      guard Tachograph.exitCode(for: error) == .validationFailure else { Tachograph.exit(withError: error) }
      let message = withFlagMeant(in: Tachograph.fullMessage(for: error), CommandLine.arguments)
      if !message.isEmpty { _ = Terminal.write(message + "\n", to: STDERR_FILENO) }
      exit(wrongArguments)
    }
  }

  /// The parser's message; where it names an unknown flag of `serve`, with the flag that was probably meant. The parser
  /// itself compares letters only, and suggests `--set` for `--port`.
  static func withFlagMeant(in message: String, _ arguments: [String]) -> String {
    let beginning = "Error: Unknown option '"
    guard arguments.dropFirst().first == "serve", message.hasPrefix(beginning) else { return message }
    let unknown = message.dropFirst(beginning.count).prefix { $0 != "'" }
    guard let meant = SettingsHelp.flag(meantBy: String(unknown)) else { return message }
    let rest = message.drop { $0 != "\n" }
    return "\(beginning)\(unknown)'. Did you mean '\(meant)'?\(rest)"
  }
}
