// The options by which the kernel finds out vanished peers, on sockets of every kind.
import CSocket
import Glibc
import TestSupport
import Testing

@testable import Transport

@Suite("Vanished peers")
struct LivenessTests {
  private static let liveness = Liveness(
    idle: .milliseconds(41_500), interval: .seconds(7), probes: 3, userTimeout: .milliseconds(9_500))

  /// Keepalive, its three numbers, and the timeout in milliseconds.
  private func options(_ descriptor: Int32) -> [Int32] {
    let tcp = Int32(IPPROTO_TCP)
    return [tg_get_option(descriptor, SOL_SOCKET, SO_KEEPALIVE)]
      + [TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT].map { tg_get_option(descriptor, tcp, $0) }
  }

  /// The process' sockets whose options are these.
  private func count(_ wanted: [Int32]) -> Int { (3..<1024).filter { options($0) == wanted }.count }

  @Test("A connection that is made has them, and so has one that a listening socket accepts")
  func bothSides() throws {
    let loop = try EventLoop()
    loop.liveness = Self.liveness
    let listener = try Listener(
      loop: loop, address: #require(SocketAddress(literal: "127.0.0.1", port: 0)), sharesPort: false)
    listener.apply(Self.liveness)
    var accepted: [any ByteStream] = []
    listener.start(onAccept: { accepted.append($0) }, onFailure: { _ in })
    let stream = try SocketStream.connect(loop: loop, to: listener.address, stamped: false)
    for _ in 0..<100 where accepted.isEmpty { _ = loop.runOnce() }
    #expect(accepted.count == 1)
    // The listening one's two descriptors, the connection's two ends.
    #expect(count([1, 42, 7, 3, 9_500]) == 3)
    listener.apply(.off)
    #expect(count([1, 42, 7, 3, 9_500]) == 2)
    listener.close()
    stream.close()
    for stream in accepted { stream.close() }
    loop.run()
  }

  @Test("Durations are whole seconds within what the kernel accepts, and off is off")
  func bounds() {
    let least = Liveness(idle: .milliseconds(1), interval: .milliseconds(1), probes: 0, userTimeout: .milliseconds(1))
    #expect((least.idleSeconds, least.intervalSeconds, least.probes, least.userTimeoutMilliseconds) == (1, 1, 1, 1))
    let week = Duration.seconds(604_800)
    let most = Liveness(idle: week, interval: week, probes: 1000, userTimeout: week)
    #expect((most.idleSeconds, most.intervalSeconds, most.probes) == (32_767, 32_767, 127))
    #expect(most.userTimeoutMilliseconds == 604_800_000)
    let off = Liveness.off
    #expect((off.idleSeconds, off.userTimeoutMilliseconds) == (0, 0))
    let descriptor = tg_stream_socket(Int32(AF_INET))
    for liveness in [least, most] {
      liveness.apply(to: descriptor)
      #expect(options(descriptor)[0...3] == [1, liveness.idleSeconds, liveness.intervalSeconds, liveness.probes])
    }
    off.apply(to: descriptor)
    #expect(options(descriptor)[0] == 0 && options(descriptor)[4] == 0)
    _ = Glibc.close(descriptor)
  }

  @Test("The timeout is suspended for a peer that lives and takes no more, and holds again once it takes")
  func suspended() throws {
    let loop = try EventLoop()
    loop.liveness = Liveness(idle: nil, interval: .seconds(1), probes: 1, userTimeout: .milliseconds(77_777))
    let server = try ScriptedUpstream()
    let address = try #require(SocketAddress(literal: "127.0.0.1", port: server.port))
    let stream = try SocketStream.connect(loop: loop, to: address, stamped: false)
    let peer = try server.accept()
    for _ in 0..<20 { _ = loop.runOnce() }
    let timeouts = { (3..<1024).filter { self.options($0)[4] == 77_777 }.count }
    #expect(timeouts() == 1)
    stream.adjustUserTimeout(isIdle: true)
    #expect(timeouts() == 1)
    let piece = [UInt8](repeating: 0, count: 1 << 20)
    while stream.queuedBytes < 4 << 20 { stream.write(piece.span.bytes) }
    // Until the window is closed, and all that was sent is acknowledged.
    for _ in 0..<400 where timeouts() == 1 {
      _ = poll(nil, 0, 5)
      stream.adjustUserTimeout(isIdle: false)
    }
    #expect(timeouts() == 0)
    var room = [UInt8](repeating: 0, count: 1 << 20)
    for _ in 0..<2000 where stream.queuedBytes > 0 {
      _ = room.withUnsafeMutableBytes { Glibc.recv(peer.descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT)) }
      _ = loop.runOnce()
    }
    stream.adjustUserTimeout(isIdle: false)
    #expect(timeouts() == 1)
    stream.close()
    loop.run()
  }

  @Test(
    "A peer that gives no sign of life has vanished; one that resets or refuses has not",
    arguments: [
      (TransportError.Operation.read, ETIMEDOUT, true), (.write, ETIMEDOUT, true), (.read, EHOSTUNREACH, true),
      (.write, ENETUNREACH, true), (.read, ECONNRESET, false), (.write, EPIPE, false), (.connect, ETIMEDOUT, false),
    ])
  func vanished(operation: TransportError.Operation, code: Int32, vanished: Bool) {
    #expect(TransportError(operation, code: -code).isPeerVanished == vanished)
  }
}
