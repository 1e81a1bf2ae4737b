// An instant of the one monotonic clock from which every duration comes, and the wall clock read beside it.
import Glibc

/// An instant of CLOCK_MONOTONIC, in nanoseconds since an arbitrary start (the same clock as `uv_hrtime()`).
///
/// Instants of one machine compare and subtract; they mean nothing on another.
public struct Instant: Comparable, Hashable, Sendable {
  /// Nanoseconds since the clock's start.
  public var nanoseconds: UInt64

  /// The instant `nanoseconds` after the clock's start.
  @inlinable
  public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  /// Now, read from the system (about 25 ns; never a cached time).
  public static func now() -> Instant {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
  }

  /// Nanoseconds from `earlier` to here; negative where `earlier` is in fact later.
  @inlinable
  public func nanoseconds(since earlier: Instant) -> Int64 {
    Int64(bitPattern: nanoseconds &- earlier.nanoseconds)
  }

  /// The time from `earlier` to here; negative where `earlier` is in fact later.
  @inlinable
  public func duration(since earlier: Instant) -> Duration { .nanoseconds(nanoseconds(since: earlier)) }

  /// Whether `a` is earlier than `b`.
  @inlinable
  public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

  /// The instant `nanoseconds` later (earlier where negative).
  @inlinable
  public func advanced(byNanoseconds nanoseconds: Int64) -> Instant {
    Instant(nanoseconds: self.nanoseconds &+ UInt64(bitPattern: nanoseconds))
  }

  /// The instant `duration` later (earlier where negative).
  public func advanced(by duration: Duration) -> Instant {
    let (seconds, attoseconds) = duration.components
    return advanced(byNanoseconds: seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000)
  }
}

/// One reading of the wall clock together with the monotonic instant at which it was taken.
public struct WallAnchor: Hashable, Sendable {
  /// Nanoseconds since 1970-01-01T00:00:00Z (CLOCK_REALTIME).
  public var realtimeNanoseconds: Int64
  /// The same moment on the monotonic clock.
  public var instant: Instant

  /// Makes an anchor of two readings.
  @inlinable
  public init(realtimeNanoseconds: Int64, instant: Instant) {
    self.realtimeNanoseconds = realtimeNanoseconds
    self.instant = instant
  }

  /// Reads both clocks at one moment: the wall clock between two readings of the monotonic one. Where the thread was
  /// interrupted in between it tries again, for that would look like a step of the wall clock. About 80 ns.
  public static func now() -> WallAnchor {
    var best = reading()
    for _ in 0..<3 where best.width > 2_000 {
      let again = reading()
      if again.width < best.width { best = again }
    }
    return best.anchor
  }

  /// One reading, and how far apart (ns) the two monotonic readings around it were.
  private static func reading() -> (anchor: WallAnchor, width: Int64) {
    let before = Instant.now()
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
    let width = Instant.now().nanoseconds(since: before)
    let anchor = WallAnchor(
      realtimeNanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec),
      instant: before.advanced(byNanoseconds: width / 2))
    return (anchor, width)
  }

  /// The anchor to use after `fresh` was read. It gives every instant the same wall time as this one, unless `fresh`
  /// shows that the wall clock was stepped; then it is `fresh`.
  ///
  /// Two readings of the same two clocks differ by some ten nanoseconds. If each were used as it is, one instant could
  /// have two wall times, a microsecond apart in a record.
  public func renewed(by fresh: WallAnchor) -> WallAnchor {
    let held = realtimeNanoseconds(at: fresh.instant)
    guard (fresh.realtimeNanoseconds &- held).magnitude <= StampClock.stepThreshold.magnitude else { return fresh }
    return WallAnchor(realtimeNanoseconds: held, instant: fresh.instant)
  }

  /// The wall time of `instant`, in nanoseconds since 1970, by this anchor.
  @inlinable
  public func realtimeNanoseconds(at instant: Instant) -> Int64 {
    realtimeNanoseconds &+ instant.nanoseconds(since: self.instant)
  }
}
