// Listening sockets that the process was started with: systemd's socket activation (sd_listen_fds(3)).
import Glibc
import Transport

/// The sockets this process was started with.
public enum InheritedSockets {
  /// The first descriptor that is handed down (SD_LISTEN_FDS_START).
  private static let first: Int32 = 3

  /// Adopts them, and removes the variables that announce them from the environment: they are not for child processes.
  ///
  /// Sockets that are meant for another process (`LISTEN_PID`) are left alone. Call it once, before there are threads.
  /// - Returns: the sockets in their order; none where none were handed down.
  /// - Throws: `ServiceFailure` where one is no listening TCP socket, or the variables are malformed.
  public static func adopt() throws(ServiceFailure) -> [ListeningSocket] { try adopt(from: first) }

  /// - Parameter first: the first socket's descriptor; a test has its own.
  static func adopt(from first: Int32) throws(ServiceFailure) -> [ListeningSocket] {
    defer {
      for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"] { _ = unsafe unsetenv(name) }
    }
    guard let process = variable("LISTEN_PID"), let number = variable("LISTEN_FDS") else { return [] }
    guard let process = Int32(process) else {
      throw ServiceFailure(settings: "LISTEN_PID is no process id: sockets are handed down as sd_listen_fds(3) says")
    }
    guard process == getpid() else { return [] }
    guard let count = Int32(number), (0...1024).contains(count) else {
      throw ServiceFailure(
        settings: "LISTEN_FDS is no number of sockets: they are handed down as sd_listen_fds(3) says")
    }
    let names = variable("LISTEN_FDNAMES")?.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    var sockets: [ListeningSocket] = []
    for index in 0..<count {
      let name = names.flatMap { Int(index) < $0.count ? $0[Int(index)] : nil }
      sockets.append(try socket(first + index, name))
    }
    return sockets
  }

  private static func socket(_ descriptor: Int32, _ name: String?) throws(ServiceFailure) -> ListeningSocket {
    do throws(TransportError) {
      return try ListeningSocket(inherited: descriptor)
    } catch {
      let which = "socket \(descriptor)\(name.map { " (\($0))" } ?? ""), handed down in LISTEN_FDS, cannot be used: "
      throw ServiceFailure(settings: which + reason(error))
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
