// 128-bit keyed hashes, by which values that must not be stored are found again.

/// A hash under this process's random seed. 128 bits make a mix-up of two values as good as impossible, and give nothing to
/// whoever reads the memory later.
public struct KeyedHash: Hashable, Sendable {
  private let first: Int
  private let second: Int

  /// Hashes several values, each with its length, so that no two lists of values are alike.
  public struct Hasher {
    private var hasher = Swift.Hasher()

    /// A hash of nothing.
    public init() {}

    /// Adds a number.
    public mutating func combine(_ number: Int) { hasher.combine(number) }

    /// Adds bytes.
    public mutating func combine(_ bytes: ArraySlice<UInt8>) {
      hasher.combine(bytes.count)
      unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }

    /// The hash of all that was added.
    public func finalize() -> KeyedHash {
      var other = hasher
      other.combine(1)
      return KeyedHash(first: hasher.finalize(), second: other.finalize())
    }
  }
}
