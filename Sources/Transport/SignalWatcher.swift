// Signals as events of a loop.
import CLibuv
import Glibc

/// Watches one signal on a loop until closed.
@safe
public final class SignalWatcher {
  private let loop: EventLoop
  private let handle: UnsafeMutablePointer<uv_signal_t>
  private var action: (() -> Void)?

  /// Calls `action` on the loop's thread whenever the process receives `signal` (such as SIGTERM).
  public init(loop: EventLoop, signal: Int32, _ action: @escaping () -> Void) {
    self.loop = loop
    self.action = action
    unsafe handle = .allocate(capacity: 1)
    _ = unsafe uv_signal_init(loop.handle, handle)
    unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    _ = unsafe uv_signal_start(
      handle,
      { handle, _ in
        guard let data = unsafe handle?.pointee.data else { return }
        unsafe Unmanaged<SignalWatcher>.fromOpaque(data).takeUnretainedValue().action?()
      }, signal)
  }

  /// Stops watching. Call it once.
  public func close() {
    action = nil
    unsafe uv_close(tg_signal_handle(handle)) { handle in
      guard let handle = unsafe handle, let data = unsafe handle.pointee.data else { return }
      unsafe Unmanaged<SignalWatcher>.fromOpaque(data).release()
    }
  }

  deinit { unsafe handle.deallocate() }

  /// Makes writes to a closed socket fail with EPIPE instead of killing the process (libuv leaves that to the program).
  public static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }
}
