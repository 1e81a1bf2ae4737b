// One stream: reads, writes, ends, and every way to break. What all streams have in common is tested on each kind.
import Clocks
import Glibc
import Testing

@testable import Transport

@Suite("A stream")
struct StreamTests {
  @Test("Bytes come in as they were sent, and go out as they were written", arguments: StreamKind.allCases)
  func bothWays(kind: StreamKind) throws {
    let pair = try Pair(kind)
    pair.send("hello")
    try pair.driver.until { pair.delegate.text == "hello" }
    #expect(pair.stream.write("answer"))
    #expect(pair.stream.write("s"))
    #expect(pair.peerReads() == Array("answers".utf8))
    #expect(pair.stream.sentBytes == 7 && pair.stream.queuedBytes == 0)
  }

  @Test("What the socket does not take waits in order, and is flushed", arguments: StreamKind.allCases)
  func order(kind: StreamKind) throws {
    let pair = try Pair(kind)
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

  @Test("Stamps come from the kernel, rise, and are never later than their read", arguments: StreamKind.tcp)
  func stamps(kind: StreamKind) throws {
    let pair = try Pair(kind)
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

  @Test("A FIN is told once, after the bytes before it, and the stream can still write", arguments: StreamKind.allCases)
  func fin(kind: StreamKind) throws {
    let pair = try Pair(kind)
    pair.send("last")
    shutdown(pair.peer, Int32(SHUT_WR))
    try pair.driver.until { pair.delegate.ends == 1 }
    #expect(pair.delegate.events == ["connect", "read", "end"])
    #expect(pair.stream.write("still"))
    #expect(pair.peerReads() == Array("still".utf8))
    pair.driver.loop.runOnce()
    #expect(pair.delegate.events == ["connect", "read", "end"])
  }

  @Test(
    "More than one read takes is read on without any further arrival", arguments: StreamKind.allCases, [true, false])
  func beyondOneRead(kind: StreamKind, ends: Bool) throws {
    let pair = try Pair(kind)
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

  @Test("What stands behind urgent data is read without any further arrival", arguments: StreamKind.tcp, [true, false])
  func behindUrgentData(kind: StreamKind, ends: Bool) throws {
    let pair = try Pair(kind)
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

  @Test("A reset is told once, after the bytes before it", arguments: StreamKind.allCases)
  func reset(kind: StreamKind) throws {
    let pair = try Pair(kind)
    pair.send("last")
    pair.closePeer(reset: true)
    try pair.driver.until { !pair.delegate.errors.isEmpty }
    #expect(pair.delegate.text == "last")
    #expect(pair.delegate.events == ["connect", "read", "fail"])
    #expect(pair.delegate.errors.map(\.isPeerReset) == [true])
  }

  @Test("A write that meets the reset first does not lose what the peer had said", arguments: StreamKind.allCases)
  func writeIntoReset(kind: StreamKind) throws {
    let pair = try Pair(kind)
    _ = pair.stream.write("unread")
    pair.send("refused")
    // Closed over unread bytes: RST, whose error this write takes from the socket.
    pair.closePeer()
    _ = pair.stream.write("more")
    _ = pair.stream.write("and more")
    try pair.driver.until { !pair.delegate.errors.isEmpty }
    #expect(pair.delegate.text == "refused")
    #expect(pair.delegate.events == ["connect", "read", "fail"])
  }

  @Test(
    "A paused stream keeps the bytes, and notices that its peer has gone", arguments: StreamKind.allCases,
    [true, false])
  func paused(kind: StreamKind, reset: Bool) throws {
    let pair = try Pair(kind)
    pair.stream.pauseReading(detectingClose: true)
    pair.send("kept")
    pair.driver.loop.runOnce()
    #expect(pair.delegate.bytes.isEmpty)
    pair.closePeer(reset: reset)
    try pair.driver.until { pair.delegate.ends + pair.delegate.errors.count > 0 }
    #expect(pair.delegate.events == ["connect", reset ? "fail" : "end"])
  }

  @Test("A paused stream that is resumed reads on, and then ends", arguments: StreamKind.allCases)
  func resumed(kind: StreamKind) throws {
    let pair = try Pair(kind)
    pair.stream.pauseReading(detectingClose: false)
    pair.send("later")
    pair.closePeer()
    pair.driver.loop.runOnce()
    #expect(pair.delegate.events == ["connect"])
    pair.stream.startReading()
    try pair.driver.until { pair.delegate.ends == 1 }
    #expect(pair.delegate.text == "later")
  }

  @Test(
    "A write that fails while reading is paused does not lose what the peer had said", arguments: StreamKind.allCases)
  func writeIntoResetWhilePaused(kind: StreamKind) throws {
    let pair = try Pair(kind)
    pair.stream.pauseReading(detectingClose: false)
    _ = pair.stream.write("unread")
    pair.send("said before")
    // Closed over unread bytes: RST, which these writes meet.
    pair.closePeer()
    while pair.stream.write("more") {}
    for _ in 0..<8 { pair.driver.loop.runOnce() }
    #expect(pair.delegate.events == ["connect"])
    pair.stream.startReading()
    try pair.driver.until { !pair.delegate.errors.isEmpty }
    #expect(pair.delegate.text == "said before")
    #expect(pair.delegate.events == ["connect", "read", "fail"])
  }

  @Test(
    "A pause that detects no close is silent, whatever an earlier one did", arguments: StreamKind.allCases,
    [true, false])
  func silentPause(kind: StreamKind, resumes: Bool) throws {
    let pair = try Pair(kind)
    pair.stream.pauseReading(detectingClose: true)
    if resumes { pair.stream.startReading() }
    pair.stream.pauseReading(detectingClose: false)
    pair.closePeer()
    #expect(try pair.driver.turnsWhileIdle() < 10)
    #expect(pair.delegate.events == ["connect"])
    pair.stream.pauseReading(detectingClose: true)
    try pair.driver.until { pair.delegate.ends == 1 }
  }

  @Test(
    "A paused stream can be read, paused and read again, as often as its delegate likes", arguments: StreamKind.allCases
  )
  func pausedAgain(kind: StreamKind) throws {
    let pair = try Pair(kind)
    pair.delegate.onRead = { $0.pauseReading(detectingClose: false) }
    for round in 1...3 {
      pair.send("x")
      pair.stream.startReading()
      try pair.driver.until { pair.delegate.bytes.count == round }
      pair.send("y")
      #expect(try pair.driver.turnsWhileIdle() < 10)
      #expect(pair.delegate.bytes.count == round)
      _ = pair.stream.write("z")
      pair.delegate.bytes = Array(repeating: 0, count: round - 1)
      pair.stream.startReading()
      try pair.driver.until { pair.delegate.bytes.count == round }
    }
    #expect(pair.peerReads() == Array("zzz".utf8))
  }

  @Test("A stream that nobody reads from or writes to does not wake its loop", arguments: StreamKind.allCases)
  func idle(kind: StreamKind) throws {
    let pair = try Pair(kind, reading: false)
    pair.send("waits")
    #expect(try pair.driver.turnsWhileIdle() < 10)
    #expect(pair.delegate.events == ["connect"])
  }

  @Test("What is written before the connection is made is sent once it is", arguments: StreamKind.allCases)
  func writtenEarly(kind: StreamKind) throws {
    let driver = try LoopDriver(kind == .tcpByLevel ? .level : .edge)
    let listening = try PlainListener(kind == .unix ? .unix : .ipv4)
    let delegate = RecordingDelegate()
    let stream = try SocketStream.connect(loop: driver.loop, to: listening.address, stamped: false, delegate: delegate)
    #expect(!stream.write("early") && !stream.write(" bird"))
    #expect(stream.queuedBytes == 10 && stream.sentBytes == 0)
    let peer = accept(listening.descriptor, nil, nil)
    defer { close(peer) }
    try driver.until { stream.queuedBytes == 0 }
    #expect(delegate.flushes == 1 && stream.sentBytes == 10)
    var bytes = [UInt8](repeating: 0, count: 16)
    #expect(recv(peer, &bytes, 16, 0) == 10 && bytes.starts(with: "early bird".utf8))
    stream.close()
    #expect(!driver.isAlive())
  }

  @Test("After what was queued has gone, writes go out at once again", arguments: StreamKind.allCases)
  func writesAgain(kind: StreamKind) throws {
    let pair = try Pair(kind)
    for _ in 0..<2 {
      while pair.stream.write([UInt8](repeating: 1, count: 1 << 20)) {}
      #expect(pair.stream.queuedBytes > 0)
      try pair.driver.until {
        while !pair.peerReads(1 << 20).isEmpty {}
        return pair.stream.queuedBytes == 0
      }
      while !pair.peerReads(1 << 20).isEmpty {}
      #expect(pair.stream.write("x") && pair.stream.queuedBytes == 0)
    }
    pair.send("still read")
    try pair.driver.until { pair.delegate.text == "still read" }
  }

  @Test(
    "A reset is reported where that is asked for, though nothing is read", arguments: StreamKind.allCases,
    [true, false])
  func detectsReset(kind: StreamKind, asked: Bool) throws {
    let pair = try Pair(kind)
    pair.stream.detectsReset = asked
    #expect(pair.stream.detectsReset == asked)
    // With its end before: nothing is read behind that, and a paused stream waits until it is read.
    shutdown(pair.peer, Int32(SHUT_WR))
    try pair.driver.until { pair.delegate.ends == 1 }
    pair.closePeer(reset: true)
    if asked {
      try pair.driver.until { pair.delegate.errors.count == 1 }
      #expect(pair.delegate.events == ["connect", "end", "fail"])
    }
    #expect(try pair.driver.turnsWhileIdle() < 10)
    #expect(pair.delegate.errors.count == (asked ? 1 : 0))
  }

  @Test(
    "A reset in a pause is told at once where that is asked for, behind what came before it",
    arguments: StreamKind.allCases)
  func resetInPause(kind: StreamKind) throws {
    let pair = try Pair(kind)
    pair.stream.detectsReset = true
    pair.stream.pauseReading(detectingClose: false)
    pair.send("last words")
    pair.closePeer(reset: true)
    try pair.driver.until { pair.delegate.errors.count == 1 }
    #expect(kind == .unix || pair.delegate.text == "last words")
    #expect(pair.delegate.ends == 0)
  }

  @Test(
    "A stream whose peer ended its side and then broke fails, though nothing is read any more",
    arguments: StreamKind.allCases)
  func endThenReset(kind: StreamKind) throws {
    let pair = try Pair(kind)
    shutdown(pair.peer, Int32(SHUT_WR))
    try pair.driver.until { pair.delegate.ends == 1 }
    while pair.stream.write([UInt8](repeating: 1, count: 1 << 20)) {}
    pair.closePeer(reset: true)
    try pair.driver.until { !pair.delegate.errors.isEmpty }
    #expect(pair.delegate.errors.count == 1)
  }

  @Test("Nobody listening is a failed connect, at once or told later", arguments: [SocketAddress.Family.ipv4, .unix])
  func refused(family: SocketAddress.Family) throws {
    let driver = try LoopDriver()
    let path = SocketPath()
    // A socket's file stays behind a process that was killed.
    let address = try family == .unix ? path.address() : PlainListener().address
    if family == .unix { close(try boundSocket(address)) }
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

  @Test("Closing inside a read ends all calls, and frees the loop", arguments: StreamKind.allCases)
  func closeInside(kind: StreamKind) throws {
    let pair = try Pair(kind)
    pair.delegate.onRead = { $0.close() }
    pair.send("one")
    try pair.driver.until { pair.stream.isClosed }
    pair.send("two")
    #expect(!pair.driver.isAlive())
    #expect(pair.delegate.events == ["connect", "read"])
    pair.stream.close()
    #expect(!pair.stream.write("x"))
    #expect(pair.stream.isStale())
  }

  @Test("An idle stream is stale once its peer has spoken or gone", arguments: StreamKind.allCases)
  func stale(kind: StreamKind) throws {
    let quiet = try Pair(kind)
    #expect(!quiet.stream.isStale())
    quiet.send("unasked")
    #expect(quiet.stream.isStale())
    let gone = try Pair(kind)
    gone.closePeer()
    #expect(gone.stream.isStale())
  }

  @Test("A closing with reset is one for the peer", arguments: StreamKind.tcp)
  func closeWithReset(kind: StreamKind) throws {
    let pair = try Pair(kind)
    pair.stream.close(reset: true)
    var byte: UInt8 = 0
    #expect(recv(pair.peer, &byte, 1, 0) == -1 && errno == ECONNRESET)
  }

  @Test("Ending this side is a FIN for the peer, and reading goes on", arguments: StreamKind.allCases)
  func shutdownWriting(kind: StreamKind) throws {
    let pair = try Pair(kind)
    pair.stream.shutdownWriting()
    var byte: UInt8 = 0
    #expect(recv(pair.peer, &byte, 1, 0) == 0)
    pair.send("late")
    try pair.driver.until { pair.delegate.text == "late" }
  }

  @Test("Closing drops what is queued", arguments: StreamKind.allCases)
  func closeDropsQueue(kind: StreamKind) throws {
    let pair = try Pair(kind)
    while pair.stream.write([UInt8](repeating: 1, count: 1 << 20)) {}
    #expect(pair.stream.queuedBytes > 0)
    pair.stream.close()
    #expect(pair.stream.queuedBytes == 0 && pair.stream.isClosed)
    #expect(!pair.driver.isAlive())
    #expect(pair.delegate.events == ["connect"])
  }
}
