// A TCP connection.
import CSocket
import Glibc

/// A TCP connection. What is written is sent without delay (TCP_NODELAY), and reads may carry the kernel's arrival time.
public final class TCPStream: SocketStream {
  /// Takes over `descriptor`, a non-blocking socket; it is closed also where this throws.
  /// - Parameter stamped: whether reads carry the kernel's arrival time, where it gives one.
  init(
    loop: EventLoop, descriptor: Int32, peer: SocketAddress, phase: StreamState.Phase, stamped: Bool
  ) throws(TransportError) {
    let isStamped = stamped && tg_enable_receive_stamps(descriptor) == 0
    _ = tg_set_option(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    // An accepted socket has them from the listening one.
    if phase == .connecting { loop.liveness.apply(to: descriptor) }
    try super.init(
      loop: loop, descriptor: descriptor, peer: peer, phase: phase, stamped: isStamped, trigger: loop.trigger,
      userTimeoutMilliseconds: loop.liveness.userTimeoutMilliseconds)
  }
}
