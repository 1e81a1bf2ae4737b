// Small things that several subcommands need.
// It must not know any one subcommand.
import Glibc
import Transport

/// The process's file descriptors.
enum OpenFiles {
  /// The soft limit on open files.
  static var limit: Int {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
    return Int(clamping: limit.rlim_cur)
  }

  /// What is left of the limit for clients and upstream, once the log, the admin listener, the loops and the resolver's
  /// threads have what they may need.
  static func forSockets(workers: Int) -> Int { limit - min(64 + 8 * workers, limit / 2) }

  /// Raises the soft limit to the hard one: a server's usual 1,024 would end at about 500 streams.
  static func raiseLimit() {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}

extension SocketAddress {
  /// From `ADDRESS:PORT`, the address a literal (an IPv6 one in brackets) or `localhost`.
  init?(text: String) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
    var host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
    self.init(literal: host == "localhost" ? "127.0.0.1" : host, port: port)
  }
}
