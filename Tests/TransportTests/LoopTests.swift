// Timers, mailboxes, promises, addresses, errors and the byte queue.
import Clocks
import Glibc
import Testing

@testable import Transport

@Suite("What else lives on a loop")
struct LoopTests {
  @Test("One instant has one wall time, however often the clocks are read before it is asked for again")
  func wallTime() throws {
    let loop = try EventLoop()
    let instant = Instant.now()
    let first = loop.wallAnchor(at: instant)
    for _ in 0..<1_000 {
      // An anchor is old for what comes two milliseconds after it.
      _ = loop.wallAnchor(at: .now().advanced(byNanoseconds: 2_000_000))
      #expect(loop.wallAnchor(at: instant) == first)
    }
  }

  @Test("A stamp from behind a step of the wall clock is mapped as soon as the clocks are read again")
  func steppedWallClock() throws {
    let loop = try EventLoop()
    let readAt = Instant.now().advanced(by: .milliseconds(10))
    let hour: Int64 = 3_600_000_000_000
    let stepped = WallAnchor(realtimeNanoseconds: WallAnchor.now().realtimeNanoseconds + hour, instant: readAt)
    loop.readClocks = { stepped }
    let arrival = loop.arrival(stamp: stepped.realtimeNanoseconds - 1_000, readAt: readAt, notBefore: nil)
    #expect(arrival == Arrival(at: readAt.advanced(byNanoseconds: -1_000), readAt: readAt, source: .kernel))
  }

  @Test("A timer fires once, or again and again until it is stopped")
  func timer() throws {
    let driver = try LoopDriver()
    var once = 0
    var often = 0
    let single = Timer(loop: driver.loop) { once += 1 }
    let repeating = Timer(loop: driver.loop) { often += 1 }
    single.start(milliseconds: 1)
    repeating.start(milliseconds: 1, repeating: 1)
    try driver.until { often >= 3 }
    #expect(once == 1)
    repeating.stop()
    single.close()
    repeating.close()
    single.close()
    single.start(milliseconds: 1)
    #expect(!driver.isAlive())
    #expect(once == 1)
  }

  @Test("A timer may close itself while it fires")
  func timerClosesItself() throws {
    let driver = try LoopDriver()
    var fired = 0
    var timer: Timer?
    timer = Timer(loop: driver.loop) {
      fired += 1
      timer?.close()
      timer = nil
    }
    timer?.start(milliseconds: 1, repeating: 1)
    try driver.until { fired == 1 }
    #expect(!driver.isAlive())
    #expect(fired == 1)
  }

  @Test("Messages from another thread arrive in order; after the close they are dropped")
  func mailbox() throws {
    let driver = try LoopDriver()
    var received: [Int] = []
    let mailbox = try Mailbox<Int>(loop: driver.loop) { received.append($0) }
    let thread = try WorkerThread(name: "poster") { for number in 0..<1_000 { mailbox.post(number) } }
    try driver.until { received.count == 1_000 }
    thread.join()
    #expect(received == Array(0..<1_000))
    mailbox.close()
    mailbox.post(1)
    mailbox.close()
    #expect(!driver.isAlive())
    #expect(received.count == 1_000)
  }

  @Test("A mailbox may be closed by what it brings")
  func mailboxClosedInside() throws {
    let driver = try LoopDriver()
    var received: [Int] = []
    var mailbox: Mailbox<Int>?
    mailbox = try Mailbox<Int>(loop: driver.loop) { message in
      received.append(message)
      if message == 2 {
        mailbox?.close()
        mailbox = nil
      }
    }
    for number in 1...3 { mailbox?.post(number) }
    try driver.until { received.count == 3 }
    #expect(!driver.isAlive())
  }

  @Test("A promise is waited for on one thread and kept on another")
  func promise() throws {
    let question = Promise<Int>()
    let answer = Promise<Int>()
    let thread = try WorkerThread(name: "keeper") { answer.fulfill(question.wait() + 1) }
    question.fulfill(41)
    #expect(answer.wait() == 42)
    #expect(answer.wait() == 42)
    thread.join()
  }

  @Test("A byte queue gives back what was put in, in order, however it is dropped")
  func byteQueue() {
    var queue = ByteQueue()
    var expected: [UInt8] = []
    var taken: [UInt8] = []
    for round in 0..<200 {
      let piece = (0..<(round * 37 % 5_000)).map { UInt8(truncatingIfNeeded: $0 &+ round) }
      expected += piece
      piece.withUnsafeBytes { queue.append($0.bytes) }
      let count = min(queue.count, round * 53 % 4_000)
      taken += queue.withBytes { Array($0.prefix(count)) }
      queue.drop(count)
      #expect(queue.count == expected.count - taken.count)
    }
    taken += queue.withBytes { Array($0) }
    queue.drop(queue.count)
    #expect(queue.count == 0)
    #expect(taken == expected)
  }

  @Test("Addresses are read and written as people write them")
  func addresses() {
    #expect(SocketAddress(literal: "127.0.0.1", port: 80)?.description == "127.0.0.1:80")
    #expect(SocketAddress(literal: "::1", port: 80)?.description == "[::1]:80")
    #expect(SocketAddress(literal: "::ffff:127.0.0.1", port: 80)?.host == "127.0.0.1")
    #expect(SocketAddress(literal: "::ffff:1:2:3", port: 80)?.host == "::ffff:1:2:3")
    #expect(SocketAddress(literal: "localhost", port: 80) == nil)
    #expect(SocketAddress(literal: "[::1]", port: 80) == nil)
  }

  @Test("Errors are named, and say whose fault they are")
  func errors() {
    #expect(TransportError(.read, code: -ECONNRESET).isPeerReset)
    #expect(!TransportError(.connect, code: -ECONNREFUSED).isPeerReset)
    #expect(TransportError(.accept, code: -EMFILE).isOutOfDescriptors)
    #expect(TransportError(.connect, code: -ECONNREFUSED).description == "connect: connection refused (ECONNREFUSED)")
  }
}
