// Distributions as Prometheus has them: how many values were at most as large as each of a few bounds, and their sum.

/// The upper bounds of a distribution's buckets. Values are whole numbers of a small unit, shown in a larger one.
public final class Buckets: Sendable {
  /// The most bounds that a distribution can have.
  static let limit = 31

  /// Each bound, in the small unit; a value that equals one is within it.
  let bounds: [UInt64]
  /// Each bound as it is shown.
  let labels: [String]
  /// How many of the small unit make one of the unit shown.
  let scale: Double
  /// By a value's width in bits, the first bucket that it can belong to: from there it is a step or two.
  private let first: [UInt8]

  /// Bounds in seconds, ascending, of values in nanoseconds.
  public init(seconds: [Double]) {
    precondition(seconds.count <= Self.limit)
    scale = 1e9
    bounds = seconds.map { UInt64(($0 * 1e9).rounded()) }
    labels = seconds.map { $0.description }
    let bounds = bounds
    first = (0...64).map { width in
      let smallest: UInt64 = width == 0 ? 0 : 1 << UInt64(width - 1)
      return UInt8(bounds.firstIndex { $0 >= smallest } ?? bounds.count)
    }
  }

  /// The bucket of `value`: that of the first bound not below it, or the one behind the last.
  func index(of value: UInt64) -> Int {
    var index = Int(first[UInt64.bitWidth - value.leadingZeroBitCount])
    while index < bounds.count, bounds[index] < value { index += 1 }
    return index
  }
}

/// A distribution that one thread writes and any may read: one `Counter` a bucket.
public struct BucketCounter: ~Copyable, Sendable {
  /// The bounds counted by.
  public let buckets: Buckets
  private let cells = InlineArray<32, Counter> { _ in Counter() }
  private let sum = Counter()

  /// A distribution without values.
  public init(_ buckets: Buckets) { self.buckets = buckets }

  /// Counts `value` (a negative one as 0) `times` times; from the writer's thread only.
  public func add(_ value: Int64, times: Int = 1) {
    let value = UInt64(max(value, 0))
    cells[buckets.index(of: value)].add(times)
    sum.add(Int(truncatingIfNeeded: value &* UInt64(truncatingIfNeeded: times)))
  }

  /// Adds what another has counted by the same bounds; from the writer's thread only.
  public func add(_ other: BucketCounts) {
    precondition(other.buckets === buckets)
    for index in other.inBucket.indices { cells[index].add(Int(truncatingIfNeeded: other.inBucket[index])) }
    sum.add(Int(truncatingIfNeeded: other.sum))
  }

  /// The counts so far; from any thread. Of a value that is being added at the same moment, a bucket may have it and the sum not yet.
  public var counts: BucketCounts {
    var counts = BucketCounts(buckets)
    for index in counts.inBucket.indices { counts.inBucket[index] = cells[index].count }
    counts.sum = sum.count
    return counts
  }
}

/// A distribution's counts at one moment, which can be merged with others'.
public struct BucketCounts: Sendable {
  /// The bounds counted by.
  public let buckets: Buckets
  /// Values in each bucket, not in those below it; the last holds what is above every bound.
  public internal(set) var inBucket: [UInt64]
  /// All values, in their small unit.
  public internal(set) var sum: UInt64 = 0

  /// A distribution without values.
  public init(_ buckets: Buckets) {
    self.buckets = buckets
    inBucket = Array(repeating: 0, count: buckets.bounds.count + 1)
  }

  /// Values counted.
  public var count: UInt64 { inBucket.reduce(0, &+) }

  /// Adds what another has counted by the same bounds.
  public mutating func merge(_ other: BucketCounts) {
    precondition(other.buckets === buckets)
    for index in inBucket.indices { inBucket[index] &+= other.inBucket[index] }
    sum &+= other.sum
  }
}
