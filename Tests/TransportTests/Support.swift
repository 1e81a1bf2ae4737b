// A loop that the test turns by hand, and plain sockets at the other end.
// It must not sleep: turns wait for events, and a timer on the same loop bounds each wait.
import Clocks
import Glibc
import Testing

@testable import Transport

/// A loop turned until something holds.
final class LoopDriver {
  let loop: EventLoop

  init() throws { loop = try EventLoop() }

  /// Turns the loop until `isDone`; after a minute without it the test has failed (a machine may be busy).
  func until(_ what: Comment = "in time", _ isDone: () -> Bool) throws {
    var isLate = false
    let limit = Timer(loop: loop) { isLate = true }
    limit.start(milliseconds: 60_000)
    while !isDone(), !isLate { loop.runOnce(waiting: true) }
    limit.close()
    loop.runOnce()
    try #require(isDone(), what)
  }

  /// Lets close callbacks come.
  /// - Returns: whether handles are left.
  func isAlive() -> Bool {
    for _ in 0..<4 where !loop.runOnce() { return false }
    return true
  }
}

/// Writes down what a stream tells.
final class RecordingDelegate: StreamDelegate {
  var bytes: [UInt8] = []
  var arrivals: [Arrival] = []
  var ends = 0
  var connects = 0
  var flushes = 0
  var errors: [TransportError] = []
  /// What came, in order: `read`, `end`, `connect`, `flush`, `fail`.
  var told: [String] = []
  var onRead: ((any ByteStream) -> Void)?

  var text: String { String(decoding: bytes, as: UTF8.self) }

  func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival) {
    bytes.withUnsafeBytes { self.bytes.append(contentsOf: $0) }
    arrivals.append(arrival)
    told.append("read")
    onRead?(stream)
  }

  func streamDidEnd(_ stream: any ByteStream) {
    ends += 1
    told.append("end")
  }

  func streamDidConnect(_ stream: any ByteStream) {
    connects += 1
    told.append("connect")
    stream.startReading()
  }

  func streamDidFlush(_ stream: any ByteStream) { flushes += 1 }

  func streamDidFail(_ stream: any ByteStream, _ error: TransportError) {
    errors.append(error)
    told.append("fail")
  }
}

extension ByteStream {
  func write(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { write($0.bytes) } }
  func write(_ text: String) -> Bool { write(Array(text.utf8)) }
}

/// A stream whose peer is a blocking socket of the test's own.
final class Pair {
  let driver: LoopDriver
  let delegate = RecordingDelegate()
  let stream: any ByteStream
  let peer: Int32
  private var isPeerOpen = true

  init() throws {
    driver = try LoopDriver()
    var accepted: Int32 = -1
    let listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listening) }
    let port = listenOnLoopback(listening)
    let address = try #require(SocketAddress(literal: "127.0.0.1", port: port))
    stream = try SocketStream.connect(loop: driver.loop, to: address, stamped: true, delegate: delegate)
    accepted = accept(listening, nil, nil)
    peer = accepted
    try driver.until("connected") { delegate.connects == 1 }
  }

  deinit {
    closePeer()
    stream.close()
    _ = driver.isAlive()
  }

  func send(_ text: String) {
    _ = text.withCString { Glibc.send(peer, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
  }

  func closePeer(reset: Bool = false) {
    guard isPeerOpen else { return }
    isPeerOpen = false
    if reset {
      var option = linger(l_onoff: 1, l_linger: 0)
      setsockopt(peer, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }
    close(peer)
  }

  /// What the peer has received and not yet read.
  func peerReads(_ capacity: Int = 65_536) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: capacity)
    let count = recv(peer, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    return Array(buffer.prefix(max(0, count)))
  }
}

func listenOnLoopback(_ descriptor: Int32) -> UInt16 {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  withUnsafeMutablePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(descriptor, $0, length)
      listen(descriptor, 16)
      getsockname(descriptor, $0, &length)
    }
  }
  return UInt16(bigEndian: address.sin_port)
}
