// Listening sockets and listeners: who is accepted, by whom, and when nobody is.
import CSocket
import Glibc
import Testing

@testable import Transport

@Suite("Listening")
struct ListenerTests {
  private func client(of listener: Listener) throws -> Int32 { try plainClient(of: listener.address) }

  private func loopback() throws -> SocketAddress { try #require(SocketAddress(literal: "127.0.0.1", port: 0)) }

  @Test("A listener on port 0 has the address of the port that it got, and accepts there")
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

  @Test("Clients whose handshake is complete are accepted when the listener closes")
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

  /// A listener that shares its port with those of other processes, and the number of clients that it accepted.
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

  @Test("A listener that closes gets no further client of a port that a successor shares, and loses none")
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

  @Test(
    "When descriptors run out a listener reports it, waits, and then accepts the waiting clients, as often as it happens"
  )
  func outOfDescriptors() throws {
    let driver = try LoopDriver()
    let listener = try Listener(loop: driver.loop, address: loopback(), sharesPort: false)
    let accept = listener.acceptClient
    listener.retryMilliseconds = 1
    var failing = 0
    listener.acceptClient = { descriptor in
      guard failing > 0 else { return accept(descriptor) }
      failing -= 1
      return (-EMFILE, tg_address())
    }
    var accepted = 0
    var failures: [TransportError] = []
    listener.start {
      accepted += 1
      $0.close()
    } onFailure: {
      failures.append($0)
    }
    for round in 1...2 {
      failing = 3
      let peer = try client(of: listener)
      defer { close(peer) }
      try driver.until { accepted == round }
      #expect(failures == Array(repeating: TransportError(.accept, code: -EMFILE), count: 3 * round))
    }
    listener.close()
    #expect(!driver.isAlive())
  }

  @Test("A listener without descriptors does not spin until it tries again")
  func withoutDescriptors() throws {
    let driver = try LoopDriver()
    let listener = try Listener(loop: driver.loop, address: loopback(), sharesPort: false)
    listener.acceptClient = { _ in (-EMFILE, tg_address()) }
    listener.retryMilliseconds = 600_000
    var failures = 0
    listener.start { _ in
      Issue.record("nobody is accepted")
    } onFailure: { _ in
      failures += 1
    }
    let peer = try client(of: listener)
    defer { close(peer) }
    try driver.until { failures == 1 }
    #expect(try driver.turnsWhileIdle() < 10)
    #expect(failures == 1)
    listener.close()
    #expect(!driver.isAlive())
  }

  @Test(
    "When there are descriptors again, a listener that its owner has paused meanwhile stays paused, and does not spin")
  func pausedWithoutDescriptors() throws {
    let driver = try LoopDriver()
    let listener = try Listener(loop: driver.loop, address: loopback(), sharesPort: false)
    let accept = listener.acceptClient
    listener.acceptClient = { _ in (-EMFILE, tg_address()) }
    listener.retryMilliseconds = 1
    var accepted = 0
    var failures = 0
    listener.start {
      accepted += 1
      $0.close()
    } onFailure: { _ in
      failures += 1
    }
    let peer = try client(of: listener)
    defer { close(peer) }
    try driver.until { failures >= 2 }
    listener.acceptClient = accept
    listener.pause()
    #expect(try driver.turnsWhileIdle() < 10)
    #expect(accepted == 0)
    listener.resume()
    try driver.until { accepted == 1 }
    listener.close()
    #expect(!driver.isAlive())
  }

  @Test("A client whose connection has failed before it was accepted is reported, and the next is accepted")
  func failedClient() throws {
    let driver = try LoopDriver()
    let listener = try Listener(loop: driver.loop, address: loopback(), sharesPort: false)
    let accept = listener.acceptClient
    var hasFailed = false
    listener.acceptClient = { descriptor in
      if hasFailed { return accept(descriptor) }
      hasFailed = true
      return (-ECONNABORTED, tg_address())
    }
    var accepted = 0
    var failures: [TransportError] = []
    listener.start {
      accepted += 1
      $0.close()
    } onFailure: {
      failures.append($0)
    }
    let peer = try client(of: listener)
    defer { close(peer) }
    try driver.until { accepted == 1 }
    #expect(failures == [TransportError(.accept, code: -ECONNABORTED)])
    listener.close()
    #expect(!driver.isAlive())
  }
}
