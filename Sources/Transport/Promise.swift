// One value, handed from one thread to another that waits for it.
// It must not be waited for on a loop: that blocks.
import Dispatch
import Synchronization

/// A value that one thread sets, once, and others wait for.
public final class Promise<Value: Sendable>: Sendable {
  private let value = Mutex<Value?>(nil)
  private let ready = DispatchSemaphore(value: 0)

  /// A promise without its value.
  public init() {}

  /// Sets the value. Call it once.
  public func fulfill(_ value: Value) {
    self.value.withLock { $0 = value }
    ready.signal()
  }

  /// Waits for the value; blocks the thread. One thread at a time may wait.
  public func wait() -> Value {
    while true {
      if let value = value.withLock({ $0 }) { return value }
      ready.wait()
    }
  }
}
