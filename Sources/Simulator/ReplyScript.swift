// The steps of one reply as a state machine without I/O or a clock: which event comes next, and how long after the one before.

/// Decides the steps of one reply. Drawn from a behaviour; the same seed gives the same script.
struct ReplyScript: Sendable {
  /// What happens at one instant.
  enum Step: Hashable, Sendable {
    /// An event with this many tokens, for each choice.
    case tokens(Int)
    /// So many tokens of each choice whose text comes with the next event's.
    case merged(Int)
    /// So many tokens of each choice whose text never comes.
    case swallowed(Int)
    /// The reply ends normally.
    case finish
    /// The server fails.
    case fault(FaultKind)
  }

  /// Tokens of each choice so far.
  private(set) var written = 0
  /// Tokens of each choice in total.
  let total: Int
  /// Whether the request's limit made the total smaller.
  let isCutByLimit: Bool
  /// Whether events follow one another without any pause.
  let isFlood: Bool

  private let interval: Distribution
  private let tokensPerEvent: Distribution
  private let mergeEvery: Int
  private let swallow: (afterTokens: Int, tokens: Int)?
  private let fault: Fault?
  private let stall: (afterTokens: Int, nanoseconds: Int64)?
  private var source: RandomSource
  /// Nanoseconds from the request to the first event.
  let ttftNanoseconds: Int64

  init(_ behaviour: Behaviour, limit: Int?, source: RandomSource) {
    var source = source
    var ttft = behaviour.ttft.drawWhole(&source)
    if behaviour.spreadsPhase { ttft += Int64(behaviour.interval.center * source.unit()) }
    ttftNanoseconds = ttft
    let wanted = Int(min(behaviour.tokens.drawWhole(&source), 1_000_000_000))
    total = min(wanted, limit ?? .max)
    isCutByLimit = total < wanted
    interval = behaviour.interval
    isFlood = behaviour.interval.isZero
    tokensPerEvent = behaviour.tokensPerEvent
    mergeEvery = behaviour.mergeEvery
    swallow = behaviour.swallow
    fault = behaviour.fault
    stall = behaviour.stall
    self.source = source
  }

  /// Whether the next step follows the last token without a pause: the reply's end, or the beginning of a silence.
  var isAtEnd: Bool { written == total || fault == Fault(kind: .hang, afterTokens: written) }

  /// Decides the next step.
  mutating func next() -> Step {
    if let fault, written >= fault.afterTokens { return .fault(fault.kind) }
    guard written < total else { return .finish }
    var count = min(max(1, Int(tokensPerEvent.drawWhole(&source))), total - written)
    if let fault { count = min(count, fault.afterTokens - written) }
    if let stall, written < stall.afterTokens { count = min(count, stall.afterTokens - written) }
    if let swallow { count = min(count, Self.distance(from: written, to: swallow)) }
    let first = written
    written += count
    if let swallow, first >= swallow.afterTokens, first < swallow.afterTokens + swallow.tokens {
      return .swallowed(count)
    }
    // The last token has nothing behind it that its text could come with.
    return mergeEvery > 0 && written < total && written.isMultiple(of: mergeEvery) ? .merged(count) : .tokens(count)
  }

  /// Tokens up to where swallowing begins, or ends.
  private static func distance(from written: Int, to swallow: (afterTokens: Int, tokens: Int)) -> Int {
    if written < swallow.afterTokens { return swallow.afterTokens - written }
    let end = swallow.afterTokens + swallow.tokens
    return written < end ? end - written : .max
  }

  /// Draws how long after the present event the next one comes, in nanoseconds.
  mutating func pause() -> Int64 {
    let pause = interval.drawWhole(&source)
    guard let stall, stall.afterTokens == written else { return pause }
    return pause + stall.nanoseconds
  }
}
