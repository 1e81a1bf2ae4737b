// A thread of our own for a loop, since a loop must never share one with Swift's cooperative pool.
// It must not know what it runs.
import CLibuv
import Glibc

/// A thread: to be joined, or let go.
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

  /// Lets the thread go: nobody will join it, and the process may end without it. Call it once, in place of `join`.
  public func detach() { _ = pthread_detach(id) }

  /// Waits until the thread has ended. Call it once.
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
