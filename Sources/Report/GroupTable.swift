// All groups of a report in bounded memory: the largest whole, the rest folded together.
// It must not know what the keys name, nor how groups are shown.

/// How much a report may remember (of each thread's part).
public struct ReportLimits: Sendable {
  /// Groups kept apart; at twice as many the smaller half is folded.
  public var groups = 10_000
  /// Bytes that the groups' distributions may take before the smaller groups are folded.
  public var bytes = 192 << 20
  /// Distinct keys told apart, shown or folded; a key past them goes to the folded ones unseen.
  public var keys = 1_000_000

  /// The limits a report has unless told otherwise.
  public init() {}
}

/// Groups by key. A group that is shown is whole: once folded, a key's later rows are folded too, and where two tables
/// merge a key that either has folded is folded.
struct GroupTable: Sendable {
  private static let folded: Int32 = -1
  private static let rowsBetweenWeighings = 1 << 16

  private let limits: ReportLimits
  private var keys: KeyInterner
  /// A key's place in `groups`, by key.
  private var places: [Int32] = []
  /// The key of each group: the inverse of `places`.
  private var owners: [Int] = []
  private var groups: [GroupTally] = []
  /// The group of rows without a key.
  private(set) var keyless = GroupTally()
  /// All that was folded.
  private(set) var rest = GroupTally()
  private var rowsSinceWeighing = 0

  init(limits: ReportLimits) {
    self.limits = limits
    keys = KeyInterner(maximumKeys: limits.keys)
  }

  /// Keys folded into `rest`, at least: some may have been turned away uncounted.
  var foldedKeys: Int { keys.count - groups.count }
  /// Whether keys were folded that `foldedKeys` does not count.
  var hasUncountedKeys: Bool { keys.isFull }

  /// Where a row belongs.
  enum Owner: Equatable {
    case keyless
    case key(Int)
    case unknown
  }

  /// Finds the owner of rows with `key`.
  mutating func owner(of key: Span<UInt8>) -> Owner {
    guard let number = keys.intern(key) else { return .unknown }
    if number == places.count { open(number, with: GroupTally()) }
    return .key(number)
  }

  mutating func add(_ row: ReportRow, to owner: Owner) {
    switch owner {
    case .keyless: keyless.add(row)
    case .key(let key) where places[key] != Self.folded: groups[Int(places[key])].add(row)
    case .key, .unknown: rest.add(row)
    }
    rowsSinceWeighing += 1
    if groups.count >= 2 * limits.groups || rowsSinceWeighing == Self.rowsBetweenWeighings { shrink() }
  }

  /// The groups with their keys, in no order.
  var named: [(key: String, tally: GroupTally)] {
    groups.indices.map { (String(decoding: keys.bytes(of: owners[$0]), as: UTF8.self), groups[$0]) }
  }

  private mutating func open(_ key: Int, with tally: GroupTally) {
    places.append(Int32(groups.count))
    owners.append(key)
    groups.append(tally)
  }

  private mutating func fold(_ key: Int) {
    guard places[key] != Self.folded else { return }
    let place = Int(places[key])
    rest.merge(groups[place])
    let last = groups.count - 1
    groups.swapAt(place, last)
    owners.swapAt(place, last)
    places[owners[place]] = Int32(place)
    places[key] = Self.folded
    groups.removeLast()
    owners.removeLast()
  }

  /// Where there are too many groups, or they weigh too much, folds the smallest until half of what is allowed is left.
  private mutating func shrink() {
    rowsSinceWeighing = 0
    var bytes = groups.reduce(0) { $0 + $1.footprintBytes }
    guard groups.count >= 2 * limits.groups || bytes > limits.bytes else { return }
    let mostBytes = bytes > limits.bytes ? limits.bytes / 2 : limits.bytes
    let smallestFirst = owners.sorted { groups[Int(places[$0])].requests < groups[Int(places[$1])].requests }
    for key in smallestFirst where groups.count > limits.groups || bytes > mostBytes {
      bytes -= groups[Int(places[key])].footprintBytes
      fold(key)
    }
  }
}

extension GroupTable {
  /// Adds another part of the same report.
  mutating func merge(_ other: GroupTable) {
    keyless.merge(other.keyless)
    rest.merge(other.rest)
    // A key that a full table does not know may be among those it turned away.
    if other.keys.isFull { foldKeys { other.keys.find($0) == nil } }
    let mayHaveTurnedAway = keys.isFull
    for key in 0..<other.keys.count { merge(key, of: other, mayHaveTurnedAway: mayHaveTurnedAway) }
    shrink()
  }

  private mutating func merge(_ theirKey: Int, of other: GroupTable, mayHaveTurnedAway: Bool) {
    let isFolded = other.places[theirKey] == Self.folded
    let theirs = isFolded ? GroupTally() : other.groups[Int(other.places[theirKey])]
    let bytes = other.keys.bytes(of: theirKey)
    let known = keys.find(bytes.span)
    if let known, places[known] != Self.folded, !isFolded { return groups[Int(places[known])].merge(theirs) }
    if let known {
      fold(known)
      return rest.merge(theirs)
    }
    guard !mayHaveTurnedAway, let key = keys.intern(bytes.span) else {
      return rest.merge(theirs)
    }
    open(key, with: theirs)
    if isFolded { fold(key) }
  }

  private mutating func foldKeys(where isUnsure: (Span<UInt8>) -> Bool) {
    for key in 0..<keys.count {
      if isUnsure(keys.bytes(of: key).span) { fold(key) }
    }
  }
}
