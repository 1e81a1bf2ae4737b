// A child process of this same binary, that cannot outlive us.
// It must not know what the child does.
import Glibc

/// A running `tachograph` subcommand.
struct Child {
  /// The subcommand's name, for messages.
  let name: String
  let id: pid_t

  /// Starts `tachograph ARGUMENTS…`; its output goes to the file `log`, or where ours goes if nil.
  /// - Returns: nil where the system gives no process.
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

  /// Whether it still runs; one that ended is taken off the system's books.
  func isRunning() -> Bool { waitpid(id, nil, WNOHANG) == 0 }

  /// Ends it: asked first, then, after `patience` seconds, at once.
  func stop(patience: Double = 3) {
    // The id of one that ended may be another's by now.
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
