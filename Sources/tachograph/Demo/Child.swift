// A child process that runs a subcommand of this binary and ends with this process.
import Glibc

/// A running `tachograph` subcommand.
struct Child {
  /// The subcommand's name, for messages.
  let name: String
  let id: pid_t

  /// Starts `tachograph ARGUMENTS…`; nil where the system cannot start a process.
  /// - Parameter log: the file for its output; nil is this process's output.
  init?(_ arguments: [String], log: String?) {
    name = arguments.first ?? ""
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    if let log {
      unsafe posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
      unsafe posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
    }
    var id = pid_t()
    let result = unsafe withCStrings(["tachograph", "leashed", String(getpid())] + arguments) {
      unsafe posix_spawn(&id, "/proc/self/exe", &actions, nil, $0, environ)
    }
    guard result == 0 else { return nil }
    self.id = id
  }

  /// Whether it still runs; one that has ended is reaped.
  func isRunning() -> Bool { waitpid(id, nil, WNOHANG) == 0 }

  /// Ends it by SIGTERM, and after `patience` seconds by SIGKILL.
  func stop(patience: Double = 3) {
    // A process that has ended may have left its id to another one.
    guard isRunning() else { return }
    kill(id, SIGTERM)
    for _ in 0..<Int(patience * 50) {
      guard isRunning() else { return }
      usleep(20_000)
    }
    kill(id, SIGKILL)
    _ = waitpid(id, nil, 0)
  }
}
