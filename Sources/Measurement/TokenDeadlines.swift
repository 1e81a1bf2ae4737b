// Which tokens of a stream came later than its service level objective allows
// (Documentation.docc/Metrics.md, "Late tokens").
import Clocks

/// The deadlines of a stream's tokens: token i is due at t0 + TTFT objective + (i − 1) × TPOT objective.
struct TokenDeadlines: Sendable {
  /// When the next token is due; without an objective no token is ever late.
  private var nextAt = Instant(nanoseconds: .max)
  private var step: UInt64 = 0
  /// Tokens that came late.
  private(set) var late = 0

  /// Whether there is an objective.
  var areSet: Bool { step > 0 }

  /// Sets the objective, in nanoseconds.
  mutating func set(from requestCompleteAt: Instant, ttft: Int64, tpot: Int64) {
    guard ttft > 0, tpot > 0 else { return }
    nextAt = requestCompleteAt.advanced(byNanoseconds: ttft)
    step = UInt64(tpot)
  }

  /// Adds the next tokens, which came together.
  @inline(__always)
  mutating func add(_ tokens: Int, at: Instant) {
    if at > nextAt { noteLate(tokens, at) }
    nextAt.nanoseconds &+= step &* UInt64(truncatingIfNeeded: tokens)
  }

  @inline(never)
  private mutating func noteLate(_ tokens: Int, _ at: Instant) {
    let due = Int(UInt64(at.nanoseconds(since: nextAt) - 1) / step)
    late &+= min(tokens, due + 1)
  }
}
