// Identifiers of exchanges: unique everywhere, and in the order of time within a worker.

/// Makes UUIDs of version 7 (RFC 9562 §5.7), each greater than the one before: one value a worker.
public struct UUIDv7Generator: Sendable {
  private var milliseconds: UInt64 = 0
  /// The 12 bits of `rand_a`, counted up within a millisecond (RFC 9562 §6.2, method 1).
  private var counter: UInt64 = 0
  private var random = Xoshiro()

  /// A generator that has made none yet.
  public init() {}

  /// The next identifier, for a wall time in nanoseconds since 1970.
  ///
  /// A wall clock that steps back does not take the identifiers back: they count on from the latest time seen.
  public mutating func next(realtimeNanoseconds: Int64) -> ExchangeID {
    var random = random
    defer { self.random = random }
    return next(realtimeNanoseconds: realtimeNanoseconds) { random.next() }
  }

  /// The same with a given source of random bits.
  mutating func next(realtimeNanoseconds: Int64, random: () -> UInt64) -> ExchangeID {
    let now = UInt64(max(realtimeNanoseconds, 0)) / 1_000_000
    let bits = random()
    if now > milliseconds {
      milliseconds = now
      // The counter's top bit starts at 0, which leaves room for 2,048 more in this millisecond.
      counter = random() & 0x7FF
    } else {
      counter += 1
      if counter > 0xFFF {
        milliseconds += 1
        counter = 0
      }
    }
    let high = milliseconds << 16 | 0x7000 | counter
    let low = bits & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    return ExchangeID(high: high, low: low)
  }
}

/// xoshiro256** (Blackman and Vigna, 2018), seeded by the system: identifiers have to be unique, not secret, and a system
/// call for each was 2 % of a short exchange.
private struct Xoshiro: RandomNumberGenerator, Sendable {
  private var state: (UInt64, UInt64, UInt64, UInt64)

  init() {
    var system = SystemRandomNumberGenerator()
    state = (system.next() | 1, system.next(), system.next(), system.next())
  }

  mutating func next() -> UInt64 {
    let result = Self.rotated(state.1 &* 5, 7) &* 9
    let shifted = state.1 << 17
    state.2 ^= state.0
    state.3 ^= state.1
    state.1 ^= state.2
    state.0 ^= state.3
    state.2 ^= shifted
    state.3 = Self.rotated(state.3, 45)
    return result
  }

  private static func rotated(_ value: UInt64, _ places: UInt64) -> UInt64 {
    value << places | value >> (64 - places)
  }
}
