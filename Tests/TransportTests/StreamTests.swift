// One stream over loopback: reads, writes, ends, and every way to break.
// It must not know the proxy.
import Clocks
import Glibc
import Testing

@testable import Transport

@Suite("A stream")
struct StreamTests {
  @Test("Bytes come in as they were sent, and go out as they were written")
  func bothWays() throws {
    let pair = try Pair()
    pair.send("hello")
    try pair.driver.until { pair.delegate.text == "hello" }
    #expect(pair.stream.write("answer"))
    #expect(pair.stream.write("s"))
    #expect(pair.peerReads() == Array("answers".utf8))
    #expect(pair.stream.sentBytes == 7 && pair.stream.queuedBytes == 0)
  }

  @Test("What the socket does not take waits in order, and is flushed")
  func order() throws {
    let pair = try Pair()
    var expected: [UInt8] = []
    var wasTaken = true
    let pattern = (0..<50_256).map { UInt8(truncatingIfNeeded: $0) }
    for number in 0..<400 {
      let piece = Array(pattern[(number % 256)...].prefix(50_000))
      expected += piece
      wasTaken = pair.stream.write(piece)
    }
    #expect(!wasTaken)
    #expect(pair.stream.queuedBytes > 0)
    #expect(pair.stream.sentBytes + UInt64(pair.stream.queuedBytes) == UInt64(expected.count))
    var received: [UInt8] = []
    try pair.driver.until {
      while case let piece = pair.peerReads(1 << 20), !piece.isEmpty { received += piece }
      return pair.stream.queuedBytes == 0
    }
    // What the socket has taken needs no turn of the loop to arrive.
    var entry = pollfd(fd: pair.peer, events: Int16(POLLIN), revents: 0)
    while received.count < expected.count, poll(&entry, 1, 10_000) > 0 { received += pair.peerReads(1 << 20) }
    #expect(received == expected)
    #expect(pair.delegate.flushes > 0 && pair.stream.queuedBytes == 0)
    #expect(pair.stream.sentBytes == UInt64(expected.count))
  }

  @Test("Stamps come from the kernel, rise, and are never later than their read")
  func stamps() throws {
    let pair = try Pair()
    let before = Instant.now()
    // The kernel begins to stamp a moment after the first socket of the host has asked for it.
    for number in 1...50_000 where number <= 20 || !pair.delegate.arrivals.contains(where: { $0.source == .kernel }) {
      pair.send("x")
      try pair.driver.until { pair.delegate.bytes.count == number }
    }
    let arrivals = pair.delegate.arrivals
    #expect(arrivals.count >= 20)
    #expect(arrivals.contains { $0.source == .kernel })
    #expect(arrivals.allSatisfy { $0.at <= $0.readAt })
    #expect(arrivals.map(\.at) == arrivals.map(\.at).sorted())
    #expect(arrivals.dropFirst().allSatisfy { $0.at.nanoseconds(since: before) > -1_000_000 })
  }

  @Test("A FIN is told once, after the bytes before it, and the stream can still write")
  func fin() throws {
    let pair = try Pair()
    pair.send("last")
    shutdown(pair.peer, Int32(SHUT_WR))
    try pair.driver.until { pair.delegate.ends == 1 }
    #expect(pair.delegate.told == ["connect", "read", "end"])
    #expect(pair.stream.write("still"))
    #expect(pair.peerReads() == Array("still".utf8))
    pair.driver.loop.runOnce()
    #expect(pair.delegate.told == ["connect", "read", "end"])
  }

  @Test("More than one read takes is read on without any further arrival", arguments: [true, false])
  func beyondOneRead(ends: Bool) throws {
    let pair = try Pair()
    try pair.driver.until { pair.delegate.connects == 1 }
    pair.stream.pauseReading(detectingClose: false)
    // Exactly two reads' worth, one byte more, and a little: all of it stands in the kernel before the first read.
    for (round, count) in [2 * EventLoop.readCapacity, EventLoop.readCapacity + 1, 5].enumerated() {
      let before = pair.delegate.bytes.count
      pair.send(String(repeating: "x", count: count))
      if ends, round == 2 { shutdown(pair.peer, Int32(SHUT_WR)) }
      pair.stream.startReading()
      try pair.driver.until { pair.delegate.bytes.count == before + count }
      if round < 2 { pair.stream.pauseReading(detectingClose: false) }
    }
    try pair.driver.until { !ends || pair.delegate.ends == 1 }
    pair.send("")
    pair.driver.loop.runOnce()
    #expect(pair.delegate.ends == (ends ? 1 : 0) && pair.delegate.errors.isEmpty)
  }

  @Test("What stands behind urgent data is read without any further arrival", arguments: [true, false])
  func behindUrgentData(ends: Bool) throws {
    let pair = try Pair()
    pair.stream.pauseReading(detectingClose: false)
    // A read stops before an urgent byte, which no read brings, however much room it has.
    var urgent: UInt8 = 0x21
    for text in ["before", "between", "behind"] {
      pair.send(text)
      if text != "behind" { _ = send(pair.peer, &urgent, 1, Int32(MSG_OOB)) }
    }
    if ends { shutdown(pair.peer, Int32(SHUT_WR)) }
    pair.stream.startReading()
    try pair.driver.until { pair.delegate.text.hasSuffix("behind") && pair.delegate.ends == (ends ? 1 : 0) }
    pair.send("later")
    if !ends { try pair.driver.until { pair.delegate.text.hasSuffix("behindlater") } }
    #expect(pair.delegate.text.hasPrefix("before") && pair.delegate.errors.isEmpty)
  }

  @Test("A reset is told once, after the bytes before it")
  func reset() throws {
    let pair = try Pair()
    pair.send("last")
    pair.closePeer(reset: true)
    try pair.driver.until { !pair.delegate.errors.isEmpty }
    #expect(pair.delegate.text == "last")
    #expect(pair.delegate.told == ["connect", "read", "fail"])
    #expect(pair.delegate.errors.map(\.isPeerReset) == [true])
  }

  @Test("A write that meets the reset first does not lose what the peer had said")
  func writeIntoReset() throws {
    let pair = try Pair()
    _ = pair.stream.write("unread")
    pair.send("refused")
    // Closed over unread bytes: RST, whose error this write takes from the socket.
    pair.closePeer()
    _ = pair.stream.write("more")
    _ = pair.stream.write("and more")
    try pair.driver.until { !pair.delegate.errors.isEmpty }
    #expect(pair.delegate.text == "refused")
    #expect(pair.delegate.told == ["connect", "read", "fail"])
  }

  @Test("A paused stream keeps the bytes, and notices that its peer has gone", arguments: [true, false])
  func paused(reset: Bool) throws {
    let pair = try Pair()
    pair.stream.pauseReading(detectingClose: true)
    pair.send("kept")
    pair.driver.loop.runOnce()
    #expect(pair.delegate.bytes.isEmpty)
    pair.closePeer(reset: reset)
    try pair.driver.until { pair.delegate.ends + pair.delegate.errors.count > 0 }
    #expect(pair.delegate.told == ["connect", reset ? "fail" : "end"])
  }

  @Test("A paused stream that is resumed reads on, and then ends")
  func resumed() throws {
    let pair = try Pair()
    pair.stream.pauseReading(detectingClose: false)
    pair.send("later")
    pair.closePeer()
    pair.driver.loop.runOnce()
    #expect(pair.delegate.told == ["connect"])
    pair.stream.startReading()
    try pair.driver.until { pair.delegate.ends == 1 }
    #expect(pair.delegate.text == "later")
  }

  @Test("A write that fails while reading is paused does not lose what the peer had said")
  func writeIntoResetWhilePaused() throws {
    let pair = try Pair()
    pair.stream.pauseReading(detectingClose: false)
    _ = pair.stream.write("unread")
    pair.send("said before")
    // Closed over unread bytes: RST, which these writes meet.
    pair.closePeer()
    while pair.stream.write("more") {}
    for _ in 0..<8 { pair.driver.loop.runOnce() }
    #expect(pair.delegate.told == ["connect"])
    pair.stream.startReading()
    try pair.driver.until { !pair.delegate.errors.isEmpty }
    #expect(pair.delegate.text == "said before")
    #expect(pair.delegate.told == ["connect", "read", "fail"])
  }

  @Test("A stream whose peer ended its side and then broke fails, though nothing is read any more")
  func endThenReset() throws {
    let pair = try Pair()
    shutdown(pair.peer, Int32(SHUT_WR))
    try pair.driver.until { pair.delegate.ends == 1 }
    while pair.stream.write([UInt8](repeating: 1, count: 1 << 20)) {}
    pair.closePeer(reset: true)
    try pair.driver.until { !pair.delegate.errors.isEmpty }
    #expect(pair.delegate.errors.count == 1)
  }

  @Test("Nobody listening is a failed connect, at once or told later")
  func refused() throws {
    let driver = try LoopDriver()
    let listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let address = try #require(SocketAddress(literal: "127.0.0.1", port: listenOnLoopback(listening)))
    close(listening)
    let delegate = RecordingDelegate()
    var error: TransportError?
    do throws(TransportError) {
      let stream = try SocketStream.connect(loop: driver.loop, to: address, stamped: true, delegate: delegate)
      try? driver.until { !delegate.errors.isEmpty }
      error = delegate.errors.first
      stream.close()
    } catch let refusal { error = refusal }
    #expect(error?.operation == .connect && error?.name == "ECONNREFUSED")
    #expect(!driver.isAlive())
  }

  @Test("Closing inside a read ends all calls, and frees the loop")
  func closeInside() throws {
    let pair = try Pair()
    pair.delegate.onRead = { $0.close() }
    pair.send("one")
    try pair.driver.until { pair.stream.isClosed }
    pair.send("two")
    #expect(!pair.driver.isAlive())
    #expect(pair.delegate.told == ["connect", "read"])
    pair.stream.close()
    #expect(!pair.stream.write("x"))
    #expect(pair.stream.isStale())
  }

  @Test("An idle stream is stale once its peer has spoken or gone")
  func stale() throws {
    let quiet = try Pair()
    #expect(!quiet.stream.isStale())
    quiet.send("unasked")
    #expect(quiet.stream.isStale())
    let gone = try Pair()
    gone.closePeer()
    #expect(gone.stream.isStale())
  }

  @Test("A closing with reset is one for the peer")
  func closeWithReset() throws {
    let pair = try Pair()
    pair.stream.close(reset: true)
    var byte: UInt8 = 0
    #expect(recv(pair.peer, &byte, 1, 0) == -1 && errno == ECONNRESET)
  }

  @Test("Ending this side is a FIN for the peer, and reading goes on")
  func shutdownWriting() throws {
    let pair = try Pair()
    pair.stream.shutdownWriting()
    var byte: UInt8 = 0
    #expect(recv(pair.peer, &byte, 1, 0) == 0)
    pair.send("late")
    try pair.driver.until { pair.delegate.text == "late" }
  }
}
