// A thread of its own for work that may wait for a disk.
// It must not know the work.
import Glibc

/// Starting of a detached thread that no signal interrupts: SIGPIPE comes back as EPIPE, and the rest go to the loops.
enum RecordWriterThread {
  private final class Work: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Runs `run` on a new thread. `errno`, or 0.
  static func start(_ run: @escaping @Sendable () -> Void) -> Int32 {
    // Masked here, for a new thread has its maker's mask from its first instruction on.
    var all = sigset_t()
    var before = sigset_t()
    unsafe sigfillset(&all)
    unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }

    var thread = pthread_t()
    let work = unsafe Unmanaged.passRetained(Work(run))
    let failure = unsafe pthread_create(&thread, nil, recordWriterThreadMain, work.toOpaque())
    guard failure == 0 else {
      unsafe work.release()
      return failure
    }
    pthread_detach(thread)
    return 0
  }

  /// Takes over the work's reference and runs it.
  fileprivate static func main(_ argument: UnsafeMutableRawPointer?) {
    guard let argument = unsafe argument else { return }
    unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().run()
  }
}

private func recordWriterThreadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  unsafe RecordWriterThread.main(argument)
  return nil
}
