// A thread for work that may block: writing to standard error or to the record log.
import Glibc

/// Starts detached threads that no signal interrupts: SIGPIPE becomes the error EPIPE, and other signals go to other threads.
package enum DetachedThread {
  private final class Work: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Runs `run` on a new thread.
  /// - Returns: 0, or the `errno` where the system has no thread left.
  package static func start(_ run: @escaping @Sendable () -> Void) -> Int32 {
    // A new thread inherits its creator's mask: masked here, no signal reaches it before its first instruction.
    var all = sigset_t()
    var before = sigset_t()
    unsafe sigfillset(&all)
    unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }

    var thread = pthread_t()
    let work = unsafe Unmanaged.passRetained(Work(run))
    let failure = unsafe pthread_create(&thread, nil, detachedThreadMain, work.toOpaque())
    guard failure == 0 else {
      unsafe work.release()
      return failure
    }
    pthread_detach(thread)
    return 0
  }

  /// Takes over the reference to the work and runs it.
  fileprivate static func main(_ argument: UnsafeMutableRawPointer?) {
    guard let argument = unsafe argument else { return }
    unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().run()
  }
}

private func detachedThreadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  unsafe DetachedThread.main(argument)
  return nil
}
