// Random numbers that a seed repeats: the same seed gives the same simulated server.
// It must not be used for anything that has to be secret.

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): small, fast, and the same on every machine.
public struct RandomSource: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// A source whose numbers depend on `seed` only.
  public init(seed: UInt64) { state = seed }

  /// One of many independent sources, so that the order of their use changes nothing.
  public init(seed: UInt64, stream: UInt64) {
    var mixer = RandomSource(seed: seed)
    self.init(seed: mixer.next() ^ (stream &* 0x9E37_79B9_7F4A_7C15))
    _ = next()
  }

  /// The next 64 bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// A number in 0 ..< 1.
  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A number of the standard normal distribution (Box and Muller, 1958).
  mutating func standardNormal() -> Double {
    let radius = (-2 * logarithm(1 - unit())).squareRoot()
    return radius * cosine(2 * .pi * unit())
  }
}
