// One value handed from one thread to another that waits for it.
// It must not be used on a loop: waiting blocks.
import Dispatch
import Synchronization

/// A value that will be there: kept once, waited for once.
public final class Promise<Value: Sendable>: Sendable {
  private let value = Mutex<Value?>(nil)
  private let ready = DispatchSemaphore(value: 0)

  /// An open promise.
  public init() {}

  /// Keeps it.
  public func keep(_ value: Value) {
    self.value.withLock { $0 = value }
    ready.signal()
  }

  /// Waits for the value; blocks the thread.
  public func wait() -> Value {
    while true {
      if let value = value.withLock({ $0 }) { return value }
      ready.wait()
    }
  }
}
