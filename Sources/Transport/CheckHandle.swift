// Work for the end of each turn of a loop: all ready sockets have been served, and the loop has not begun to wait again.
import CLibuv

/// Calls back at the end of each turn of a loop, until closed.
@safe
public final class CheckHandle {
  private let loop: EventLoop
  private let handle: UnsafeMutablePointer<uv_check_t>
  private let action: () -> Void

  /// Calls `action` on the loop's thread after each round of socket callbacks. It does not keep the loop running.
  public init(loop: EventLoop, _ action: @escaping () -> Void) {
    self.loop = loop
    self.action = action
    unsafe handle = .allocate(capacity: 1)
    _ = unsafe uv_check_init(loop.handle, handle)
    unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    _ = unsafe uv_check_start(handle) { handle in
      guard let data = unsafe handle?.pointee.data else { return }
      unsafe Unmanaged<CheckHandle>.fromOpaque(data)._withUnsafeGuaranteedRef { $0.action() }
    }
    unsafe uv_unref(tg_check_handle(handle))
  }

  /// Ends it, and releases `action`. Call it once.
  public func close() {
    unsafe uv_close(tg_check_handle(handle)) { handle in
      guard let data = unsafe handle?.pointee.data else { return }
      unsafe Unmanaged<CheckHandle>.fromOpaque(data).release()
    }
  }

  deinit { unsafe handle.deallocate() }
}
