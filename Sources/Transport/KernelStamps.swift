// Has the kernel stamp received packets from the program's start on.
import CSocket
import Glibc

/// A socket that asks for receive stamps and is used for nothing else.
///
/// The kernel begins to stamp a moment after the host's first socket has asked, and ends with the last one. With this one
/// open, the reads of the first exchange are stamped too.
@safe
final class KernelStamps: Sendable {
  /// The one of this process; it is never closed.
  static let shared = KernelStamps()

  private let descriptor: Int32

  private init() {
    descriptor = tg_stream_socket(AF_INET)
    if descriptor >= 0 { _ = tg_enable_receive_stamps(descriptor) }
  }

  deinit { if descriptor >= 0 { _ = close(descriptor) } }
}
