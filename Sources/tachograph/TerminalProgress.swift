// A progress line on stderr that shows up only where somebody waits for it.
// It must not know what is read.
import Clocks
import Glibc
import Report
import Synchronization

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
      state.drawnAt = now
      let text = ProgressLine.text(
        doneBytes: state.doneBytes, totalBytes: totalBytes, seconds: Double(elapsed) / 1e9)
      let columns = Terminal.size(STDERR_FILENO)?.columns ?? 80
      _ = Terminal.write("\r\(TerminalText.cut(text, to: columns - 1))\u{1B}[K", to: STDERR_FILENO)
    }
  }

  /// Takes the line away again.
  func clear() {
    if state.withLock({ $0.drawnAt != nil }) { _ = Terminal.write("\r\u{1B}[K", to: STDERR_FILENO) }
  }
}
