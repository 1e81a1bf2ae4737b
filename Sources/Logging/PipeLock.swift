// A lock by which all who write to one pipe keep out of each other's long lines.
import Glibc

/// A lock (flock) of the pipe behind a descriptor that processes may share. One thread uses it.
///
/// Such a lock is an open file's, and processes that have inherited one descriptor have one open file. So the pipe is opened anew by its
/// name in /proc. That is not possible for a socket, for a pipe of another user, and without /proc.
package final class PipeLock {
  private let descriptor: Int32

  /// Nil where `shared` is no pipe, or cannot be opened anew.
  package init?(of shared: Int32) {
    var status = stat()
    guard unsafe fstat(shared, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { return nil }
    descriptor = unsafe open("/proc/self/fd/\(shared)", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
  }

  deinit { close(descriptor) }

  /// Locks it for a long line alone, or, with others, for lines that are one write each.
  /// - Returns: false where it is not free within `milliseconds`.
  package func lock(exclusively: Bool, milliseconds: Int) -> Bool {
    Self.lock(descriptor, exclusively: exclusively, milliseconds: milliseconds)
  }

  package func unlock() { flock(descriptor, LOCK_UN) }

  /// The same for a descriptor that is nobody else's. What knows no locks counts as locked.
  package static func lock(_ descriptor: Int32, exclusively: Bool, milliseconds: Int) -> Bool {
    for _ in 0..<max(milliseconds, 1) {
      if flock(descriptor, (exclusively ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0 || errno != EWOULDBLOCK { return true }
      usleep(1_000)
    }
    return false
  }
}
