// Keeps the kernel stamping from the program's start on.
// It must not read a stamp.
import CSocket
import Glibc

/// The host's switch for receive stamps: the kernel turns it with the first socket that asks, a moment later, and back with
/// the last. Holding one socket that asks lets even the first exchange's reads be stamped.
@safe
final class KernelStamps: Sendable {
  /// Turned on once, for as long as the process lives.
  static let held = KernelStamps()

  private let descriptor: Int32

  private init() {
    descriptor = tg_stream_socket(AF_INET)
    if descriptor >= 0 { _ = tg_enable_receive_stamps(descriptor) }
  }

  deinit { if descriptor >= 0 { _ = close(descriptor) } }
}
