// A loop that the test turns by hand, and plain sockets at the other end.
// It must not sleep: turns wait for events, and a timer on the same loop bounds each wait.
import Clocks
import Glibc
import Testing

@testable import Transport

/// A loop turned until something holds.
final class LoopDriver {
  let loop: EventLoop

  init(_ trigger: PollTrigger = .edge) throws { loop = try EventLoop(trigger: trigger) }

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

  /// How often the loop turns until nothing has happened for 20 ms: it would turn for ever, were it woken again and again.
  func turnsWhileIdle() throws -> Int {
    var turns = 0
    var isOver = false
    let limit = Timer(loop: loop) { isOver = true }
    limit.start(milliseconds: 20)
    while !isOver {
      loop.runOnce(waiting: true)
      turns += 1
    }
    limit.close()
    loop.runOnce()
    return turns
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
  var events: [String] = []
  var readsOnceConnected = true
  var onRead: ((any ByteStream) -> Void)?

  var text: String { String(decoding: bytes, as: UTF8.self) }

  func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival) {
    bytes.withUnsafeBytes { self.bytes.append(contentsOf: $0) }
    arrivals.append(arrival)
    events.append("read")
    onRead?(stream)
  }

  func streamDidEnd(_ stream: any ByteStream) {
    ends += 1
    events.append("end")
  }

  func streamDidConnect(_ stream: any ByteStream) {
    connects += 1
    events.append("connect")
    if readsOnceConnected { stream.startReading() }
  }

  func streamDidFlush(_ stream: any ByteStream) { flushes += 1 }

  func streamDidFail(_ stream: any ByteStream, _ error: TransportError) {
    errors.append(error)
    events.append("fail")
  }
}

extension ByteStream {
  func write(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { write($0.bytes) } }
  func write(_ text: String) -> Bool { write(Array(text.utf8)) }
}

/// The streams there are: every test of what they have in common runs on each.
enum StreamKind: CaseIterable {
  case tcpByEdge
  case tcpByLevel
  case unix

  static let tcp: [StreamKind] = [.tcpByEdge, .tcpByLevel]
}

/// A stream whose peer is a blocking socket of the test's own.
final class Pair {
  let driver: LoopDriver
  let delegate = RecordingDelegate()
  let stream: any ByteStream
  let peer: Int32
  private let kind: StreamKind
  private var isPeerOpen = true

  init(_ kind: StreamKind, reading: Bool = true) throws {
    self.kind = kind
    driver = try LoopDriver(kind == .tcpByLevel ? .level : .edge)
    delegate.readsOnceConnected = reading
    let listening = try PlainListener(kind == .unix ? .unix : .ipv4)
    stream = try SocketStream.connect(loop: driver.loop, to: listening.address, stamped: true, delegate: delegate)
    peer = accept(listening.descriptor, nil, nil)
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

  /// - Parameter reset: whether the stream shall see a reset. A Unix peer's is to close over bytes that it has not read.
  func closePeer(reset: Bool = false) {
    guard isPeerOpen else { return }
    isPeerOpen = false
    if reset, kind == .unix { _ = stream.write("unread") }
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
