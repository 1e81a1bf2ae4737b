// One end of a TCP connection over loopback, as a test holds it: blocking calls, each with a deadline.
import Glibc

/// What went wrong with a test's own socket.
public enum SocketFailure: Error, Equatable {
  /// The connection was refused.
  case refused
  /// Nothing came, or nothing could be sent, within the deadline.
  case timedOut
  /// The peer reset the connection.
  case reset
  /// The peer closed before what was waited for; with what had come.
  case ended(String)
}

/// One end of a TCP connection.
///
/// A read or write that takes longer than `SocketPeer.deadline` throws, so that a test fails and never hangs.
/// Not `Sendable`: one thread at a time uses it.
public final class SocketPeer {
  /// How long each call waits, in milliseconds.
  public static let deadline: Int32 = 10_000

  /// The socket, or -1 once it is closed.
  public private(set) var descriptor: Int32
  private var pending: [UInt8] = []

  /// Takes over a connected socket.
  public init(_ descriptor: Int32) { self.descriptor = descriptor }

  /// Connects to a port of 127.0.0.1.
  /// - Parameter receiveBuffer: the size of the kernel's receive buffer, in bytes; nil is the system's own choice.
  public convenience init(connectingTo port: UInt16, receiveBuffer: Int32? = nil) throws {
    self.init(socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    if let receiveBuffer { Loopback.setReceiveBuffer(receiveBuffer, of: descriptor) }
    let result = Loopback.withAddress(port) { Glibc.connect(descriptor, $0, $1) }
    guard result == 0 else { throw SocketFailure.refused }
  }

  deinit { close() }

  /// Closes the socket; a second call does nothing.
  public func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  /// Closes so that the peer sees RST.
  public func reset() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    close()
  }

  /// Ends this side (FIN); the other may go on.
  public func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Waits for `events` of poll(2).
  public func isReady(_ events: Int32, milliseconds: Int32) -> Bool {
    Loopback.isReady(descriptor, events, milliseconds: milliseconds)
  }

  /// Sends all of a text.
  public func send(_ text: String) throws { try send(Array(text.utf8)) }

  /// Sends all bytes.
  public func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      guard isReady(POLLOUT, milliseconds: Self.deadline) else { throw SocketFailure.timedOut }
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
      }
      if count < 0, errno == EAGAIN { continue }
      guard count > 0 else { throw SocketFailure.reset }
      sent += count
    }
  }

  /// What comes next; empty where the peer has closed.
  public func receive() throws -> [UInt8] {
    if !pending.isEmpty {
      defer { pending = [] }
      return pending
    }
    guard isReady(POLLIN, milliseconds: Self.deadline) else { throw SocketFailure.timedOut }
    return try [UInt8](unsafeUninitializedCapacity: 256 * 1024) { buffer, filled in
      let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
      guard count >= 0 else { throw SocketFailure.reset }
      filled = count
    }
  }

  /// Everything up to and with `mark`; what comes behind it is kept for the next read.
  public func read(through mark: String) throws -> String {
    var bytes: [UInt8] = []
    while true {
      if let end = bytes.firstRange(of: Array(mark.utf8))?.upperBound {
        pending = Array(bytes[end...])
        return String(decoding: bytes[..<end], as: UTF8.self)
      }
      let next = try receive()
      guard !next.isEmpty else { throw SocketFailure.ended(String(decoding: bytes, as: UTF8.self)) }
      bytes += next
    }
  }

  /// A message's head, with its blank line.
  public func head() throws -> String { try read(through: "\r\n\r\n") }

  /// Everything up to the end of the connection.
  public func readToEnd() throws -> String {
    let (text, wasReset) = try readToEndOrReset()
    if wasReset { throw SocketFailure.reset }
    return text
  }

  /// Everything up to the end or the reset of the connection, and whether it was a reset.
  public func readToEndOrReset() throws -> (text: String, wasReset: Bool) {
    var bytes: [UInt8] = []
    while true {
      do {
        let next = try receive()
        if next.isEmpty { return (String(decoding: bytes, as: UTF8.self), false) }
        bytes += next
      } catch SocketFailure.reset {
        return (String(decoding: bytes, as: UTF8.self), true)
      }
    }
  }

  /// Waits until the peer has closed or reset the connection.
  /// - Returns: whether it was a reset.
  @discardableResult
  public func waitForEnd() throws -> Bool { try readToEndOrReset().wasReset }
}
