// The gaps of one stream that are long enough to be stalls, by what caused them
// (Documentation.docc/Metrics.md, "Stalls").
import Clocks

/// Stalls of the server, the proxy and the client. Whoever measures compares with `threshold`; only what is not below it comes here.
struct StallMeter: Sendable {
  /// The shortest gap that is a stall, ns.
  let threshold: Int64
  private var server = Sum()
  private var proxy = Sum()
  private var client = Sum()
  /// How long upstream was not read since the token at `pausedTokenAt`, ns.
  private var pausedNanoseconds: Int64 = 0
  @PackedInstant private var pausedTokenAt: Instant? = nil
  /// When the last stall of the proxy ended: what arrived before waited in that one.
  @PackedInstant private var proxyEndedAt: Instant? = nil

  private struct Sum: Sendable {
    var count: Int32 = 0
    var nanoseconds: Int64 = 0

    mutating func add(_ nanoseconds: Int64) {
      count &+= 1
      self.nanoseconds &+= nanoseconds
    }

    var tally: Stalls.Tally {
      Stalls.Tally(count: Int(count), milliseconds: Double(nanoseconds) / 1_000_000)
    }
  }

  init(threshold: Int64) { self.threshold = threshold }

  /// Upstream was not read for a while, because the client was slow; the newest token then came at `tokenAt`.
  mutating func paused(nanoseconds: Int64, tokenAt: Instant?) {
    if pausedTokenAt != tokenAt { pausedNanoseconds = 0 }
    pausedTokenAt = tokenAt
    pausedNanoseconds &+= nanoseconds
  }

  /// Nothing came for a while behind the token at `tokenAt`.
  mutating func serverGap(_ nanoseconds: Int64, behind tokenAt: Instant) {
    let gap = nanoseconds - (pausedTokenAt == tokenAt ? pausedNanoseconds : 0)
    if gap >= threshold { server.add(gap) }
  }

  /// The client's socket was given at `handedAt` what had come at `arrivedAt`.
  mutating func proxyDelay(from arrivedAt: Instant, to handedAt: Instant) {
    let delay = handedAt.nanoseconds(since: arrivedAt)
    guard delay >= threshold, proxyEndedAt.map({ arrivedAt >= $0 }) ?? true else { return }
    proxyEndedAt = handedAt
    proxy.add(delay)
  }

  /// The client's socket took at `takenAt` what it was given at `handedAt`.
  mutating func clientDelay(from handedAt: Instant, to takenAt: Instant) {
    let delay = takenAt.nanoseconds(since: handedAt)
    if delay >= threshold { client.add(delay) }
  }

  /// The stalls, as the record has them.
  var stalls: Stalls {
    var stalls = Stalls()
    stalls.server = server.tally
    stalls.proxy = proxy.tally
    stalls.client = client.tally
    return stalls
  }
}
