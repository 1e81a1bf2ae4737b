// Listeners, timers, mailboxes, resolvers, promises and the byte queue.
// It must not know the proxy.
import CSocket
import Clocks
import Glibc
import Testing

@testable import Transport

@Suite("What else lives on a loop")
struct LoopTests {
  private func client(of listener: Listener) throws -> Int32 { try plainClient(of: listener.address) }

  private func loopback() throws -> SocketAddress { try #require(SocketAddress(literal: "127.0.0.1", port: 0)) }

  @Test("A listener on port 0 says which port it got, and accepts there")
  func listener() throws {
    let driver = try LoopDriver()
    let listener = try Listener(loop: driver.loop, address: loopback(), sharesPort: false)
    #expect(listener.address.port != 0)
    var accepted: [any ByteStream] = []
    listener.start {
      accepted.append($0)
    } onFailure: {
      Issue.record("\($0)")
    }
    let peer = try client(of: listener)
    defer { close(peer) }
    try driver.until { accepted.count == 1 }
    #expect(accepted.first?.peer?.host == "127.0.0.1")
    accepted.forEach { $0.close() }
    listener.close()
    #expect(!driver.isAlive())
  }

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

  @Test("A port is taken once, unless it is shared")
  func sharedPort() throws {
    let driver = try LoopDriver()
    let first = try Listener(loop: driver.loop, address: loopback(), sharesPort: true)
    let same = try #require(SocketAddress(literal: "127.0.0.1", port: first.address.port))
    let second = try Listener(loop: driver.loop, address: same, sharesPort: true)
    #expect(second.address.port == first.address.port)
    #expect(throws: TransportError(.listen, code: -EADDRINUSE)) {
      _ = try Listener(loop: driver.loop, address: same, sharesPort: false)
    }
    first.close()
    second.close()
    #expect(!driver.isAlive())
  }

  @Test("Clients who shook hands are handed over when the listener closes")
  func closeServesQueued() throws {
    let driver = try LoopDriver()
    let listener = try Listener(loop: driver.loop, address: loopback(), sharesPort: false)
    var accepted: [any ByteStream] = []
    listener.start {
      accepted.append($0)
    } onFailure: {
      Issue.record("\($0)")
    }
    listener.pause()
    let peers = try (0..<5).map { _ in try client(of: listener) }
    defer { peers.forEach { close($0) } }
    #expect(accepted.isEmpty)
    listener.close()
    #expect(accepted.count == 5)
    accepted.forEach { $0.close() }
    #expect(!driver.isAlive())
  }

  /// A listener of a process that shares its port with others, and how many clients it got.
  private final class Sharer {
    let listener: Listener
    var clients = 0

    init(_ loop: EventLoop, _ address: SocketAddress) throws {
      listener = try Listener(loop: loop, socket: ListeningSocket(address, sharing: .processes))
      listener.start { [self] stream in
        clients += 1
        stream.close()
      } onFailure: {
        Issue.record("\($0)")
      }
    }
  }

  @Test("A listener that is about to close gets no further client of a port that a successor shares, and loses none")
  func yields() throws {
    let driver = try LoopDriver()
    let old = try Sharer(driver.loop, loopback())
    var peers: [Int32] = []
    func connectSome() throws { for _ in 0..<40 { peers.append(try client(of: old.listener)) } }
    defer { peers.forEach { close($0) } }
    let new = try Sharer(driver.loop, #require(SocketAddress(literal: "127.0.0.1", port: old.listener.address.port)))
    try connectSome()
    try driver.until { old.clients + new.clients == 40 }
    #expect(old.clients > 0 && new.clients > 0)
    let before = old.clients
    // Still in the old one's queue, some of them, when it begins to close.
    try connectSome()
    var isClosed = false
    old.listener.close { isClosed = true }
    let queued = 80
    try connectSome()
    try driver.until { isClosed }
    try driver.until { old.clients + new.clients == queued + 40 }
    #expect(old.clients > before)
    let after = old.clients
    try connectSome()
    try driver.until { old.clients + new.clients == queued + 80 }
    #expect(old.clients == after)
    // Whoever comes next shares the port evenly again.
    let next = try Sharer(driver.loop, new.listener.address)
    try connectSome()
    try driver.until { new.clients + old.clients + next.clients == queued + 120 }
    #expect(next.clients > 0 && next.clients < 40)
    for sharer in [new, next] { sharer.listener.close() }
    for sharer in [new, next] { sharer.listener.close() }
    #expect(!driver.isAlive())
  }

  @Test("Several listeners take clients from one socket, which closes with the last")
  func oneSocket() throws {
    let driver = try LoopDriver()
    let socket = try ListeningSocket(loopback())
    var clients = 0
    let listeners = try (0..<3).map { _ in try Listener(loop: driver.loop, socket: socket) }
    for listener in listeners {
      listener.start {
        clients += 1
        $0.close()
      } onFailure: {
        Issue.record("\($0)")
      }
    }
    socket.close()
    listeners[0].close()
    listeners[1].close()
    let peer = try client(of: listeners[2])
    defer { close(peer) }
    try driver.until { clients == 1 }
    listeners[2].close()
    #expect(!driver.isAlive())
    _ = try ListeningSocket(socket.address)
  }

  @Test("Only a listening TCP socket can be taken over")
  func inherited() throws {
    func failure(_ descriptor: Int32) -> Int32? {
      do throws(TransportError) {
        _ = try ListeningSocket(inherited: descriptor)
        return nil
      } catch {
        return -error.code
      }
    }
    let deaf = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let datagrams = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    defer { ([deaf, datagrams] + ends).forEach { close($0) } }
    #expect(failure(deaf) == EINVAL)
    #expect(failure(datagrams) == EPROTOTYPE)
    #expect(failure(ends[0]) == ENOTSOCK)
    #expect(failure(1_000_000) == EBADF)
  }

  @Test("A listener that is paused while it accepts leaves the others in the queue")
  func pausedInside() throws {
    let driver = try LoopDriver()
    let listener = try Listener(loop: driver.loop, address: loopback(), sharesPort: false)
    let peers = try (0..<5).map { _ in try client(of: listener) }
    defer { peers.forEach { close($0) } }
    var accepted: [any ByteStream] = []
    listener.start {
      accepted.append($0)
      if accepted.count == 2 { listener.pause() }
    } onFailure: {
      Issue.record("\($0)")
    }
    try driver.until { accepted.count >= 2 }
    driver.loop.runOnce()
    #expect(accepted.count == 2)
    listener.resume()
    try driver.until { accepted.count == 5 }
    accepted.forEach { $0.close() }
    listener.close()
    #expect(!driver.isAlive())
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
    let thread = try WorkerThread(name: "keeper") { answer.keep(question.wait() + 1) }
    question.keep(41)
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
