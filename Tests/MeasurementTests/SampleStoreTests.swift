// The sample store against sorted arrays of the same samples.
import Metrics
import TestSupport
import Testing

@testable import Measurement

@Suite("SampleStore")
struct SampleStoreTests {
  private static let fractions = [0.0, 0.5, 0.9, 0.99, 1]

  /// Nearest rank, from a sorted array.
  private static func expected(_ samples: [Int64]) -> [UInt64] {
    let sorted = samples.sorted()
    return fractions.map { fraction in
      let rank = min(max(Int((fraction * Double(samples.count)).rounded(.up)), 1), samples.count)
      return UInt64(sorted[rank - 1])
    }
  }

  @Test("Few samples are exact to the nanosecond", arguments: [1, 2, 3, 10, 511, 512])
  func exact(count: Int) {
    var generator = SeededRandom(seed: UInt64(count))
    var store = SampleStore(exactLimit: 512)
    var samples: [Int64] = []
    for _ in 0..<count {
      samples.append(Int64.random(in: 0..<2_000_000_000, using: &generator))
      store.add(samples[samples.count - 1])
    }
    #expect(store.quantiles(Self.fractions) == Self.expected(samples))
  }

  @Test("In whatever order samples come, the same ones are found", arguments: [9, 64, 200, 512])
  func orders(count: Int) {
    let up = (0..<count).map { Int64($0 * 3 + 1) }
    let orders: [[Int64]] = [
      up, up.reversed(), up.map { $0 % 5 }, up.map { _ in 7 }, up.map { $0 % 2 == 0 ? $0 : Int64(count * 3) - $0 },
      up.map { ($0 * 7919) % 1009 },
    ]
    for samples in orders {
      var store = SampleStore(exactLimit: 512)
      for sample in samples { store.add(sample) }
      #expect(store.quantiles(Self.fractions) == Self.expected(samples))
      let all = (1...count).map { (Double($0) - 0.5) / Double(count) }
      #expect(store.quantiles(all) == samples.sorted().map(UInt64.init))
    }
  }

  @Test("Many samples are right to 0.4 %, the largest exactly", arguments: [513, 1_000, 50_000])
  func folded(count: Int) throws {
    var generator = SeededRandom(seed: UInt64(count))
    var store = SampleStore(exactLimit: 512)
    var samples: [Int64] = []
    for _ in 0..<count {
      // From 1 ns to 18 minutes, evenly over the magnitudes.
      let magnitude = Int64(1) << Int64.random(in: 0..<40, using: &generator)
      samples.append(Int64.random(in: magnitude..<(2 * magnitude), using: &generator))
      store.add(samples[samples.count - 1])
    }
    let values = try #require(store.quantiles(Self.fractions))
    for (value, expected) in zip(values, Self.expected(samples)) {
      #expect((Double(value) - Double(expected)).magnitude <= 0.004 * Double(expected) + 0.5)
    }
    #expect(values.last == UInt64(samples.max() ?? 0))
  }

  @Test("Long gaps keep six digits, and the longest is exact")
  func longSamples() throws {
    var store = SampleStore(exactLimit: 512)
    let hour: Int64 = 3_600_000_000_000
    for sample in [hour, 2 * hour + 7, 9 * hour + 1] { store.add(sample) }
    let values = try #require(store.quantiles([0, 0.5, 1]))
    #expect(UInt64(hour) - values[0] < 4_096)
    #expect(UInt64(2 * hour + 7) - values[1] < 4_096)
    #expect(values[2] == UInt64(9 * hour + 1))
  }

  @Test("A sample taken many times weighs as many, and never grows memory by it")
  func weights() {
    var store = SampleStore(exactLimit: 512)
    store.add(1_000, times: 3)
    store.add(2_000, times: 1_000_000_000)
    store.add(3_000, times: 0)
    store.add(-5, times: 1)
    #expect(store.count == 1_000_000_004)
    #expect(store.quantiles([0, 1]) == [0, 2_000])
    #expect(store.quantiles([0.5])?.first.map { (1_992...2_008).contains($0) } == true)
  }

  @Test(
    "Samples taken one by one and as once each are the same bag",
    arguments: [1, 2, 7, 8, 9, 511, 512, 513, 519, 520, 521])
  func oneByOne(count: Int) {
    var generator = SeededRandom(seed: UInt64(count) &+ 5)
    var store = SampleStore(exactLimit: 512)
    var reference = SampleStore(exactLimit: 512)
    for _ in 0..<count {
      // Up to 9 hours, among them those that need more than four bytes.
      let sample = Int64.random(in: -1..<(1 << Int64.random(in: 1..<45, using: &generator)), using: &generator)
      store.add(sample)
      reference.add(sample, times: 1)
      let fractions = [0, 0.3, 0.5, 1]
      if count < 10 { #expect(store.quantiles(fractions) == reference.quantiles(fractions)) }
    }
    let fractions = (0...100).map { Double($0) / 100 }
    #expect(store.quantiles(fractions) == reference.quantiles(fractions))
    #expect(store.count == reference.count && store.maximum == reference.maximum && store.single == reference.single)
    store.add(3_000, times: 5)
    reference.add(3_000, times: 5)
    #expect(store.quantiles(fractions) == reference.quantiles(fractions))
  }

  @Test("Counted by buckets every sample is counted once, exact ones exactly and folded ones within their 0.4 %")
  func buckets() {
    for samples in [100, 5_000] {
      var store = SampleStore(exactLimit: 512)
      for sample in 1...samples { store.add(Int64(sample) * 1_000_000) }
      let counter = BucketCounter(Buckets(seconds: [0.0505, 0.1, 4.8]))
      store.count(in: counter)
      let counts = counter.counts
      #expect(counts.count == UInt64(samples))
      #expect(counts.inBucket[0] == 50)
      #expect(counts.inBucket[1] == 50)
      let sum = Double(samples) * Double(samples + 1) / 2 * 1e6
      #expect(abs(Double(counts.sum) - sum) <= (samples > 512 ? sum * 0.004 : 0))
    }
  }

  @Test("No sample, no quantile")
  func empty() { #expect(SampleStore(exactLimit: 4).quantiles([0.5]) == nil) }
}
