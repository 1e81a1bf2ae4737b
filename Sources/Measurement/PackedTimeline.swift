// The instants and sizes of a stream's token-bearing events, eight bytes each (`records.timeline`).

/// A timeline: microseconds from t0 (44 bits: 203 days) and tokens (20 bits) of each event.
struct PackedTimeline: Sendable {
  /// The most events. A longer stream has no timeline: half of one would look whole.
  static let limit = 100_000
  private static let tokenBits: UInt64 = 20
  private static let unknown: UInt64 = 1 << tokenBits - 1

  private var entries: [UInt64] = []
  private(set) var overflowed = false

  /// Adds an event `nanoseconds` after t0 (before it: 0) of `tokens` tokens, nil where unknown.
  mutating func add(nanoseconds: Int64, tokens: Int?) {
    guard !overflowed else { return }
    guard entries.count < Self.limit else {
      overflowed = true
      entries = []
      return
    }
    let microseconds = (UInt64(max(nanoseconds, 0)) + 500) / 1_000
    let count = tokens.map { UInt64(clamping: $0) } ?? Self.unknown
    entries.append(microseconds << Self.tokenBits | min(count, Self.unknown))
  }

  /// The timeline as the record has it; nil where it is not whole.
  var unpacked: [TimelineEntry]? {
    guard !overflowed else { return nil }
    return entries.map { entry in
      let tokens = entry & Self.unknown
      return TimelineEntry(
        offsetMicroseconds: Int64(entry >> Self.tokenBits), tokens: tokens == Self.unknown ? nil : Int(tokens))
    }
  }
}
