// When a read's bytes arrived, by which clock, and when the loop read them.

/// The arrival time of one read from upstream (Documentation.docc/Metrics.md, "Clocks").
public struct Arrival: Hashable, Sendable {
  /// Where an arrival time comes from.
  public enum Source: UInt8, Sendable {
    /// The kernel's software receive stamp, mapped to the monotonic clock.
    case kernel
    /// The loop's clock at the top of the read callback, where the kernel gave no stamp.
    case loop
  }

  /// When the bytes arrived.
  public var at: Instant
  /// When the loop read them: never before `at`. The difference is the proxy's own delay.
  public var readAt: Instant
  /// The clock that `at` comes from.
  public var source: Source

  /// Makes the arrival of one read.
  @inlinable
  public init(at: Instant, readAt: Instant, source: Source) {
    self.at = at
    self.readAt = readAt
    self.source = source
  }
}
