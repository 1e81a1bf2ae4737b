// Before which instant the bytes of a stream's next read cannot have arrived: what a kernel stamp is held against.
import Clocks

/// The earliest arrival of the next read. Without one, a step of the wall clock that no anchor shows yet would put the arrival
/// years away.
struct ArrivalBound {
  /// When the socket was empty, or the last bytes arrived, or the connection was begun; nil for an accepted connection before
  /// its first read, whose bytes may have waited in the kernel.
  private(set) var notBefore: Instant?
  /// Whether the last read left the socket empty.
  private(set) var isDrained = false

  /// - Parameter connectsAt: when the connection is begun here; nil where it was accepted.
  init(connectsAt: Instant?) { notBefore = connectsAt }

  /// A read of bytes that arrived at `arrival`.
  /// - Parameter isEmptied: whether it had room for more than there was.
  @inline(__always)
  mutating func didRead(_ arrival: Arrival, isEmptied: Bool) {
    isDrained = isEmptied
    // Bytes arrive in order: what is left arrived no earlier than what was read.
    notBefore = isEmptied ? arrival.readAt : arrival.at
  }

  /// A read was interrupted: whether the socket is empty is not known.
  mutating func wasInterrupted() { isDrained = false }
}
