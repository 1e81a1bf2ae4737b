// A thread for a loop: a loop blocks, and must not block one of Swift's cooperative pool.
import CLibuv
import Glibc

/// A thread: either `join` or `detach` it, once.
@safe
public struct WorkerThread: Sendable {
  private let id: pthread_t

  /// Starts `body` on a new thread named `name` (15 bytes at most are kept).
  /// - Throws: `TransportError` where the system gives no thread.
  public init(name: String, _ body: @escaping @Sendable () -> Void) throws(TransportError) {
    let start = unsafe Unmanaged.passRetained(Start(name: name, body: body))
    var id = pthread_t()
    let result = unsafe pthread_create(
      &id, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        unsafe tg_name_thread(String(start.name.prefix(15)))
        start.body()
        return nil
      }, start.toOpaque())
    guard result == 0 else {
      unsafe start.release()
      throw TransportError(.loop, code: 0 - result)
    }
    self.id = id
  }

  /// Lets the thread run on by itself: the process may end without it.
  public func detach() { _ = pthread_detach(id) }

  /// Waits until the thread has ended.
  public func join() { _ = pthread_join(id, nil) }
}

private final class Start: Sendable {
  let name: String
  let body: @Sendable () -> Void
  init(name: String, body: @escaping @Sendable () -> Void) {
    self.name = name
    self.body = body
  }
}
