// A progress line on stderr that shows up only where somebody waits for it, and goes away with the process.
// It must not know what is read.
import Clocks
import Glibc
import Report
import Synchronization

/// Whether there is a progress line on the terminal. A signal handler asks it, so it belongs to no object.
private let isProgressDrawn = Atomic(false)

/// Counts bytes from any thread and draws, at most ten times a second, once a second has passed; nothing where stderr
/// is no terminal.
final class TerminalProgress: Sendable {
  private struct State {
    var doneBytes = 0
    var drawnAt: Instant?
  }

  private let totalBytes: Int?
  private let isShown = Terminal.isTerminal(STDERR_FILENO)
  private let startedAt = Instant.now()
  private let state = Mutex(State())

  /// - Parameter totalBytes: what there is to read; nil where nobody knows.
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
      // Room is left for the terminal's ^C, which would otherwise begin another line.
      _ = Terminal.write("\r\(TerminalText.cut(text, to: columns - 3))\u{1B}[K", to: STDERR_FILENO)
    }
  }

  /// Takes the line away again.
  func clear() {
    guard isProgressDrawn.exchange(false, ordering: .relaxed) else { return }
    _ = Terminal.write(Self.emptyLine.description, to: STDERR_FILENO)
  }

  /// Back to the line's start, and nothing behind it.
  private static var emptyLine: StaticString { "\r\u{1B}[K" }

  /// Has Ctrl-C and SIGTERM take the line away, and then end the process as they would have. What was told to ignore them
  /// goes on ignoring them.
  private static func clearWhenInterrupted() {
    // A global is made when it is first asked for: not by the handler.
    isProgressDrawn.store(false, ordering: .relaxed)
    for number in [SIGINT, SIGTERM] {
      let before = signal(number) { number in
        // Only what POSIX allows a signal handler: no memory is asked for.
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
