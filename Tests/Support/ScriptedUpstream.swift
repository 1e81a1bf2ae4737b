// A port of loopback on which a test plays the server.
import Glibc

/// A listening socket whose connections the test accepts one by one.
public final class ScriptedUpstream {
  /// The port, which the system chose.
  public let port: UInt16
  private var descriptor: Int32

  /// Listens on a free port of 127.0.0.1.
  /// - Parameter receiveBuffer: the size of the kernel's receive buffers, in bytes; nil is the system's own choice.
  public init(receiveBuffer: Int32? = nil) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    if let receiveBuffer { Loopback.setReceiveBuffer(receiveBuffer, of: descriptor) }
    guard let port = Loopback.listen(descriptor) else { throw SocketFailure.refused }
    self.port = port
  }

  deinit { close() }

  /// Stops listening; whoever connects from then on is refused.
  public func close() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  /// Whether somebody has connected and was not accepted yet.
  public func hasVisitor(milliseconds: Int32 = 0) -> Bool {
    Loopback.isReady(descriptor, POLLIN, milliseconds: milliseconds)
  }

  /// The next connection.
  public func accept() throws -> SocketPeer {
    guard hasVisitor(milliseconds: SocketPeer.deadline) else { throw SocketFailure.timedOut }
    return SocketPeer(Glibc.accept(descriptor, nil, nil))
  }
}
