// Durations of one stream in little memory: exact while they are few, a log-linear histogram once they are many.
import Metrics

/// Durations, and their quantiles.
///
/// Up to `exactLimit` samples are stored exactly, four bytes each: whole nanoseconds up to 2.1 s, steps of 4.096 µs above
/// (a relative error below 2·10⁻⁶), growing by doubling. From then on they are counted in buckets 1/128 wide relative to
/// their value (a quantile is then off by at most 0.4 %), in pages that exist only where samples fall: the HDR library's
/// histogram of the same range takes 13 KiB at two digits, this one about 1 KiB for a steady stream. The largest
/// sample is always exact. The newest few are inside the value itself: an array is touched once for eight of them, and by a
/// short answer not at all.
struct SampleStore: Sendable {
  private static let coarseFlag: UInt32 = 1 << 31
  private static let coarseShift: UInt64 = 12
  private static let mostNew = 8

  /// Samples added.
  private(set) var count = 0
  /// The largest sample, ns, exact.
  private(set) var maximum: UInt64 = 0
  /// Samples that are not yet in `exact` or `histogram`, in whole nanoseconds.
  private var new = InlineArray<8, UInt32>(repeating: 0)
  private var newCount = 0
  private var exact: [UInt32] = []
  private var histogram: LogLinearHistogram?
  private let exactLimit: Int

  init(exactLimit: Int) { self.exactLimit = exactLimit }

  /// Adds `nanoseconds` (a negative one as 0).
  mutating func add(_ nanoseconds: Int64) {
    let value = UInt64(max(nanoseconds, 0))
    guard value < UInt64(Self.coarseFlag) else { return add(nanoseconds, times: 1) }
    maximum = max(maximum, value)
    count &+= 1
    new[newCount] = UInt32(truncatingIfNeeded: value)
    newCount &+= 1
    if newCount == Self.mostNew { flush() }
  }

  /// Adds `nanoseconds` (a negative one as 0) `times` times.
  ///
  /// More than 2³² − 1 times count as that many: a server may claim any number of tokens.
  mutating func add(_ nanoseconds: Int64, times claimed: Int) {
    let times = Int(UInt32(clamping: claimed))
    guard times > 0 else { return }
    let value = UInt64(max(nanoseconds, 0))
    flush()
    maximum = max(maximum, value)
    count += times
    if histogram == nil {
      if count <= exactLimit {
        let packed = Self.pack(value)
        for _ in 0..<times { exact.append(packed) }
        return
      }
      moveToHistogram()
    }
    histogram?.add(value, times: times)
  }

  /// Moves the newest samples to the others.
  private mutating func flush() {
    if histogram == nil, count > exactLimit { moveToHistogram() }
    let newest = new.span.extracting(first: newCount)
    if histogram == nil {
      unsafe newest.withUnsafeBufferPointer { unsafe exact.append(contentsOf: $0) }
    } else {
      histogram?.add(newest)
    }
    newCount = 0
  }

  private mutating func moveToHistogram() {
    var histogram = LogLinearHistogram()
    for packed in exact { histogram.add(Self.unpack(packed), times: 1) }
    exact = []
    self.histogram = histogram
  }

  /// The sample, where there is one only: a short answer has no more, and there are many short answers.
  var single: UInt64? { count == 1 ? maximum : nil }

  /// The values (ns) at `ranks`, which are fractions in ascending order: the smallest sample that at least that
  /// fraction of the samples does not exceed (nearest rank). Nil where there is no sample.
  func quantiles(_ fractions: [Double]) -> [UInt64]? {
    guard count > 0 else { return nil }
    if let single { return fractions.map { _ in single } }
    if newCount > 0, count > exactLimit {
      var flushed = self
      flushed.flush()
      return flushed.quantiles(fractions)
    }
    let ranks = fractions.map { min(max(Int(($0 * Double(count)).rounded(.up)), 1), count) }
    let values: [UInt64]
    if let histogram {
      values = histogram.values(atRanks: ranks)
    } else {
      values = exactValues(atRanks: ranks)
    }
    return zip(ranks, values).map { rank, value in rank == count ? maximum : min(value, maximum) }
  }

  /// Counts every sample in `counter`; one from the histogram counts as the middle of its bucket.
  func count(in counter: borrowing BucketCounter) {
    if let single { return counter.add(Int64(min(single, UInt64(Int64.max)))) }
    for place in 0..<newCount { counter.add(Int64(new[place])) }
    // Events that came in one read have gaps of 0: what is alike is counted at once.
    var start = 0
    while start < exact.count {
      let packed = exact[start]
      let end = exact[start...].firstIndex { $0 != packed } ?? exact.count
      counter.add(Int64(Self.unpack(packed)), times: end - start)
      start = end
    }
    histogram?.forEachBucket { value, times in counter.add(Int64(min(value, maximum)), times: times) }
  }

  private func exactValues(atRanks ranks: [Int]) -> [UInt64] {
    unsafe withUnsafeTemporaryAllocation(of: UInt32.self, capacity: exact.count + newCount) { samples in
      _ = unsafe samples.initialize(from: exact)
      for place in 0..<newCount { unsafe samples.initializeElement(at: exact.count + place, to: new[place]) }
      var inPlace = 0
      return ranks.map { rank in
        let place = rank - 1
        // The largest is known, and the samples before the last rank are in place.
        if place >= inPlace, rank < count {
          unsafe Self.select(place, of: samples, from: inPlace)
          inPlace = rank
        }
        return unsafe Self.unpack(samples[place])
      }
    }
  }

  /// Moves samples from `low` on so that the one at `place` is that which would stand there were they sorted, with no
  /// larger one before it (Hoare's quickselect; the middle one of three as pivot).
  private static func select(_ place: Int, of samples: UnsafeMutableBufferPointer<UInt32>, from low: Int) {
    var low = low
    var high = samples.count - 1
    while low < high {
      let (a, b, c) = unsafe (samples[low], samples[(low + high) / 2], samples[high])
      let pivot = max(min(a, b), min(max(a, b), c))
      var left = low
      var right = high
      while left <= right {
        while unsafe samples[left] < pivot { left &+= 1 }
        while unsafe samples[right] > pivot { right &-= 1 }
        if left <= right {
          unsafe samples.swapAt(left, right)
          left &+= 1
          right &-= 1
        }
      }
      if place > right, place < left { return }
      if place <= right { high = right } else { low = left }
    }
  }

  private static func pack(_ value: UInt64) -> UInt32 {
    if value < UInt64(coarseFlag) { return UInt32(value) }
    return coarseFlag | UInt32(min(value >> coarseShift, UInt64(coarseFlag - 1)))
  }

  private static func unpack(_ packed: UInt32) -> UInt64 {
    packed < coarseFlag ? UInt64(packed) : UInt64(packed & ~coarseFlag) << coarseShift
  }
}

/// Counts in log-linear buckets, 128 to a doubling, in pages of 32 that are allocated when first needed.
struct LogLinearHistogram: Sendable {
  private static let precisionBits = 7
  private static let pageBits = 5
  /// Values from 2⁴⁴ ns (4.9 hours) on share the last bucket.
  private static let valueBits = 44
  private static let noPage = UInt8.max

  private var directory: [UInt8]
  private var counts: [UInt32] = []

  init() {
    let buckets = (Self.valueBits - Self.precisionBits + 1) << Self.precisionBits
    directory = Array(repeating: Self.noPage, count: buckets >> Self.pageBits)
  }

  mutating func add(_ value: UInt64, times: Int) {
    let slot = slot(of: value)
    let (sum, overflow) = counts[slot].addingReportingOverflow(UInt32(clamping: times))
    counts[slot] = overflow ? .max : sum
  }

  /// Adds each of `values` once.
  mutating func add(_ values: Span<UInt32>) {
    for index in values.indices { add(UInt64(values[index]), times: 1) }
  }

  /// Where a value is counted. Allocates its page if there is none.
  private mutating func slot(of value: UInt64) -> Int {
    let bucket = Self.bucket(of: value)
    var page = directory[bucket >> Self.pageBits]
    if page == Self.noPage {
      page = UInt8(counts.count >> Self.pageBits)
      directory[bucket >> Self.pageBits] = page
      counts.append(contentsOf: repeatElement(0, count: 1 << Self.pageBits))
    }
    return Int(page) << Self.pageBits | bucket & (1 << Self.pageBits - 1)
  }

  /// The middle of the bucket that holds each rank (1-based, ascending).
  func values(atRanks ranks: [Int]) -> [UInt64] {
    var values: [UInt64] = []
    var passed = 0
    var last: UInt64 = 0
    forEachBucket { value, here in
      passed += here
      last = value
      while values.count < ranks.count, ranks[values.count] <= passed { values.append(last) }
    }
    while values.count < ranks.count { values.append(last) }
    return values
  }

  /// Calls `body` with the middle and the count of each bucket that is not empty.
  func forEachBucket(_ body: (_ value: UInt64, _ times: Int) -> Void) {
    for (high, page) in directory.enumerated() where page != Self.noPage {
      for low in 0..<(1 << Self.pageBits) {
        let here = Int(counts[Int(page) << Self.pageBits | low])
        if here > 0 { body(Self.middle(of: high << Self.pageBits | low), here) }
      }
    }
  }

  private static func bucket(of value: UInt64) -> Int {
    let value = min(value, 1 << valueBits - 1)
    guard value >= 1 << precisionBits else { return Int(value) }
    let exponent = 63 - value.leadingZeroBitCount
    let shift = exponent - precisionBits
    return (shift + 1) << precisionBits | Int(value >> UInt64(shift)) & (1 << precisionBits - 1)
  }

  private static func middle(of bucket: Int) -> UInt64 {
    guard bucket >= 1 << precisionBits else { return UInt64(bucket) }
    let shift = bucket >> precisionBits - 1
    let low = UInt64(1 << precisionBits | bucket & (1 << precisionBits - 1)) << UInt64(shift)
    return low + (1 << UInt64(shift)) / 2
  }
}
