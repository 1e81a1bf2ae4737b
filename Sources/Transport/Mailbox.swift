// The only way into a loop from another thread: a locked list of values, and libuv's wake-up.
// It must not block the sender for longer than appending takes.
import CLibuv
import Synchronization

/// Hands `Sendable` messages to a loop's thread, in order.
///
/// Made on the loop's thread; `post` may be called from any. Close it on the loop's thread; later posts are dropped.
public final class Mailbox<Message: Sendable>: Sendable {
  private struct State {
    var messages: [Message] = []
    /// The address of the uv_async_t, 0 once closed. A plain number, because a pointer is not Sendable.
    var handle: UInt = 0
  }
  private let state = Mutex(State())

  /// Opens a mailbox on `loop`, whose thread will call `receive` for each message.
  public init(loop: EventLoop, receive: @escaping (Message) -> Void) throws(TransportError) {
    let wakeup = try LoopWakeup(loop: loop)
    state.withLock { $0.handle = wakeup.address }
    wakeup.action = { [self] in
      let messages = state.withLock { state in
        let messages = state.messages
        state.messages = []
        return messages
      }
      for message in messages { receive(message) }
    }
  }

  /// Adds a message and wakes the loop. From any thread; dropped once the mailbox is closed.
  public func post(_ message: Message) {
    state.withLock { state in
      guard let handle = unsafe UnsafeMutablePointer<uv_async_t>(bitPattern: state.handle) else { return }
      state.messages.append(message)
      _ = unsafe uv_async_send(handle)
    }
  }

  /// Closes the mailbox, which no longer keeps the loop running. On the loop's thread only.
  public func close() {
    let address = state.withLock { state in
      defer { state.handle = 0 }
      return state.handle
    }
    guard let handle = unsafe UnsafeMutablePointer<uv_async_t>(bitPattern: address) else { return }
    unsafe uv_close(tg_async_handle(handle)) { handle in
      guard let handle = unsafe handle, let data = unsafe handle.pointee.data else { return }
      unsafe Unmanaged<LoopWakeup>.fromOpaque(data).release()
    }
  }
}

/// The loop's side of a mailbox: owns the uv_async_t until its close callback.
@safe
private final class LoopWakeup {
  private let loop: EventLoop
  private let handle: UnsafeMutablePointer<uv_async_t>
  var action: (() -> Void)?

  var address: UInt { unsafe UInt(bitPattern: handle) }

  init(loop: EventLoop) throws(TransportError) {
    self.loop = loop
    unsafe handle = .allocate(capacity: 1)
    let result = unsafe uv_async_init(loop.handle, handle) { handle in
      guard let data = unsafe handle?.pointee.data else { return }
      unsafe Unmanaged<LoopWakeup>.fromOpaque(data).takeUnretainedValue().action?()
    }
    guard result == 0 else { throw TransportError(.loop, code: result) }
    unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
  }

  deinit { unsafe handle.deallocate() }
}
