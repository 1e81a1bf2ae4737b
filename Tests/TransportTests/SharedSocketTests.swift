// One listening socket from which several loops accept, each on a thread of its own: which of them the kernel wakes.
import CSocket
import Glibc
import Synchronization
import Testing

@testable import Transport

@Suite("One socket, several loops")
struct SharedSocketTests {
  private enum Command: Sendable { case pause, resume, close }

  /// A loop with a listener, and how often its thread went to sleep.
  private final class Acceptor: Sendable {
    let sleeps = Atomic(0)
    let accepted = Atomic(0)
    let mailbox = Promise<Mailbox<Command>>()
    let handled = Atomic(0)

    func run(_ socket: ListeningSocket) throws {
      let loop = try EventLoop()
      let listener = try Listener(loop: loop, socket: socket)
      var mailbox: Mailbox<Command>?
      mailbox = try Mailbox<Command>(loop: loop) { [self] command in
        switch command {
        case .pause: listener.pause()
        case .resume: listener.resume()
        case .close:
          listener.close()
          listener.close()
          mailbox?.close()
        }
        handled.add(1, ordering: .sequentiallyConsistent)
      }
      listener.start { [self] stream in
        // A byte tells the client that it was accepted.
        _ = [UInt8(ascii: "!")].withUnsafeBytes { stream.write($0.bytes) }
        stream.close()
        accepted.add(1, ordering: .relaxed)
      } onFailure: {
        Issue.record("\($0)")
      }
      if let mailbox { self.mailbox.fulfill(mailbox) }
      loop.run()
      var usage = rusage()
      _ = unsafe getrusage(1, &usage)  // RUSAGE_THREAD, which glibc declares only under _GNU_SOURCE
      sleeps.store(usage.ru_nvcsw, ordering: .relaxed)
    }
  }

  private struct Acceptors {
    let socket: ListeningSocket
    let all: [Acceptor]
    let threads: [WorkerThread]

    init(_ count: Int) throws {
      let loopback = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
      let bound = try ListeningSocket(loopback)
      let socket = try ListeningSocket(inherited: fcntl(bound.descriptor, F_DUPFD_CLOEXEC, 0))
      let acceptors = (0..<count).map { _ in Acceptor() }
      self.socket = socket
      all = acceptors
      threads = try acceptors.map { acceptor in
        try WorkerThread(name: "acceptor") {
          do { try acceptor.run(socket) } catch { Issue.record("\(error)") }
        }
      }
      bound.close()
      for acceptor in all { _ = acceptor.mailbox.wait() }
    }

    /// Connects, and waits until one of them has accepted.
    func connect() throws {
      let client = try plainClient(of: socket.address)
      defer { close(client) }
      var byte: UInt8 = 0
      try #require(unsafe recv(client, &byte, 1, 0) == 1)
    }

    func tell(_ acceptor: Acceptor, _ command: Command) {
      let before = acceptor.handled.load(ordering: .sequentiallyConsistent)
      acceptor.mailbox.wait().post(command)
      while acceptor.handled.load(ordering: .sequentiallyConsistent) == before { sched_yield() }
    }

    func end() {
      for acceptor in all { acceptor.mailbox.wait().post(.close) }
      for thread in threads { thread.join() }
      socket.close()
    }

    var accepted: [Int] { all.map { $0.accepted.load(ordering: .relaxed) } }
  }

  @Test("A client wakes one of the loops, and each gets its part of them")
  func wakesOne() throws {
    let acceptors = try Acceptors(8)
    for _ in 0..<400 { try acceptors.connect() }
    acceptors.end()
    let sleeps = acceptors.all.reduce(0) { $0 + $1.sleeps.load(ordering: .relaxed) }
    #expect(acceptors.accepted.reduce(0, +) == 400)
    // A loop that is woken sleeps again afterwards: once a client, where all are woken eight times.
    #expect(sleeps < 400 * 3, "\(sleeps)")
    #expect(acceptors.accepted.allSatisfy { $0 >= 10 }, "\(acceptors.accepted)")
  }

  @Test("A loop that is paused keeps no client from the others, and is one of them again afterwards")
  func paused() throws {
    let acceptors = try Acceptors(2)
    acceptors.tell(acceptors.all[0], .pause)
    let before = acceptors.accepted[0]
    for _ in 0..<20 { try acceptors.connect() }
    #expect(acceptors.accepted[0] == before)
    acceptors.tell(acceptors.all[0], .resume)
    acceptors.tell(acceptors.all[1], .pause)
    for _ in 0..<20 { try acceptors.connect() }
    acceptors.end()
    #expect(acceptors.accepted == [20, 20])
  }
}
