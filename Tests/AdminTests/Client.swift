// A blocking client of a real socket, for a server that runs on a thread of its own.
// It must not know what the server should answer.
import Glibc
import Testing

/// One connection to 127.0.0.1; a wait of ten seconds has failed.
final class Client {
  private let descriptor: Int32

  init(port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var timeout = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(result == 0)
  }

  deinit { close(descriptor) }

  func send(_ text: String) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
  }

  /// What comes until the server closes; nil where it has not in time.
  func rest() -> String? {
    var all: [UInt8] = []
    while let some = read() {
      if some.isEmpty { return String(decoding: all, as: UTF8.self) }
      all += some
    }
    return nil
  }

  /// What comes until it ends in `end`.
  func until(_ end: String) throws -> String {
    var all: [UInt8] = []
    while !String(decoding: all, as: UTF8.self).hasSuffix(end) {
      let some = try #require(read())
      try #require(!some.isEmpty, "closed after \(String(decoding: all, as: UTF8.self))")
      all += some
    }
    return String(decoding: all, as: UTF8.self)
  }

  /// Nil where nothing comes in time; empty where the server has closed or reset.
  private func read() -> [UInt8]? {
    var block = [UInt8](repeating: 0, count: 65_536)
    let count = recv(descriptor, &block, block.count, 0)
    return count < 0 ? (errno == ECONNRESET ? [] : nil) : Array(block.prefix(count))
  }
}
