// When a read's bytes arrived, by which clock, and when the loop got round to them.
// It must not know what the bytes mean.

/// The arrival time of one read from upstream (Documentation.docc/Metrics.md, "Clocks").
public struct Arrival: Hashable, Sendable {
  /// Where an arrival time comes from.
  public enum Source: UInt8, Sendable {
    /// The kernel's software receive stamp, mapped to the monotonic clock.
    case kernel
    /// The loop's clock at the top of the read callback, for want of a kernel stamp.
    case loop
  }

  /// When the bytes arrived.
  public var at: Instant
  /// When the loop took them: never before `at`; the difference is the proxy's own lateness.
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
