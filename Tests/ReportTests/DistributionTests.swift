// Percentiles against exact ones, small distributions against the library's histogram, and merging.
import Histogram
import TestSupport
import Testing

@testable import Report

@Suite("Distributions")
struct DistributionTests {
  /// Values over the whole range, from microseconds to a day, more of them small.
  private static func values(_ count: Int, seed: UInt64) -> [UInt64] {
    var random = SeededRandom(seed: seed)
    return (0..<count).map { _ in
      let magnitude = UInt64.random(in: 0...36, using: &random)
      return UInt64.random(in: 0...(1 << magnitude), using: &random)
    }
  }

  private static func distribution(_ values: [UInt64]) -> Distribution {
    var distribution = Distribution()
    for value in values { distribution.record(value) }
    return distribution
  }

  @Test("Buckets are those of HdrHistogram with three digits")
  func buckets() {
    let histogram = Histogram<UInt64>(numberOfSignificantValueDigits: .three)
    let edges = (0..<50).flatMap { shift in [-1, 0, 1].map { UInt64(bitPattern: Int64(1) << shift + $0) } }
    for value in edges.filter({ $0 < 1 << 50 }) + Self.values(2000, seed: 1) {
      let lowest = Distribution.lowestValue(ofBucket: Distribution.bucket(of: value))
      #expect(lowest == histogram.lowestEquivalentForValue(value), "\(value)")
    }
  }

  @Test("Percentiles are within 0.1 % of the exact ones, as a list and as a histogram", arguments: [1, 2, 999, 30_000])
  func accuracy(_ count: Int) throws {
    let values = Self.values(count, seed: 2)
    let distribution = Self.distribution(values)
    let sorted = values.sorted()
    for perMille in [500, 900, 990, 999, 1000] {
      // Nearest rank: the smallest value that so many of the values do not exceed.
      let exact = sorted[(perMille * count + 999) / 1000 - 1]
      let value = try #require(distribution.value(atPercentile: Double(perMille) / 10))
      #expect(value >= exact && Double(value) <= Double(exact) * 1.001, "\(perMille) per mille")
    }
    #expect(distribution.value(atPercentile: 100) == sorted.last)
    #expect(distribution.maximum == sorted.last)
    #expect(distribution.count == count)
  }

  @Test("A list answers what the library's histogram answers")
  func likeTheLibrary() {
    let values = Self.values(3000, seed: 3)
    let distribution = Self.distribution(values)
    var histogram = Histogram<UInt64>(numberOfSignificantValueDigits: .three)
    for value in values { histogram.record(value) }
    for percentile in stride(from: 0.5, through: 100, by: 0.5) {
      #expect(distribution.value(atPercentile: percentile) == histogram.valueAtPercentile(percentile))
    }
  }

  @Test("Parts that are merged say what the whole says, small into small, small into large and the other way")
  func merging() {
    for (first, second) in [(10, 20), (10, 30_000), (30_000, 10), (30_000, 30_000), (9000, 9000), (0, 5), (5, 0)] {
      let (a, b) = (Self.values(first, seed: 4), Self.values(second, seed: 5))
      var merged = Self.distribution(a)
      merged.merge(Self.distribution(b))
      let whole = Self.distribution(a + b)
      #expect(merged.count == whole.count)
      for percentile in [1.0, 50, 90, 99, 99.99, 100] {
        #expect(merged.value(atPercentile: percentile) == whole.value(atPercentile: percentile), "\(first) \(second)")
      }
    }
  }

  @Test("Nothing recorded is no percentile, not a zero")
  func empty() {
    #expect(Distribution().value(atPercentile: 50) == nil)
    #expect(Percentiles(Distribution()) == nil)
  }

  @Test("A few values take little memory")
  func footprint() {
    #expect(Self.distribution(Self.values(100, seed: 6)).footprintBytes < 4096)
  }
}
