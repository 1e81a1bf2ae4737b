// This machine's name, for where `instance` is `auto`.
// It must not know which setting asks.
import Glibc

/// The name that this machine has for itself.
public enum HostName {
  /// The host name, or `localhost` where the system does not say it.
  public static var current: String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard unsafe gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
    let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return bytes.isEmpty ? "localhost" : String(decoding: bytes, as: UTF8.self)
  }
}
