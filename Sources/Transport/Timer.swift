// A timer on a loop.
// It must not be used for measuring: libuv's time is a cached millisecond.
import CLibuv

/// A timer that fires once or repeatedly. Close it: an open timer is retained by its loop, and keeps it running while started.
@safe
public final class Timer {
  private let loop: EventLoop
  private let handle: UnsafeMutablePointer<uv_timer_t>
  private var action: (() -> Void)?
  private var isClosed = false

  /// Makes a timer that is not yet running.
  public init(loop: EventLoop, _ action: @escaping () -> Void) {
    self.loop = loop
    self.action = action
    unsafe handle = .allocate(capacity: 1)
    _ = unsafe uv_timer_init(loop.handle, handle)
    unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
  }

  /// Fires after `milliseconds`, and then every `repeating` milliseconds where that is not 0.
  public func start(milliseconds: UInt64, repeating: UInt64 = 0) {
    guard !isClosed else { return }
    _ = unsafe uv_timer_start(handle, timerFired, milliseconds, repeating)
  }

  /// Stops it; it may be started again.
  public func stop() {
    guard !isClosed else { return }
    _ = unsafe uv_timer_stop(handle)
  }

  /// Ends it for good. Safe to call twice.
  public func close() {
    guard !isClosed else { return }
    isClosed = true
    action = nil
    unsafe uv_close(tg_timer_handle(handle)) { handle in
      guard let handle = unsafe handle, let data = unsafe handle.pointee.data else { return }
      unsafe Unmanaged<Timer>.fromOpaque(data).release()
    }
  }

  deinit { unsafe handle.deallocate() }

  fileprivate func fired() { action?() }
}

private func timerFired(_ handle: UnsafeMutablePointer<uv_timer_t>?) {
  guard let data = unsafe handle?.pointee.data else { return }
  unsafe Unmanaged<Timer>.fromOpaque(data).takeUnretainedValue().fired()
}
