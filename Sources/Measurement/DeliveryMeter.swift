// What this proxy itself adds: the time from a read's arrival until the client's socket has accepted its bytes.
import Clocks

/// Delivery times of one exchange's reads, and how late the loop came to them.
struct DeliveryMeter: Sendable {
  /// Deliveries stored exactly. Few: only three numbers are made of them.
  static let exactDeliveries = 128
  /// Reads remembered while the client's socket accepts nothing: those that have waited longest.
  static let pendingReads = 64

  /// Counters of the worker, in which every read is counted too.
  let counters: DeliveryCounters?
  /// The worst lateness of a read that has a kernel stamp, ns; nil where none had.
  private(set) var worstLag: Int64?
  @PackedInstant private var oldestPending: Instant? = nil
  /// When the oldest of them was read, and handed on.
  @PackedInstant private var oldestReadAt: Instant? = nil
  private var morePending: [Instant] = []
  private var sawKernel = false
  private var sawLoop = false
  /// When reading last went on after a pause.
  @PackedInstant private var resumedAt: Instant? = nil
  private(set) var samples = SampleStore(exactLimit: exactDeliveries)

  init(counters: DeliveryCounters?) { self.counters = counters }

  /// The clock of all reads so far; nil before the first.
  var clock: ClockSource? {
    switch (sawKernel, sawLoop) {
    case (true, true): .mixed
    case (true, false): .kernel
    case (false, true): .loop
    case (false, false): nil
    }
  }

  /// A read with response bytes began.
  mutating func begin(_ arrival: Arrival) {
    switch arrival.source {
    case .kernel:
      sawKernel = true
      // What arrived during a pause waited for the client, not for the loop.
      let lag = arrival.readAt.nanoseconds(since: max(arrival.at, resumedAt ?? arrival.at))
      worstLag = max(worstLag ?? 0, lag)
      counters?.lag.add(lag)
    case .loop:
      sawLoop = true
    }
    if oldestPending == nil {
      oldestPending = arrival.at
      oldestReadAt = arrival.readAt
    } else if morePending.count < Self.pendingReads - 1 {
      morePending.append(arrival.at)
    }
  }

  /// Whether reads wait for the client's socket.
  @inline(__always)
  var hasPending: Bool { oldestPending != nil }

  /// When the oldest read that waits for the client's socket was handed to it.
  var oldestPendingReadAt: Instant? { oldestPending == nil ? nil : oldestReadAt }

  /// From when on what arrived at `arrivedAt` waited for the proxy: during a pause it waited for the client.
  func waitBegan(_ arrivedAt: Instant) -> Instant { max(arrivedAt, resumedAt ?? arrivedAt) }

  /// Reading goes on after a pause; every read before it has begun.
  mutating func resumed(at: Instant) { resumedAt = at }

  /// The client's socket has accepted the bytes of every read so far.
  mutating func delivered(at: Instant) {
    guard let oldest = oldestPending else { return }
    oldestPending = nil
    addDelay(at.nanoseconds(since: oldest))
    if !morePending.isEmpty { deliverMorePending(at) }
  }

  /// Not inlined: `delivered` runs for nearly every read, and few have others pending.
  @inline(never)
  private mutating func deliverMorePending(_ at: Instant) {
    for arrivedAt in morePending { addDelay(at.nanoseconds(since: arrivedAt)) }
    morePending.removeAll()
  }

  private mutating func addDelay(_ delay: Int64) {
    samples.add(delay)
    counters?.delay.add(delay)
  }
}
