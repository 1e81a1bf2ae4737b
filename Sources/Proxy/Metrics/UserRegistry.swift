// Which users have metrics of their own, for all workers: those with most tokens.
import Clocks
import Measurement
import Synchronization

/// What is counted of one user, or of several together.
struct UserCounts: Equatable, Sendable {
  var exchanges: UInt64 = 0
  var inputTokens: UInt64 = 0
  var outputTokens: UInt64 = 0

  mutating func add(_ other: UserCounts) {
    exchanges &+= other.exchanges
    inputTokens &+= other.inputTokens
    outputTokens &+= other.outputTokens
  }
}

/// The counts of at most `limit` users; the others' are one sum, so that a page of metrics stays as small as it began.
///
/// Clients can invent names. A user gets a series of its own while there is room, and later by having used more tokens than the one
/// with the fewest, whose counts are the others' from then on. Use is forgotten by half each hour, so that nobody keeps a place
/// that he does not use; and names that come once leave nothing behind, as of candidates there are no more than of users
/// (Misra and Gries' counts: where there are too many, each loses as much as the newcomer brings).
final class UserRegistry: Sendable {
  /// What is shown of all users.
  struct Snapshot: Sendable {
    /// By name.
    var users: [String: UserCounts] = [:]
    var others = UserCounts()
    /// Different users among the others; at least so many where it is `UserRegistry.mostCounted`.
    var folded = 0
  }

  /// Stands for every user beyond those that have series of their own; who is called so is among them.
  static let other = "other"

  /// Different users that are counted among the others, at most: 8 bytes each.
  static let mostCounted = 65_536

  private struct State {
    var shown = Snapshot()
    /// Tokens of late, of those that are shown and of those that may be.
    var use: [String: UInt64] = [:]
    var candidates: [String: UInt64] = [:]
    /// Hashes of users that are among the others.
    var folded: Set<Int> = []
    var hourBeganAt: Instant
  }

  private static let hourNanoseconds: Int64 = 3_600_000_000_000

  private let limit: Int
  private let now: @Sendable () -> Instant
  private let state: Mutex<State>

  /// - Parameter now: the clock; tests have one of their own.
  init(limit: Int, now: @escaping @Sendable () -> Instant = { .now() }) {
    self.limit = limit
    self.now = now
    state = Mutex(State(hourBeganAt: now()))
  }

  /// All counts; from any thread.
  var snapshot: Snapshot {
    state.withLock { state in
      var shown = state.shown
      shown.folded = state.folded.count
      return shown
    }
  }

  /// Counts an exchange that a dialect claims and whose user is named.
  @inline(__always)
  func count(_ record: borrowing ExchangeRecord) {
    guard record.dialect != nil, let user = record.user else { return }
    count(user, input: record.inputTokens ?? 0, output: record.outputTokens ?? 0)
  }

  /// Counts one exchange of `user`.
  func count(_ user: String, input: Int, output: Int) {
    let now = now()
    let counts = UserCounts(
      exchanges: 1, inputTokens: UInt64(clamping: input), outputTokens: UInt64(clamping: output))
    // An exchange without tokens is use, too.
    let use = max(counts.inputTokens &+ counts.outputTokens, 1)
    state.withLock { state in
      Self.age(&state, now)
      if state.shown.users[user] == nil, user == Self.other || !admit(user, use, &state) {
        state.shown.others.add(counts)
        if state.folded.count < Self.mostCounted { state.folded.insert(user.hashValue) }
        return
      }
      state.shown.users[user, default: UserCounts()].add(counts)
      state.use[user, default: 0] &+= use
    }
  }

  /// - Returns: whether the user has a series of its own from now on.
  private func admit(_ user: String, _ use: UInt64, _ state: inout State) -> Bool {
    guard state.shown.users.count >= limit else { return true }
    guard limit > 0 else { return false }
    guard state.candidates[user] != nil || state.candidates.count < limit else {
      state.candidates = state.candidates.compactMapValues { $0 > use ? $0 - use : nil }
      return false
    }
    let total = state.candidates[user, default: 0] &+ use
    state.candidates[user] = total
    guard let least = state.shown.users.keys.min(by: { state.use[$0, default: 0] < state.use[$1, default: 0] }),
      state.use[least, default: 0] < total
    else { return false }
    if let counts = state.shown.users.removeValue(forKey: least) { state.shown.others.add(counts) }
    if state.folded.count < Self.mostCounted { state.folded.insert(least.hashValue) }
    state.candidates[least] = state.use.removeValue(forKey: least)
    state.candidates[user] = nil
    state.folded.remove(user.hashValue)
    state.use[user] = total - use
    return true
  }

  /// Halves what was used, for each hour that has passed.
  private static func age(_ state: inout State, _ now: Instant) {
    let passed = now.nanoseconds(since: state.hourBeganAt) / hourNanoseconds
    guard passed > 0 else { return }
    let halvings = UInt64(min(passed, 63))
    state.use = state.use.mapValues { $0 >> halvings }
    state.candidates = state.candidates.compactMapValues { $0 >> halvings > 0 ? $0 >> halvings : nil }
    state.hourBeganAt = state.hourBeganAt.advanced(byNanoseconds: passed * hourNanoseconds)
  }
}
