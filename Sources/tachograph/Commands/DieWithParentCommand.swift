// `tachograph leashed PID ARGUMENTS…`: becomes `tachograph ARGUMENTS…`, which is killed when the process PID ends.
import ArgumentParser
import Glibc
import Logging
import Transport

struct DieWithParentCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "leashed",
    abstract: "Run a subcommand that ends with its parent. For tachograph demo.",
    shouldDisplay: false)

  @Argument(help: "The parent's process id.")
  var parent: Int32

  @Argument(parsing: .captureForPassthrough, help: "The subcommand and its arguments.")
  var arguments: [String]

  func run() throws {
    guard ParentProcess.dieWith(expected: parent) else { throw ExitCode.failure }
    _ = unsafe withCStrings(["tachograph"] + arguments) { unsafe execv("/proc/self/exe", $0) }
    Log.standardError.error("cannot start: \(unsafe String(cString: strerror(errno)))")
    throw ExitCode.failure
  }
}

/// Lends `strings` as a null-terminated array of C strings.
func withCStrings<Result>(_ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result) -> Result {
  let pointers = unsafe strings.map { unsafe strdup($0) }
  defer { unsafe pointers.forEach { unsafe free($0) } }
  return unsafe body(pointers + [nil])
}
