// How many files and sockets the process may have open.
import Glibc

/// The process's file descriptors.
public enum OpenFiles {
  /// The soft limit on open files.
  public static var limit: Int {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
    return Int(clamping: limit.rlim_cur)
  }

  /// What is left of the limit for clients and upstream, once the log, the admin listener, the loops and the resolver's
  /// threads have what they may need.
  static func forSockets(workers: Int) -> Int { limit - min(64 + 8 * workers, limit / 2) }

  /// Raises the soft limit to the hard one: a server's usual 1,024 would end at about 500 streams.
  public static func raiseLimit() {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}
