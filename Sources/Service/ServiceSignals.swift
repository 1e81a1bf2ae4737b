// The signals of the process, and what each has the service do.
import Glibc
import Transport

/// Receives signals on a thread of its own, until the process ends.
///
/// | signal | effect |
/// |---|---|
/// | SIGTERM, SIGINT | `ProxyService.terminate`: the first drains, the second ends at once |
/// | SIGUSR1 | the record log is opened again |
/// | SIGHUP | the record log is opened again, then the settings are read again |
public enum ServiceSignals {
  /// Holds the signals back until `pass`: one that comes while the process starts takes effect as soon as it serves.
  ///
  /// Without it a log that is rotated during the start, or a client that is answered before the signals are received,
  /// could end the process. Call it first: threads inherit it.
  public static func holdUntilStarted() { setMask(SIG_BLOCK) }

  /// Blocks or unblocks the signals for the calling thread.
  private static func setMask(_ how: Int32) {
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    for signal in [SIGTERM, SIGINT, SIGUSR1, SIGHUP] { unsafe sigaddset(&signals, signal) }
    unsafe pthread_sigmask(how, &signals, nil)
  }

  /// Passes signals to `service`: every signal that comes after this has returned. Call it once in a process.
  /// - Throws: `ServiceFailure` where no thread or no file descriptor is left.
  public static func pass(to service: ProxyService) throws(ServiceFailure) {
    let isReady = Promise<Bool>()
    do throws(TransportError) {
      _ = try WorkerThread(name: "signals") {
        guard let loop = try? EventLoop() else { return isReady.fulfill(false) }
        _ = [
          SignalWatcher(loop: loop, signal: SIGTERM) { service.terminate() },
          SignalWatcher(loop: loop, signal: SIGINT) { service.terminate() },
          SignalWatcher(loop: loop, signal: SIGUSR1) { service.reopenRecords() },
          SignalWatcher(loop: loop, signal: SIGHUP) { service.reload() },
        ]
        setMask(SIG_UNBLOCK)
        isReady.fulfill(true)
        loop.run()
      }
    } catch {
      throw ServiceFailure("cannot receive signals: \(error)")
    }
    guard isReady.wait() else { throw ServiceFailure("no file descriptor left for the signal loop") }
  }
}
