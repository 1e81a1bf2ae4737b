// An instant of the one monotonic clock from which every duration comes, and the wall clock read beside it.
// It must not know about sockets, loops or records.
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

  @inlinable
  public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

  /// The instant `nanoseconds` later (earlier where negative).
  @inlinable
  public func advanced(byNanoseconds nanoseconds: Int64) -> Instant {
    Instant(nanoseconds: self.nanoseconds &+ UInt64(bitPattern: nanoseconds))
  }
}

/// One reading of the wall clock together with the monotonic instant at which it was taken.
public struct WallAnchor: Hashable, Sendable {
  /// Nanoseconds since 1970-01-01T00:00:00Z (CLOCK_REALTIME).
  public var realtimeNanoseconds: Int64
  /// The same moment on the monotonic clock.
  public var instant: Instant

  /// Makes an anchor of a pair that was read elsewhere.
  @inlinable
  public init(realtimeNanoseconds: Int64, instant: Instant) {
    self.realtimeNanoseconds = realtimeNanoseconds
    self.instant = instant
  }

  /// Reads both clocks, one right after the other.
  public static func now() -> WallAnchor {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
    return WallAnchor(
      realtimeNanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec), instant: .now())
  }

  /// The wall time of `instant`, in nanoseconds since 1970, by this anchor.
  @inlinable
  public func realtimeNanoseconds(at instant: Instant) -> Int64 {
    realtimeNanoseconds &+ instant.nanoseconds(since: self.instant)
  }
}
