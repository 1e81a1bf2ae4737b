// The stamp clock against a simulated wall clock that steps, slews and lies.
import Clocks
import Glibc
import Testing

private let microsecond: Int64 = 1_000
private let millisecond: Int64 = 1_000_000
private let second: Int64 = 1_000_000_000
private let hour: Int64 = 3_600_000_000_000

/// A machine with a monotonic clock and a wall clock that is `offset` away from it.
private struct Machine {
  var monotonic: Int64 = 5 * 3_600_000_000_000
  var offset: Int64 = 1_700_000_000_000_000_000

  var instant: Instant { Instant(nanoseconds: UInt64(monotonic)) }
  var anchor: WallAnchor { WallAnchor(realtimeNanoseconds: monotonic + offset, instant: instant) }
  var stamp: Int64 { monotonic + offset }
  mutating func pass(_ nanoseconds: Int64) { monotonic += nanoseconds }
}

@Suite("StampClock")
struct StampClockTests {
  @Test("A stamp maps to the instant at which the kernel took it")
  func plainStamp() {
    var machine = Machine()
    var clock = StampClock(anchor: machine.anchor)
    machine.pass(3 * millisecond)
    let (stamp, arrivedAt) = (machine.stamp, machine.instant)
    machine.pass(200 * microsecond)
    clock.reanchor(machine.anchor)
    machine.pass(7 * microsecond)
    let arrival = clock.arrival(stamp: stamp, readAt: machine.instant, notBefore: nil)
    #expect(arrival == Arrival(at: arrivedAt, readAt: machine.instant, source: .kernel))
  }

  @Test("Without a stamp the loop's clock stands in and is named")
  func noStamp() {
    let machine = Machine()
    let arrival = StampClock(anchor: machine.anchor).arrival(stamp: nil, readAt: machine.instant, notBefore: nil)
    #expect(arrival == Arrival(at: machine.instant, readAt: machine.instant, source: .loop))
  }

  @Test("A stamp a little later than its read is the read's own time; much later, it is not believed")
  func laterThanRead() {
    let machine = Machine()
    let clock = StampClock(anchor: machine.anchor)
    let near = clock.arrival(stamp: machine.stamp + 50 * microsecond, readAt: machine.instant, notBefore: nil)
    #expect(near == Arrival(at: machine.instant, readAt: machine.instant, source: .kernel))
    let far = clock.arrival(stamp: machine.stamp + 51 * microsecond, readAt: machine.instant, notBefore: nil)
    #expect(far == Arrival(at: machine.instant, readAt: machine.instant, source: .loop))
  }

  @Test("A stamp from before the socket was empty is not believed, but softirq lateness is")
  func earlierThanEmpty() {
    var machine = Machine()
    let clock = StampClock(anchor: machine.anchor)
    let stamp = machine.stamp
    machine.pass(2 * millisecond)
    let justEmpty = Instant(nanoseconds: UInt64(machine.monotonic - millisecond))
    #expect(clock.arrival(stamp: stamp, readAt: machine.instant, notBefore: justEmpty).source == .kernel)
    #expect(clock.arrival(stamp: stamp, readAt: machine.instant, notBefore: machine.instant).source == .loop)
  }

  @Test(
    "Steps during a stream leave its gaps unbent",
    arguments: [hour, -hour, second, -second, 10 * millisecond, -10 * millisecond])
  func stepsDuringAStream(step: Int64) {
    var machine = Machine()
    var clock = StampClock(anchor: machine.anchor)
    var arrivals: [Arrival] = []
    var emptyAt: Instant?
    for token in 0..<100 {
      machine.pass(20 * millisecond)
      // Idle iterations of the loop, then a token; every tenth token the clock steps between stamp and read.
      clock.reanchor(machine.anchor)
      machine.pass(5 * millisecond)
      let stamp = machine.stamp
      if token % 10 == 5 { machine.offset += step }
      machine.pass(30 * microsecond)
      clock.reanchor(machine.anchor)
      arrivals.append(clock.arrival(stamp: stamp, readAt: machine.instant, notBefore: emptyAt))
      emptyAt = machine.instant
    }
    for (earlier, later) in zip(arrivals, arrivals.dropFirst()) {
      // Where the kernel's stamp was ambiguous the loop's time is 30 µs late, and named; nothing is ever off by a step.
      let gap = later.at.nanoseconds(since: earlier.at)
      #expect((gap - (25 * millisecond + 30 * microsecond)).magnitude <= UInt64(31 * microsecond))
    }
    let believed = arrivals.filter { $0.source == .kernel }.count
    #expect(believed >= 90)
  }

  @Test("A step that no anchor has seen yet is caught by the read and by the empty socket", arguments: [hour, -hour])
  func unseenStep(step: Int64) {
    var machine = Machine()
    let clock = StampClock(anchor: machine.anchor)
    let emptyAt = machine.instant
    machine.offset += step
    machine.pass(5 * millisecond)
    let arrival = clock.arrival(stamp: machine.stamp, readAt: machine.instant, notBefore: emptyAt)
    #expect(arrival == Arrival(at: machine.instant, readAt: machine.instant, source: .loop))
  }

  @Test("A stamp that waited through a step and many iterations is mapped by the era in which it was taken")
  func pausedThroughAStep() {
    var machine = Machine()
    var clock = StampClock(anchor: machine.anchor)
    machine.pass(millisecond)
    let (stamp, arrivedAt) = (machine.stamp, machine.instant)
    machine.offset += 10 * second
    for _ in 0..<500 {
      machine.pass(millisecond)
      clock.reanchor(machine.anchor)
    }
    let arrival = clock.arrival(stamp: stamp, readAt: machine.instant, notBefore: nil)
    #expect(arrival == Arrival(at: arrivedAt, readAt: machine.instant, source: .kernel))
  }

  @Test("A stamp that two eras explain differently is left to the loop's clock")
  func ambiguousStamp() {
    var machine = Machine()
    var clock = StampClock(anchor: machine.anchor)
    machine.pass(10 * millisecond)
    let stamp = machine.stamp
    machine.offset -= 2 * millisecond
    machine.pass(millisecond)
    clock.reanchor(machine.anchor)
    machine.pass(5 * millisecond)
    // Taken 1 ms before the step's anchor, or 1 ms after it: nobody can tell.
    let arrival = clock.arrival(stamp: stamp, readAt: machine.instant, notBefore: nil)
    #expect(arrival == Arrival(at: machine.instant, readAt: machine.instant, source: .loop))
  }

  @Test("A slew of 500 ppm is no step, and bends nothing by more than its own rate")
  func slew() {
    var machine = Machine()
    var clock = StampClock(anchor: machine.anchor)
    for _ in 0..<2_000 {
      // More than the threshold between two anchors: only the time between them tells it from a step.
      machine.pass(100 * millisecond)
      machine.offset += 100 * millisecond / 2_000
      let (stamp, arrivedAt) = (machine.stamp, machine.instant)
      machine.pass(100 * microsecond)
      machine.offset += 50
      clock.reanchor(machine.anchor)
      let arrival = clock.arrival(stamp: stamp, readAt: machine.instant, notBefore: nil)
      #expect(arrival.source == .kernel)
      #expect(arrival.at.nanoseconds(since: arrivedAt).magnitude <= 50)
    }
  }

  @Test("A slew between two anchors ten seconds apart is no step")
  func slewUnseen() {
    var machine = Machine()
    var clock = StampClock(anchor: machine.anchor)
    machine.pass(5 * second)
    machine.offset += 2 * millisecond
    let stamp = machine.stamp
    machine.pass(5 * second)
    machine.offset += 2 * millisecond
    clock.reanchor(machine.anchor)
    let arrival = clock.arrival(stamp: stamp, readAt: machine.instant, notBefore: nil)
    #expect(arrival.source == .kernel)
  }

  @Test("A stale anchor is ignored")
  func staleAnchor() {
    var machine = Machine()
    let stale = WallAnchor(realtimeNanoseconds: 0, instant: machine.instant)
    machine.pass(second)
    var clock = StampClock(anchor: machine.anchor)
    clock.reanchor(stale)
    let arrival = clock.arrival(stamp: machine.stamp, readAt: machine.instant, notBefore: nil)
    #expect(arrival == Arrival(at: machine.instant, readAt: machine.instant, source: .kernel))
  }

  @Test("Absurd stamps never trap", arguments: [Int64.min, -1, 0, 1, Int64.max])
  func absurdStamps(stamp: Int64) {
    let machine = Machine()
    let arrival = StampClock(anchor: machine.anchor).arrival(
      stamp: stamp, readAt: machine.instant, notBefore: machine.instant)
    #expect(arrival == Arrival(at: machine.instant, readAt: machine.instant, source: .loop))
  }
}

@Suite("Instant")
struct InstantTests {
  @Test("Differences are signed, and advancing undoes them")
  func differences() {
    let (early, late) = (Instant(nanoseconds: 100), Instant(nanoseconds: 350))
    #expect(late.nanoseconds(since: early) == 250)
    #expect(early.nanoseconds(since: late) == -250)
    #expect(late.advanced(byNanoseconds: -250) == early)
  }

  @Test("An anchor gives the wall time of another instant")
  func wallTime() {
    let anchor = WallAnchor(realtimeNanoseconds: 1_000_000, instant: Instant(nanoseconds: 500))
    #expect(anchor.realtimeNanoseconds(at: Instant(nanoseconds: 400)) == 999_900)
  }

  @Test("An anchor read anew moves no wall time by its own error, however often, and by a step of the clock at once")
  func renewedAnchor() {
    var machine = Machine()
    var anchor = machine.anchor
    let (instant, wallTime) = (machine.instant, machine.stamp)
    for error in [40, -40, 1_500, -19_000] as [Int64] {
      machine.pass(millisecond)
      var fresh = machine.anchor
      fresh.realtimeNanoseconds += error
      anchor = anchor.renewed(by: fresh)
      #expect(anchor.instant == machine.instant)
      #expect(anchor.realtimeNanoseconds(at: instant) == wallTime)
    }
    for step in [hour, -hour, 21 * microsecond] {
      machine.pass(millisecond)
      machine.offset += step
      anchor = anchor.renewed(by: machine.anchor)
      #expect(anchor == machine.anchor)
    }
  }

  @Test("Small moves of the wall clock do not add up unseen")
  func creepingClock() {
    var machine = Machine()
    var anchor = machine.anchor
    for _ in 0..<1_000 {
      machine.pass(millisecond)
      machine.offset += 500
      anchor = anchor.renewed(by: machine.anchor)
      #expect((anchor.realtimeNanoseconds(at: machine.instant) - machine.stamp).magnitude <= UInt64(20 * microsecond))
    }
  }

  @Test("Now is the system's monotonic clock, to the nanosecond")
  func now() {
    func nanoseconds() -> UInt64 {
      var time = timespec()
      clock_gettime(CLOCK_MONOTONIC, &time)
      return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
    for _ in 0..<10 {
      let (before, now, after) = (nanoseconds(), Instant.now().nanoseconds, nanoseconds())
      #expect(before <= now && now <= after)
    }
  }

  @Test("The monotonic clock does not go back")
  func monotonic() {
    let first = Instant.now()
    #expect(Instant.now() >= first)
    #expect(WallAnchor.now().instant >= first)
  }
}
