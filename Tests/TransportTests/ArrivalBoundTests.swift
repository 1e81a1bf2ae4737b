// From when on bytes can have arrived: also those of the first read, and of one behind a full one.
import Clocks
import Testing

@testable import Transport

@Suite("ArrivalBound")
struct ArrivalBoundTests {
  private static let second: UInt64 = 1_000_000_000
  private let start = Instant(nanoseconds: 5_000 * second)

  private func instant(_ seconds: UInt64) -> Instant { Instant(nanoseconds: (5_000 + seconds) * Self.second) }

  @Test("The first read of a connection that was begun here has a bound; of an accepted one it has none")
  func firstRead() {
    #expect(ArrivalBound(connectsAt: start).notBefore == start)
    #expect(ArrivalBound(connectsAt: nil).notBefore == nil)
  }

  @Test("Behind a read that emptied the socket it is that read; behind a full one, the arrival of what was read")
  func laterReads() {
    var bound = ArrivalBound(connectsAt: start)
    bound.didRead(Arrival(at: instant(1), readAt: instant(2), source: .kernel), isEmptied: false)
    #expect(bound.notBefore == instant(1) && !bound.isDrained)
    bound.didRead(Arrival(at: instant(3), readAt: instant(4), source: .kernel), isEmptied: true)
    #expect(bound.notBefore == instant(4) && bound.isDrained)
    bound.wasInterrupted()
    #expect(bound.notBefore == instant(4) && !bound.isDrained)
  }

  @Test(
    "A step of the wall clock before the first read makes no delay of decades, wherever it stands",
    arguments: [-3_600, 0, 1, 4_294_967_296, 4_300_000_000, 9_000_000_000] as [Int64])
  func step(unixSeconds: Int64) {
    // The wall clock says 2026 when the loop's anchor is read, then it is stepped to another year; then the stamp is taken.
    let clock = StampClock(anchor: WallAnchor(realtimeNanoseconds: 1_790_812_800_000_000_000, instant: start))
    let bound = ArrivalBound(connectsAt: instant(1))
    let arrival = clock.arrival(
      stamp: unixSeconds * 1_000_000_000, readAt: instant(2), notBefore: bound.notBefore)
    #expect(arrival == Arrival(at: instant(2), readAt: instant(2), source: .loop))
  }

  @Test(
    "Stamps are mapped alike whatever year the wall clock says",
    arguments: [-86_400, 0, 4_294_967_295, 9_000_000_000] as [Int64])
  func years(unixSeconds: Int64) {
    let wall = unixSeconds * 1_000_000_000
    let clock = StampClock(anchor: WallAnchor(realtimeNanoseconds: wall, instant: start))
    let arrival = clock.arrival(
      stamp: wall + 1_500_000_000, readAt: instant(2), notBefore: ArrivalBound(connectsAt: instant(1)).notBefore)
    #expect(arrival.source == .kernel && arrival.at.nanoseconds(since: start) == 1_500_000_000)
  }
}
