// A connection over a Unix-domain socket.

/// A connection over a Unix-domain socket (unix(7)).
///
/// It differs from TCP in three ways. The kernel stamps nothing: arrival times are the loop's. `close(reset: true)` gives
/// the peer an error only where it has sent bytes that were not read, and an end otherwise. A connection is made at once
/// or not at all: where the server's queue is full, `connect` throws `EAGAIN`.
public final class UnixStream: SocketStream {
  /// Takes over `descriptor`, a non-blocking socket; it is closed also where this throws.
  init(
    loop: EventLoop, descriptor: Int32, peer: SocketAddress, phase: StreamState.Phase
  ) throws(TransportError) {
    // By level: a read ends short behind a descriptor that the peer passes along, with bytes left of which no edge tells.
    try super.init(loop: loop, descriptor: descriptor, peer: peer, phase: phase, stamped: false, trigger: .level)
  }
}
