// Distributions: what their texts mean, and that draws are what was asked for.
import Testing

@testable import Simulator

@Suite("Distributions")
struct DistributionTests {
  @Test(
    "A duration is read with its unit, whatever the shape",
    arguments: [
      ("20ms", 20e6), ("fixed:1.5s", 1.5e9), ("uniform:10us,30us", 20e3), ("normal:5ms,1ms", 5e6), ("exp:7ns", 7),
      ("lognormal:120ms,0.4", 120e6), ("0", 0), ("3\u{B5}s", 3e3),
    ])
  func durations(text: String, center: Double) throws {
    #expect(try Distribution(duration: text).center == center)
  }

  @Test(
    "What cannot be meant is refused, with the reason",
    arguments: [
      ("20", "a duration needs a unit: ns, us, ms or s"), ("-1ms", "is no number of 0 or more"),
      ("uniform:3ms", "write it as uniform:LOW,HIGH"), ("uniform:3ms,1ms", "the low end is above the high end"),
      ("gauss:1ms,1ms", "is no distribution"), ("infms", "is no number"), ("nans", "is no number"),
      ("", "is no number"),
      ("normal:1ms,", "is no number"), ("0x1p3ms", "is no number"), ("1e3ms", "is no number"),
    ])
  func refusals(text: String, reason: String) {
    let error = #expect(throws: SimulatorError.self) { try Distribution(duration: text) }
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
  }

  @Test("Counts have no unit")
  func counts() throws {
    #expect(try Distribution(count: "uniform:10,20").center == 15)
    #expect(throws: SimulatorError.self) { try Distribution(count: "10ms") }
  }

  @Test(
    "Ten thousand draws have the mean and spread that the text says",
    arguments: [
      ("20ms", 20e6, 0), ("uniform:10ms,30ms", 20e6, 20e6 / 12.0.squareRoot()), ("normal:20ms,2ms", 20e6, 2e6),
      ("exp:20ms", 20e6, 20e6),
      // exp(σ²/2) and its deviation, σ = 0.5.
      ("lognormal:20ms,0.5", 22.663e6, 12.079e6),
    ])
  func statistics(text: String, mean: Double, deviation: Double) throws {
    let distribution = try Distribution(duration: text)
    var source = RandomSource(seed: 7)
    let draws = (0..<10_000).map { _ in distribution.draw(&source) }
    let seenMean = draws.reduce(0, +) / 10_000
    let seenDeviation = (draws.reduce(0) { $0 + ($1 - seenMean) * ($1 - seenMean) } / 10_000).squareRoot()
    #expect(abs(seenMean / mean - 1) < 0.03)
    #expect(abs(seenDeviation - deviation) <= 0.05 * deviation)
    #expect(draws.allSatisfy { $0 >= 0 })
  }

  @Test("The same seed draws the same, another one or another stream something else")
  func seeds() {
    func draws(_ source: RandomSource) -> [UInt64] {
      var source = source
      return (0..<8).map { _ in source.next() }
    }
    #expect(draws(RandomSource(seed: 1, stream: 2)) == draws(RandomSource(seed: 1, stream: 2)))
    #expect(draws(RandomSource(seed: 1, stream: 2)) != draws(RandomSource(seed: 1, stream: 3)))
    #expect(draws(RandomSource(seed: 1, stream: 2)) != draws(RandomSource(seed: 2, stream: 2)))
    // The reference values of SplitMix64 for seed 0.
    #expect(draws(RandomSource(seed: 0)).first == 0xE220_A839_7B1D_CDAF)
  }
}
