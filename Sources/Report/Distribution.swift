// A mergeable distribution in HDR buckets of three significant digits, which is small while it holds few values.
import Histogram

/// Values from 0 up, each kept to within 0.1 %. Two of them merge without loss.
///
/// A full HDR histogram of three digits takes 50 to 230 KB, and a log may name ten thousand users with a few exchanges
/// each. So the same buckets are first kept as a sorted list of those in use (8 bytes each). The list becomes the
/// library's `Histogram` when there are many buckets, or so many values that searching the list costs more than memory.
struct Distribution: Sendable {
  /// Buckets in use, and values recorded, beyond which the list becomes a histogram.
  static let maximumListedBuckets = 4096
  static let maximumListedValues = 1 << 14

  private(set) var count = 0
  /// The smallest and largest value, exact.
  private(set) var minimum = UInt64.max
  private(set) var maximum: UInt64 = 0
  /// Buckets in use, in rising order: the bucket's number in the upper 16 bits, its count in the lower 48.
  private var buckets: [UInt64] = []
  private var histogram: Histogram<UInt64>?

  /// Bytes on the heap.
  var footprintBytes: Int { buckets.capacity * 8 + (histogram?.estimatedFootprintInBytes ?? 0) }

  mutating func record(_ value: UInt64) {
    count += 1
    minimum = min(minimum, value)
    maximum = max(maximum, value)
    if histogram?.record(value) == nil { add(1, toBucket: Self.bucket(of: value)) }
  }

  mutating func merge(_ other: Distribution) {
    guard other.count > 0 else { return }
    count += other.count
    minimum = min(minimum, other.minimum)
    maximum = max(maximum, other.maximum)
    if let theirs = other.histogram {
      if histogram == nil { convertToHistogram() }
      histogram?.add(theirs)
      return
    }
    for entry in other.buckets {
      let (bucket, bucketCount) = (entry >> 48, entry & Self.countMask)
      if histogram?.record(Self.lowestValue(ofBucket: bucket), count: bucketCount) == nil {
        add(bucketCount, toBucket: bucket)
      }
    }
  }

  /// The value at `percentile` (above 0, up to 100), as HdrHistogram defines it: the highest value equivalent to the one
  /// at that rank; never above the true maximum. Nil where nothing was recorded.
  func value(atPercentile percentile: Double) -> UInt64? {
    guard count > 0 else { return nil }
    guard let histogram else { return listedValue(atPercentile: percentile) }
    let value = histogram.valueAtPercentile(percentile)
    // The library knows a bucket's bounds; the true minimum and maximum are known here.
    return histogram.valuesAreEquivalent(value, maximum) ? maximum : max(value, minimum)
  }

  /// The same from the list, a thousand times faster than by making a histogram of it.
  private func listedValue(atPercentile percentile: Double) -> UInt64? {
    let rank = UInt64((min(percentile.nextDown, 100) * Double(count) / 100).rounded(.up))
    var passed: UInt64 = 0
    for entry in buckets {
      passed += entry & Self.countMask
      if passed >= rank { return min(Self.lowestValue(ofBucket: (entry >> 48) + 1) - 1, maximum) }
    }
    return maximum
  }

  private mutating func add(_ bucketCount: UInt64, toBucket bucket: UInt64) {
    var low = 0
    var high = buckets.count
    while low < high {
      let middle = (low + high) / 2
      if buckets[middle] >> 48 < bucket { low = middle + 1 } else { high = middle }
    }
    if low < buckets.count, buckets[low] >> 48 == bucket {
      buckets[low] += bucketCount
    } else {
      buckets.insert(bucket << 48 | bucketCount, at: low)
    }
    if buckets.count > Self.maximumListedBuckets || count > Self.maximumListedValues { convertToHistogram() }
  }

  /// Moves the list into a histogram, each bucket by its lowest value.
  private mutating func convertToHistogram() {
    var dense = Histogram<UInt64>(numberOfSignificantValueDigits: .three)
    for entry in buckets { dense.record(Self.lowestValue(ofBucket: entry >> 48), count: entry & Self.countMask) }
    histogram = dense
    buckets = []
  }
}

// HdrHistogram's own buckets for three digits: 2,048 of width 1, then 1,024 of width 2, 4, 8, …
extension Distribution {
  private static let countMask: UInt64 = (1 << 48) - 1

  static func bucket(of value: UInt64) -> UInt64 {
    guard value >= 2048 else { return value }
    let shift = UInt64(53 - value.leadingZeroBitCount)
    return (shift << 10) + (value >> shift)
  }

  static func lowestValue(ofBucket bucket: UInt64) -> UInt64 {
    guard bucket >= 2048 else { return bucket }
    let shift = (bucket >> 10) - 1
    return ((bucket & 1023) + 1024) << shift
  }
}
