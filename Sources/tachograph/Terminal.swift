// The terminal: its size, whether it shows colours, and writing to it.
import ArgumentParser
import Glibc
import Logging
import RecordLog

/// When to write colours.
enum ColourChoice: String, CaseIterable, ExpressibleByArgument {
  case auto
  case always
  case never

  /// Whether to write colours to `descriptor`. `auto` writes them to a terminal, unless NO_COLOR is set
  /// (https://no-color.org) or TERM is `dumb`.
  func isColoured(_ descriptor: Int32) -> Bool {
    switch self {
    case .always: true
    case .never: false
    case .auto:
      Terminal.isTerminal(descriptor) && (Terminal.environment("NO_COLOR") ?? "").isEmpty
        && Terminal.environment("TERM") != "dumb"
    }
  }
}

/// Functions of the terminal.
enum Terminal {
  static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

  static func environment(_ name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
  }

  /// Columns and rows of the terminal behind `descriptor`; nil where there is none, or its size is not known.
  static func size(_ descriptor: Int32) -> (columns: Int, rows: Int)? {
    var size = winsize()
    guard unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
    return (Int(size.ws_col), Int(size.ws_row))
  }

  /// Writes all of `text`.
  /// - Returns: false where it cannot be written; `errno` is EPIPE where the reader has gone.
  static func write(_ text: String, to descriptor: Int32 = STDOUT_FILENO) -> Bool {
    var text = text
    return text.withUTF8 { utf8 in
      var written = 0
      while written < utf8.count {
        let count = unsafe Glibc.write(descriptor, utf8.baseAddress.map { unsafe $0 + written }, utf8.count - written)
        if count >= 0 {
          written += count
        } else if errno == EAGAIN {
          waitUntilWritable(descriptor)
        } else if errno != EINTR {
          return false
        }
      }
      return true
    }
  }

  /// Another process may have made the shared terminal non-blocking.
  private static func waitUntilWritable(_ descriptor: Int32) {
    var watch = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    _ = unsafe poll(&watch, 1, -1)
  }

  /// Makes `write` fail with EPIPE where the reader has gone (`| head`), instead of ending the process by a signal.
  static func ignoreBrokenPipe() { _ = signal(SIGPIPE, SIG_IGN) }

  /// Makes Ctrl-C and SIGTERM end the process with exit code 0: they are the usual way to end `tail`. Only whole lines
  /// are written, so nothing is left unfinished.
  static func endCleanlyWhenInterrupted() {
    _ = signal(SIGINT) { _ in _exit(0) }
    _ = signal(SIGTERM) { _ in _exit(0) }
  }
}

/// How the commands that look at logs fail.
enum CommandFailure {
  /// `write` has just failed. That the reader has gone (`| head`) is no failure of the command.
  static func unwritten() throws {
    let reason = errno
    guard reason != EPIPE else { return }
    Log.standardError.error("cannot write to standard output: \(unsafe String(cString: strerror(reason)))")
    throw ExitCode.failure
  }

  /// Logs why a log cannot be read.
  /// - Returns: the exit code for it.
  static func unreadable(_ error: RecordReadError) -> ExitCode {
    Log.standardError.error("\(error)")
    return ExitCode(2)
  }
}
