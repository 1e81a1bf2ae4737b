// A simulator that runs on a thread of its own while a test talks to it.
import Simulator
import TestSupport
import Transport

/// A simulator on a free port of loopback. Its tokens come 1 ms apart, if nothing else is asked for.
///
/// Call `stop()` before `truth()`; the object does it at its end at the latest.
public final class RunningSimulator {
  /// Where it listens.
  public let address: SocketAddress
  private let folder: TemporaryFolder
  private let stopping: Mailbox<Void>
  private let thread: WorkerThread
  private var isRunning = true

  /// Starts a simulator.
  /// - Parameters:
  ///   - tokens: how many tokens it answers a request with.
  ///   - slots: how many requests it serves at once; nil is any number.
  public init(tokens: Int, slots: Int? = nil) throws {
    folder = try TemporaryFolder()
    var behaviour = try Behaviour()
    behaviour.ttft = try Distribution(duration: "1ms")
    behaviour.interval = try Distribution(duration: "1ms")
    behaviour.tokens = try Distribution(count: "\(tokens)")
    guard let listen = SocketAddress(literal: "127.0.0.1", port: 0) else { throw SocketFailure.refused }
    var options = SimulatorOptions(listen: listen, behaviour: behaviour)
    options.truthPath = folder.file("truth")
    options.slots = slots
    // Made here, then only touched by the thread.
    nonisolated(unsafe) let loop = try EventLoop()
    nonisolated(unsafe) let simulator = try Simulator(loop: loop, options: options)
    let stopping = try Mailbox<Void>(loop: loop) { simulator.stop() }
    self.stopping = stopping
    address = simulator.address
    thread = try WorkerThread(name: "simulator") {
      simulator.run()
      stopping.close()
      while loop.runOnce() {}
    }
  }

  deinit { stop() }

  /// Stops it and waits for its end; a second call does nothing.
  public func stop() {
    guard isRunning else { return }
    isRunning = false
    stopping.post(())
    thread.join()
  }

  /// The path of its truth, one JSON line a request; whole once it has stopped.
  public var truthPath: String { folder.file("truth") }

  /// The text of its truth.
  public func truth() throws -> String { try folder.text(of: "truth") }
}
