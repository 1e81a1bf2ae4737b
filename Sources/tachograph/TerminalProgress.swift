// A progress line on standard error, if that is a terminal; it is removed at the end.
import Clocks
import Glibc
import Report
import Synchronization

/// Whether the progress line is shown. It is a global variable because a signal handler reads it.
private let isProgressDrawn = Atomic(false)

/// Counts bytes, from any thread, and draws the line at most ten times a second, after the first second. It draws
/// nothing where standard error is not a terminal.
final class TerminalProgress: Sendable {
  private struct State {
    var doneBytes = 0
    var drawnAt: Instant?
  }

  private let totalBytes: Int?
  private let isShown = Terminal.isTerminal(STDERR_FILENO)
  private let startedAt = Instant.now()
  private let state = Mutex(State())

  /// - Parameter totalBytes: the bytes to read; nil where that is not known.
  init(totalBytes: Int?) { self.totalBytes = totalBytes }

  func add(_ bytes: Int) {
    guard isShown else { return }
    state.withLock { state in
      state.doneBytes += bytes
      let now = Instant.now()
      let elapsed = now.nanoseconds(since: startedAt)
      guard elapsed > 1_000_000_000, now.nanoseconds(since: state.drawnAt ?? startedAt) > 100_000_000 else { return }
      if state.drawnAt == nil { Self.clearWhenInterrupted() }
      state.drawnAt = now
      isProgressDrawn.store(true, ordering: .relaxed)
      let text = ProgressLine.text(
        doneBytes: state.doneBytes, totalBytes: totalBytes, seconds: Double(elapsed) / 1e9)
      let columns = Terminal.size(STDERR_FILENO)?.columns ?? 80
      // The terminal shows ^C behind the line: without room for it a new line would begin.
      _ = Terminal.write("\r\(TerminalText.cut(text, to: columns - 3))\u{1B}[K", to: STDERR_FILENO)
    }
  }

  /// Removes the line.
  func clear() {
    guard isProgressDrawn.exchange(false, ordering: .relaxed) else { return }
    _ = Terminal.write(Self.emptyLine.description, to: STDERR_FILENO)
  }

  /// Moves to the start of the line and clears it.
  private static var emptyLine: StaticString { "\r\u{1B}[K" }

  /// Makes Ctrl-C and SIGTERM remove the line, and then end the process as usual. Where they are ignored, they stay
  /// ignored.
  private static func clearWhenInterrupted() {
    // A global variable is initialized at its first use, which must not be in the handler.
    isProgressDrawn.store(false, ordering: .relaxed)
    for number in [SIGINT, SIGTERM] {
      let before = signal(number) { number in
        // Only what POSIX allows in a signal handler: nothing is allocated.
        if isProgressDrawn.load(ordering: .relaxed) {
          let line = TerminalProgress.emptyLine
          _ = unsafe Glibc.write(STDERR_FILENO, line.utf8Start, line.utf8CodeUnitCount)
        }
        _ = signal(number, SIG_DFL)
        raise(number)
      }
      if unsafe unsafeBitCast(before, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) {
        _ = signal(number, SIG_IGN)
      }
    }
  }
}
