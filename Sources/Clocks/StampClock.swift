// Maps the kernel's receive stamps, which are wall-clock times, to the monotonic clock, also where the wall clock is stepped.
// It must not read a clock or a socket: anchors and stamps are parameters, so that tests can step the clock.

/// The mapping from CLOCK_REALTIME receive stamps to `Instant`s, re-anchored all the time so that a step of the wall
/// clock (NTP, an operator, a leap second) does not change any duration.
///
/// On Linux the two clocks differ by an offset that changes only by steps: a slew (at most 500 ppm) changes the rate of both.
/// The time between two steps is an *era*; each has its offset. A stamp is accepted only where it is plausible: not later
/// than its read, not before the socket was known to be empty, and inside the era whose offset maps it. Where two eras map
/// a stamp to different instants, or none does, the arrival time is the loop's, and is marked so (`Arrival.Source`).
public struct StampClock: Sendable {
  /// Two clocks are not read at one moment: a stamp this much later than its read (ns) is taken as the read's own time.
  static let laterSlack: Int64 = 50_000
  /// The kernel stamps a segment before it queues it: a stamp may lie this much (ns) before the socket was seen empty.
  static let earlierSlack: Int64 = 1_000_000
  /// An offset that moved by less (ns, plus 500 ppm of the time between two anchors) moved by reading or slew, not by a step.
  static let stepThreshold: Int64 = 20_000

  /// The latest anchor of the present era.
  private var current: WallAnchor
  /// The last anchor of the era before; nil where there was no step yet.
  private var previous: WallAnchor?
  /// The first anchor of the present era: the step lies between `previous` and here.
  private var eraStart: WallAnchor

  /// Starts the mapping at `anchor`.
  public init(anchor: WallAnchor) {
    current = anchor
    eraStart = anchor
  }

  /// Continues with `anchor`, which was just read. One that is older than the latest is ignored.
  public mutating func reanchor(_ anchor: WallAnchor) {
    let elapsed = anchor.instant.nanoseconds(since: current.instant)
    guard elapsed >= 0 else { return }
    let moved = anchor.realtimeNanoseconds &- current.realtimeNanoseconds(at: anchor.instant)
    if moved.magnitude > (Self.stepThreshold + elapsed / 2_000).magnitude {
      previous = current
      eraStart = anchor
    }
    current = anchor
  }

  /// When the bytes of a read arrived.
  /// - Parameters:
  ///   - stamp: the kernel's CLOCK_REALTIME receive stamp, ns since 1970; nil where it gave none.
  ///   - readAt: the loop's clock at the top of the read callback.
  ///   - notBefore: an instant at which the socket had none of these bytes (the previous read emptied it, or the request
  ///     was sent then); nil where none is known. Without it, a step shortly before the stamp that no anchor shows yet can
  ///     go unnoticed.
  /// - Returns: an arrival whose `at` is never later than `readAt`.
  public func arrival(stamp: Int64?, readAt: Instant, notBefore: Instant?) -> Arrival {
    guard let stamp, let at = mapped(stamp, readAt: readAt, notBefore: notBefore) else {
      return Arrival(at: readAt, readAt: readAt, source: .loop)
    }
    return Arrival(at: min(at, readAt), readAt: readAt, source: .kernel)
  }

  /// The instant of `stamp`; nil where no era maps it plausibly, or two map it differently.
  private func mapped(_ stamp: Int64, readAt: Instant, notBefore: Instant?) -> Instant? {
    let latest = readAt.advanced(byNanoseconds: Self.laterSlack)
    func plausible(_ anchor: WallAnchor) -> Instant? {
      let (offset, overflow) = stamp.subtractingReportingOverflow(anchor.realtimeNanoseconds)
      guard !overflow else { return nil }
      let at = anchor.instant.advanced(byNanoseconds: offset)
      guard at.nanoseconds(since: latest) <= 0 else { return nil }
      if let notBefore, at.nanoseconds(since: notBefore) < -Self.earlierSlack { return nil }
      return at
    }
    guard let previous else { return plausible(current) }
    let now = plausible(current).flatMap { at in
      at.nanoseconds(since: previous.instant) >= -Self.laterSlack ? at : nil
    }
    let before = plausible(previous).flatMap { at in
      at.nanoseconds(since: eraStart.instant) <= Self.laterSlack ? at : nil
    }
    guard let now else { return before }
    guard let before else { return now }
    // Both are plausible (a step back, just before this read): they have to agree.
    return now.nanoseconds(since: before).magnitude <= Self.laterSlack.magnitude ? now : nil
  }
}
