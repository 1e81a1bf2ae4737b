// How a TCP peer is found out that has vanished without a word: its host has died, or the network between.
import CSocket
import Glibc

/// The kernel's means to notice a dead peer: keepalive where nothing is sent, TCP_USER_TIMEOUT where data is unacknowledged.
/// Unix sockets need neither.
public struct Liveness: Hashable, Sendable {
  /// Silence before the first keepalive probe, in seconds; 0 switches keepalive off.
  let idleSeconds: Int32
  /// Between two probes, in seconds.
  let intervalSeconds: Int32
  /// Unanswered probes after which the peer has vanished.
  let probes: Int32
  /// For how long data may be unacknowledged; 0 leaves it to the kernel, which tries for a quarter of an hour and more.
  let userTimeoutMilliseconds: Int32

  /// Leaves everything to the kernel.
  public static let off = Liveness(idle: nil, interval: .seconds(1), probes: 1, userTimeout: nil)

  /// - Parameters:
  ///   - idle: silence before the first probe, in whole seconds; nil switches keepalive off.
  ///   - interval: between two probes, in whole seconds.
  ///   - userTimeout: for how long data may be unacknowledged; nil leaves it to the kernel. Where it is given, the kernel asks
  ///     it, and not `probes`, after what time of silence the peer has vanished (tcp_timer.c).
  public init(idle: Duration?, interval: Duration, probes: Int, userTimeout: Duration?) {
    idleSeconds = idle.map(Self.seconds) ?? 0
    intervalSeconds = Self.seconds(interval)
    self.probes = Int32(clamping: max(1, min(probes, 127)))
    userTimeoutMilliseconds = userTimeout.map { Int32(max(1, min(Double(Int32.max), $0 / .milliseconds(1)))) } ?? 0
  }

  /// Whole seconds, 1 to the most that the kernel accepts.
  private static func seconds(_ duration: Duration) -> Int32 {
    Int32(clamping: max(1, min(32_767, Int64((duration / .seconds(1)).rounded(.up)))))
  }

  /// Gives a TCP socket these options; a listening one gives them to those that it accepts.
  func apply(to descriptor: Int32) {
    _ = tg_set_keepalive(descriptor, idleSeconds, intervalSeconds, probes)
    _ = tg_set_option(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, userTimeoutMilliseconds)
  }
}
