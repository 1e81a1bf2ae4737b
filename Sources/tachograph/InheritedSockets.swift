// Listening sockets that whoever started this process has handed down: systemd's socket activation (sd_listen_fds(3)).
// It must not accept from them, nor bind any.
import Glibc
import Transport

/// The sockets this process was started with.
enum InheritedSockets {
  /// Why what was handed down cannot be used.
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// The first descriptor that is handed down (SD_LISTEN_FDS_START).
  private static let first: Int32 = 3

  /// Takes them over, and the variables that tell of them out of the environment: they are not for children of ours.
  ///
  /// What was meant for another process (`LISTEN_PID`) is left alone. Call it once, before there are threads.
  /// - Returns: the sockets in their order; none where nobody handed any down.
  /// - Throws: `Failure` where one is no listening TCP socket, or the variables make no sense.
  static func take() throws(Failure) -> [ListeningSocket] {
    defer {
      for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"] { _ = unsafe unsetenv(name) }
    }
    guard let process = variable("LISTEN_PID"), let said = variable("LISTEN_FDS") else { return [] }
    guard let process = Int32(process) else {
      throw Failure(description: "LISTEN_PID is no process id: sockets are handed down as sd_listen_fds(3) says")
    }
    guard process == getpid() else { return [] }
    guard let count = Int32(said), (0...1024).contains(count) else {
      throw Failure(description: "LISTEN_FDS is no number of sockets: they are handed down as sd_listen_fds(3) says")
    }
    let names = variable("LISTEN_FDNAMES")?.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    var sockets: [ListeningSocket] = []
    for index in 0..<count {
      let name = names.flatMap { Int(index) < $0.count ? $0[Int(index)] : nil }
      sockets.append(try socket(first + index, name))
    }
    return sockets
  }

  private static func socket(_ descriptor: Int32, _ name: String?) throws(Failure) -> ListeningSocket {
    do throws(TransportError) {
      return try ListeningSocket(inherited: descriptor)
    } catch {
      let which = "socket \(descriptor)\(name.map { " (\($0))" } ?? ""), handed down in LISTEN_FDS, cannot be used: "
      throw Failure(description: which + reason(error))
    }
  }

  private static func reason(_ error: TransportError) -> String {
    switch -error.code {
    case EBADF: "it is not open"
    case ENOTSOCK: "it is no socket"
    case EPROTOTYPE: "it is no stream socket; a systemd unit says ListenStream= for one"
    case EINVAL: "it does not listen; a systemd unit says Accept=no"
    case EAFNOSUPPORT: "it is neither IPv4 nor IPv6; a systemd unit says ListenStream=ADDRESS:PORT"
    default: "\(error)"
    }
  }

  private static func variable(_ name: String) -> String? {
    guard let value = unsafe getenv(name), unsafe value.pointee != 0 else { return nil }
    return unsafe String(cString: value)
  }
}
