// The upstream side of one worker, driven step by step: which connections are used again, and who has a permit.
import Clocks
import SettingValues
import TestSupport
import Testing
import Transport

@testable import Measurement
@testable import Proxy
@testable import RecordLog

@Suite("Idle connections")
struct UpstreamPoolTests {
  @Test("The one that was used last is used first")
  func order() throws {
    let idle = try IdleWorker()
    let upstream = idle.upstream()
    let (first, firstPeer) = try idle.connection()
    let (second, secondPeer) = try idle.connection()
    upstream.release(first, at: .now())
    upstream.release(second, at: .now())
    #expect(upstream.counters.idle.level == 2)
    #expect(upstream.lease(fresh: false, for: idle.worker) === second)
    #expect(upstream.lease(fresh: false, for: idle.worker) === first)
    #expect(!upstream.lease(fresh: false, for: idle.worker).isReused)
    #expect(upstream.counters.idle.level == 0)
    for connection in [first, second] { connection.close() }
    for peer in [firstPeer, secondPeer] { #expect(try peer.readToEnd() == "") }
  }

  @Test("One that must be new is new, and the idle one stays")
  func fresh() throws {
    let idle = try IdleWorker()
    let upstream = idle.upstream()
    let (kept, _) = try idle.connection()
    upstream.release(kept, at: .now())
    #expect(upstream.lease(fresh: true, for: idle.worker) !== kept)
    #expect(upstream.counters.idle.level == 1)
  }

  @Test(
    "One that the server has closed, or on which it has sent something, is not used, though the loop has not seen that",
    arguments: [true, false])
  func stale(isClosed: Bool) throws {
    let idle = try IdleWorker()
    let upstream = idle.upstream()
    let (older, olderPeer) = try idle.connection()
    let (connection, peer) = try idle.connection()
    upstream.release(older, at: .now())
    upstream.release(connection, at: .now())
    if isClosed { peer.close() } else { try peer.send("unasked") }
    // The loop does not run: only a look at the socket can tell.
    let leased = upstream.lease(fresh: false, for: idle.worker)
    #expect(leased === older && connection.isClosed)
    #expect(upstream.counters.stale.count == 1)
    leased.close()
    #expect(try olderPeer.readToEnd() == "")
  }

  @Test("One that closes or speaks while it is idle leaves the pool", arguments: [true, false])
  func dropped(isClosed: Bool) throws {
    let idle = try IdleWorker()
    let upstream = idle.upstream()
    let (connection, peer) = try idle.connection()
    upstream.release(connection, at: .now())
    if isClosed { peer.close() } else { try peer.send("unasked") }
    idle.runLoop()
    #expect(upstream.counters.idle.level == 0 && connection.isClosed)
    #expect(upstream.counters.stale.count == 0)
    #expect(upstream.counters.opened.count == 1 && upstream.counters.closed.count == 1)
  }

  @Test("One to an address that the server's name has left is closed, or not kept; the next goes to the new address")
  func outdated() throws {
    let next = try ScriptedUpstream()
    let name = MovingName()
    let idle = try IdleWorker(name: name) { $0.resolver.fresh = .milliseconds(1) }
    let upstream = idle.upstream()
    let (kept, keptPeer) = try idle.connection()
    let (used, usedPeer) = try idle.connection()
    upstream.release(kept, at: .now())
    name.move(to: next.port)
    try eventually {
      idle.worker.upstreams.checkDeadlines(.now())
      idle.runLoop()
      return kept.isClosed
    }
    #expect(upstream.counters.idle.level == 0)
    #expect(try keptPeer.readToEnd() == "")
    upstream.release(used, at: .now())
    #expect(used.isClosed && upstream.counters.idle.level == 0)
    #expect(try usedPeer.readToEnd() == "")
    let new = upstream.lease(fresh: false, for: idle.worker)
    new.connect { _ in }
    try eventually {
      idle.runLoop()
      return new.isOpen
    }
    let newPeer = try next.accept()
    try idle.exchange(on: new, newPeer)
    upstream.release(new, at: .now())
    #expect(!new.isClosed && upstream.counters.idle.level == 1)
  }

  @Test("No more are kept than may be")
  func bound() throws {
    let idle = try IdleWorker { $0.pool.idleConnections = 1 }
    let upstream = idle.upstream()
    let (first, _) = try idle.connection()
    let (second, secondPeer) = try idle.connection()
    upstream.release(first, at: .now())
    upstream.release(second, at: .now())
    #expect(upstream.counters.idle.level == 1 && second.isClosed && !first.isClosed)
    #expect(try secondPeer.readToEnd() == "")
  }

  @Test("One that was made under other settings is not kept, whatever has changed")
  func otherSettings() throws {
    let idle = try IdleWorker()
    let before = idle.upstream()
    let (kept, keptPeer) = try idle.connection()
    let (used, usedPeer) = try idle.connection()
    before.release(kept, at: .now())
    idle.apply { $0.limits.queue = 7 }
    #expect(idle.upstream() === before && before.settings.queue == 7)
    #expect(kept.isClosed)
    #expect(try keptPeer.readToEnd() == "")
    before.release(used, at: .now())
    #expect(used.isClosed && before.counters.idle.level == 0)
    #expect(try usedPeer.readToEnd() == "")
    let (new, _) = try idle.connection()
    before.release(new, at: .now())
    #expect(!new.isClosed && before.counters.idle.level == 1)
  }

  @Test("Another address is another upstream of the same name, and the former one keeps nothing")
  func otherAddress() throws {
    let idle = try IdleWorker()
    let before = idle.upstream()
    let (used, usedPeer) = try idle.connection()
    let next = try ScriptedUpstream()
    idle.apply { $0.upstream = UpstreamAddress(host: "127.0.0.1", port: next.port) }
    let after = idle.upstream()
    #expect(after !== before && after.state === before.state && after.attemptBudget === before.attemptBudget)
    #expect(after.authority == "127.0.0.1:\(next.port)" && before.authority == "127.0.0.1:\(idle.servers[0].port)")
    #expect(idle.worker.upstreams.current(before) === after && idle.worker.upstreams.current(after) === after)
    before.release(used, at: .now())
    #expect(used.isClosed)
    #expect(try usedPeer.readToEnd() == "")
  }

  @Test("Those that have been idle for too long are closed, the others stay")
  func expired() throws {
    let idle = try IdleWorker { $0.timeouts.upstreamIdle = .seconds(10) }
    let upstream = idle.upstream()
    let (old, oldPeer) = try idle.connection()
    let (young, _) = try idle.connection()
    let now = Instant.now()
    upstream.release(old, at: now.advanced(byNanoseconds: -10_000_000_001))
    upstream.release(young, at: now.advanced(byNanoseconds: -10_000_000_000))
    idle.worker.upstreams.checkDeadlines(now)
    #expect(old.isClosed && !young.isClosed && upstream.counters.idle.level == 1)
    #expect(try oldPeer.readToEnd() == "")
  }

  @Test("For a descriptor that is needed more, the one that has been idle longest goes, whichever upstream it is of")
  func eviction() throws {
    let idle = try IdleWorker(servers: 2)
    let now = Instant.now()
    let connections = try [0, 1, 0, 1].map { try idle.connection($0).0 }
    for (index, connection) in connections.enumerated() {
      idle.upstream(index % 2).release(connection, at: now.advanced(byNanoseconds: Int64(index)))
    }
    for count in 1...4 {
      #expect(idle.worker.upstreams.evictOldest())
      #expect(connections.map(\.isClosed) == (1...4).map { $0 <= count })
    }
    #expect(!idle.worker.upstreams.evictOldest())
  }

  @Test("A worker that drains keeps none, also not after a reload")
  func draining() throws {
    let idle = try IdleWorker()
    let (used, usedPeer) = try idle.connection()
    idle.worker.upstreams.stopKeepingConnections()
    idle.upstream().release(used, at: .now())
    #expect(try usedPeer.readToEnd() == "")
    let next = try ScriptedUpstream()
    idle.apply { $0.upstream = UpstreamAddress(host: "127.0.0.1", port: next.port) }
    let connection = idle.upstream().lease(fresh: true, for: idle.worker)
    connection.connect { _ in }
    let peer = try next.accept()
    idle.runLoop()
    try idle.exchange(on: connection, peer)
    idle.upstream().release(connection, at: .now())
    #expect(try peer.readToEnd() == "")
  }

  @Test("One that has been idle for too long is not leased, although no timer has come to it")
  func expiredAtLease() throws {
    let idle = try IdleWorker { $0.timeouts.upstreamIdle = .seconds(10) }
    let upstream = idle.upstream()
    let (old, oldPeer) = try idle.connection()
    upstream.release(old, at: .now().advanced(byNanoseconds: -10_100_000_000))
    #expect(upstream.lease(fresh: false, for: idle.worker) !== old)
    #expect(old.isClosed && upstream.counters.idle.level == 0 && upstream.counters.stale.count == 0)
    #expect(try oldPeer.readToEnd() == "")
    let (young, _) = try idle.connection()
    upstream.release(young, at: .now().advanced(byNanoseconds: -9_000_000_000))
    #expect(upstream.lease(fresh: false, for: idle.worker) === young)
    young.close()
  }

  /// What a server's head says, and how long its connection is used when it is idle; nil where that is up to the settings.
  static let announcements: [(String, Double?)] = [
    ("Keep-Alive: timeout=5\r\n", 4), ("Keep-Alive: max=100, Timeout=75\r\n", nil),
    ("keep-alive: timeout=\"3\"\r\n", 2),
    ("Keep-Alive: timeout=1\r\n", 0.5), ("Keep-Alive: timeout=x\r\n", nil), ("Keep-Alive: 5\r\n", nil),
    ("Keep-Alive: timeout=99999999999999999999\r\n", nil), ("Keep-Alive: timeout=-1\r\n", nil), ("", nil),
  ]

  @Test("A connection is used for less than its server says that it keeps it", arguments: announcements)
  func announced(field: String, seconds: Double?) throws {
    let idle = try IdleWorker { $0.timeouts.upstreamIdle = .seconds(20) }
    let upstream = idle.upstream()
    let limit = Int64((seconds ?? 20) * 1e9)
    for (age, isUsed) in [(limit - 100_000_000, true), (limit + 100_000_000, false)] {
      for isLeased in [true, false] {
        let (connection, _) = try idle.connection(answer: answer("", field))
        let now = Instant.now()
        upstream.release(connection, at: now.advanced(byNanoseconds: -age))
        if isLeased {
          #expect((upstream.lease(fresh: false, for: idle.worker) === connection) == isUsed)
          connection.close()
        } else {
          // One that may be used for longer is no reason to stop looking.
          let (other, _) = try idle.connection()
          upstream.release(other, at: now)
          idle.worker.upstreams.checkDeadlines(now)
          #expect(connection.isClosed != isUsed && !other.isClosed)
          upstream.pool.closeAll()
        }
      }
    }
  }

  @Test("One that its server announces to close at once is not kept")
  func announcedZero() throws {
    let idle = try IdleWorker()
    let (connection, _) = try idle.connection(answer: answer("", "Keep-Alive: timeout=0\r\n"))
    idle.upstream().release(connection, at: .now())
    #expect(connection.isClosed && idle.upstream().counters.idle.level == 0)
  }

  @Test(
    "A server that closed an idle connection has no older ones used, until that is forgotten", arguments: [true, false])
  func learned(isSeenAtLease: Bool) throws {
    let idle = try IdleWorker()
    let upstream = idle.upstream()
    let (closed, peer) = try idle.connection()
    upstream.release(closed, at: .now().advanced(byNanoseconds: -5_000_000_000))
    peer.close()
    if isSeenAtLease {
      #expect(upstream.lease(fresh: false, for: idle.worker) !== closed)
    } else {
      idle.runLoop()
    }
    #expect(closed.isClosed)
    let (old, _) = try idle.connection()
    upstream.release(old, at: .now().advanced(byNanoseconds: -4_200_000_000))
    let (young, _) = try idle.connection()
    upstream.release(young, at: .now().advanced(byNanoseconds: -3_500_000_000))
    idle.worker.upstreams.checkDeadlines(.now())
    #expect(old.isClosed && !young.isClosed)
    #expect(upstream.lease(fresh: false, for: idle.worker) === young)
    young.close()
  }

  @Test(
    "What was learned is shortened by what is shorter, kept in sight of what is longer, and forgotten after a while")
  func idleLimit() {
    let start = Instant(nanoseconds: 1_000_000_000_000)
    let at = { (seconds: Int64) in start.advanced(byNanoseconds: seconds * 1_000_000_000) }
    var limit = IdleLimit()
    #expect(limit.limit(at: start) == nil)
    limit.serverClosed(after: .seconds(5), at: at(0))
    #expect(limit.limit(at: at(1)) == .seconds(4))
    limit.serverClosed(after: .seconds(60), at: at(2))
    #expect(limit.limit(at: at(3)) == .seconds(4))
    limit.serverClosed(after: .milliseconds(1200), at: at(4))
    #expect(limit.limit(at: at(5)) == .milliseconds(600))
    #expect(limit.limit(at: at(304)) == .milliseconds(600) && limit.limit(at: at(305)) == nil)
    limit.serverClosed(after: .seconds(30), at: at(306))
    #expect(limit.limit(at: at(307)) == .seconds(29))
    // Whoever closes behind an answer, or ends, says nothing of idle connections.
    for duration in [Duration.milliseconds(499), .zero, .seconds(-1)] {
      limit.serverClosed(after: duration, at: at(308))
    }
    #expect(limit.limit(at: at(309)) == .seconds(29))
    limit.serverClosed(after: .milliseconds(500), at: at(310))
    #expect(limit.limit(at: at(311)) == .milliseconds(250))
  }

  @Test("They are dropped in any order, one by one")
  func manyDropped() throws {
    let idle = try IdleWorker()
    let upstream = idle.upstream()
    let connections = try (0..<6).map { _ in try idle.connection() }
    for (connection, _) in connections { upstream.release(connection, at: .now()) }
    for (count, place) in [3, 0, 5, 1, 4, 2].enumerated() {
      connections[place].1.close()
      idle.runLoop()
      #expect(connections[place].0.isClosed && upstream.counters.idle.level == 5 - count)
    }
    #expect(upstream.pool.oldestAt == nil && upstream.pool.lease(at: .now(), within: .seconds(1)) == nil)
  }

  @Test("One that was paused for a slow client reads again in the pool")
  func paused() throws {
    let idle = try IdleWorker()
    let (connection, peer) = try idle.connection()
    connection.pause()
    idle.upstream().release(connection, at: .now())
    peer.close()
    idle.runLoop()
    #expect(connection.isClosed && idle.upstream().counters.idle.level == 0)
  }
}

@Suite("Permits")
struct PermitTests {
  @Test("A permit is given back once, however often that is asked for")
  func twice() throws {
    let idle = try IdleWorker { $0.limits.inFlight = 1 }
    let limiter = idle.upstream().state.limiter
    var (first, second) = (Permit(), Permit())
    #expect(first.acquire(limiter, idle.worker) == .admitted)
    first.release(idle.worker)
    #expect(second.acquire(limiter, idle.worker) == .admitted)
    first.release(idle.worker)
    #expect(limiter.occupancy == (1, 0))
    second.release(idle.worker)
    second.release(idle.worker)
    #expect(limiter.occupancy == (0, 0))
  }

  @Test("Whoever stops waiting while its admission is on the way gives the permit to the next")
  func admissionOnTheWay() throws {
    let idle = try IdleWorker { $0.limits.inFlight = 1 }
    let limiter = idle.upstream().state.limiter
    var permits = [Permit(), Permit(), Permit()]
    #expect(permits[0].acquire(limiter, idle.worker) == .admitted)
    for place in 1...2 {
      guard case .queued = permits[place].acquire(limiter, idle.worker) else {
        Issue.record("it need not wait")
        return
      }
    }
    permits[0].release(idle.worker)
    // Its admission lies in the worker's mailbox, which nobody has read.
    permits[1].release(idle.worker)
    #expect(limiter.occupancy == (1, 0))
    permits[2].admitted()
    permits[2].release(idle.worker)
    #expect(limiter.occupancy == (0, 0))
  }

  @Test("Whoever stops waiting in the queue makes room there, and gives nothing back")
  func waiting() throws {
    let idle = try IdleWorker {
      $0.limits.inFlight = 1
      $0.limits.queue = 1
    }
    let limiter = idle.upstream().state.limiter
    var permits = [Permit(), Permit(), Permit()]
    #expect(permits[0].acquire(limiter, idle.worker) == .admitted)
    _ = permits[1].acquire(limiter, idle.worker)
    #expect(permits[2].acquire(limiter, idle.worker) == .full)
    permits[2].release(idle.worker)
    permits[1].release(idle.worker)
    #expect(limiter.occupancy == (1, 0))
  }
}
