// Random numbers that are the same in every run.

/// SplitMix64 (Steele, Lea, Flood 2014).
public struct SeededRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// The same seed gives the same numbers.
  public init(seed: UInt64) { state = seed }

  /// The next number.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// Cuts bytes at random places; parts may be empty.
  public mutating func cut(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    let count = Int.random(in: 0...max(1, bytes.count / 20), using: &self)
    let cuts = (0..<count).map { _ in Int.random(in: 0...bytes.count, using: &self) }.sorted()
    return zip([0] + cuts, cuts + [bytes.count]).map { bytes[$0..<$1] }
  }
}
