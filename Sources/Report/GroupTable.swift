// All groups of a report in bounded memory: the largest are kept whole, the others are folded into one.

/// How much memory a report may use, in each thread.
public struct ReportLimits: Sendable {
  /// Groups kept; at twice as many the smaller half is folded.
  public var groups = 10_000
  /// Bytes that the groups' distributions may use before the smaller groups are folded.
  public var bytes = 192 << 20
  /// Distinct keys, shown or folded; rows of further keys are folded without the key being counted.
  public var keys = 1_000_000

  /// The limits a report has unless told otherwise.
  public init() {}
}

/// Groups by key. A group that is shown is always whole: once a key is folded its later rows are folded too, and where two
/// tables merge a key that either of them has folded is folded.
struct GroupTable: Sendable {
  /// In group of a group's index.
  private static let foldedMark: Int32 = -1
  private static let rowsBetweenMemoryChecks = 1 << 16

  private let limits: ReportLimits
  /// Whether each group is a session.
  private let keepsTurns: Bool
  private var keys: KeyInterner
  /// The index in `groups` of each key.
  private var groupOfKey: [Int32] = []
  /// The key of each group: the inverse of `groupOfKey`.
  private var keyOfGroup: [Int] = []
  private var groups: [GroupTally] = []
  /// The group of rows without a key.
  private(set) var keyless = GroupTally()
  /// All that was folded.
  private(set) var folded = GroupTally()
  private var rowsSinceMemoryCheck = 0

  init(limits: ReportLimits, keepsTurns: Bool = false) {
    self.limits = limits
    self.keepsTurns = keepsTurns
    keys = KeyInterner(maximumKeys: limits.keys)
  }

  /// Keys folded into `folded`, at least: `hasUncountedKeys`.
  var foldedKeys: Int { keys.count - groups.count }
  /// Whether keys were folded that `foldedKeys` does not count.
  var hasUncountedKeys: Bool { keys.isFull }

  /// Which group a row belongs to.
  enum Destination: Equatable {
    case keyless
    case key(Int)
    /// The key did not fit.
    case folded
  }

  /// The destination of rows with `key`.
  mutating func destination(of key: Span<UInt8>) -> Destination {
    guard let number = keys.intern(key) else { return .folded }
    if number == groupOfKey.count { open(number, with: GroupTally()) }
    return .key(number)
  }

  mutating func add(_ row: ReportRow, to destination: Destination) {
    switch destination {
    case .keyless: keyless.add(row)
    case .key(let key) where groupOfKey[key] != Self.foldedMark:
      groups[Int(groupOfKey[key])].add(row, keepsTurns: keepsTurns)
    case .key, .folded: folded.add(row)
    }
    rowsSinceMemoryCheck += 1
    if groups.count >= 2 * limits.groups || rowsSinceMemoryCheck == Self.rowsBetweenMemoryChecks { shrink() }
  }

  /// The groups with their keys, in no order.
  var named: [(key: String, tally: GroupTally)] {
    groups.indices.map { (String(decoding: keys.bytes(of: keyOfGroup[$0]), as: UTF8.self), groups[$0]) }
  }

  private mutating func open(_ key: Int, with tally: GroupTally) {
    groupOfKey.append(Int32(groups.count))
    keyOfGroup.append(key)
    groups.append(tally)
  }

  private mutating func fold(_ key: Int) {
    guard groupOfKey[key] != Self.foldedMark else { return }
    let group = Int(groupOfKey[key])
    folded.fold(groups[group])
    let last = groups.count - 1
    groups.swapAt(group, last)
    keyOfGroup.swapAt(group, last)
    groupOfKey[keyOfGroup[group]] = Int32(group)
    groupOfKey[key] = Self.foldedMark
    groups.removeLast()
    keyOfGroup.removeLast()
  }

  /// Where there are too many groups, or they use too much memory, folds the smallest until half of the bound is left.
  private mutating func shrink() {
    rowsSinceMemoryCheck = 0
    var bytes = groups.reduce(0) { $0 + $1.footprintBytes }
    guard groups.count >= 2 * limits.groups || bytes > limits.bytes else { return }
    let maximumBytes = bytes > limits.bytes ? limits.bytes / 2 : limits.bytes
    let smallestFirst = keyOfGroup.sorted {
      groups[Int(groupOfKey[$0])].requests < groups[Int(groupOfKey[$1])].requests
    }
    for key in smallestFirst where groups.count > limits.groups || bytes > maximumBytes {
      bytes -= groups[Int(groupOfKey[key])].footprintBytes
      fold(key)
    }
  }
}

extension GroupTable {
  /// Adds another part of the same report.
  mutating func merge(_ other: GroupTable) {
    keyless.merge(other.keyless)
    folded.merge(other.folded)
    // A key that a full table does not have may be among those it rejected.
    if other.keys.isFull { foldKeys { other.keys.find($0) == nil } }
    let mayHaveRejectedKeys = keys.isFull
    for key in 0..<other.keys.count { merge(key, of: other, mayHaveRejectedKeys: mayHaveRejectedKeys) }
    shrink()
  }

  private mutating func merge(_ theirKey: Int, of other: GroupTable, mayHaveRejectedKeys: Bool) {
    let isFolded = other.groupOfKey[theirKey] == Self.foldedMark
    let theirs = isFolded ? GroupTally() : other.groups[Int(other.groupOfKey[theirKey])]
    let bytes = other.keys.bytes(of: theirKey)
    let ours = keys.find(bytes.span)
    if let ours, groupOfKey[ours] != Self.foldedMark, !isFolded { return groups[Int(groupOfKey[ours])].merge(theirs) }
    if let ours {
      fold(ours)
      return folded.fold(theirs)
    }
    guard !mayHaveRejectedKeys, let key = keys.intern(bytes.span) else {
      return folded.fold(theirs)
    }
    open(key, with: theirs)
    if isFolded { fold(key) }
  }

  private mutating func foldKeys(where shouldFold: (Span<UInt8>) -> Bool) {
    for key in 0..<keys.count {
      if shouldFold(keys.bytes(of: key).span) { fold(key) }
    }
  }
}
