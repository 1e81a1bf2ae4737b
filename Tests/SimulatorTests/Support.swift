// A simulator on a thread of its own, and a client of plain blocking sockets.
import Foundation
import Simulator
import Testing
import Transport

/// What one simulator did: its truth lines.
struct Truth {
  var lines: [[String: Any]]

  func outcome(_ id: String) -> String? { line(id)?["outcome"] as? String }
  func line(_ id: String) -> [String: Any]? { lines.first { $0["request_id"] as? String == id } }
  func writes(_ id: String) -> [[Int]] { line(id)?["writes"] as? [[Int]] ?? [] }
}

/// Runs a simulator while `body` talks to it, and gives its truth.
@discardableResult
func withSimulator(slots: Int? = nil, _ body: (Client) throws -> Void) throws -> Truth {
  let path = FileManager.default.temporaryDirectory.appendingPathComponent("truth-\(UUID().uuidString).jsonl").path
  defer { try? FileManager.default.removeItem(atPath: path) }
  var behaviour = try Behaviour()
  behaviour.ttft = try Distribution(duration: "1ms")
  behaviour.interval = try Distribution(duration: "1ms")
  behaviour.tokens = try Distribution(count: "3")
  let listen = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
  var options = SimulatorOptions(listen: listen, behaviour: behaviour)
  options.truthPath = path
  options.slots = slots
  // Made here, then only touched by the thread.
  nonisolated(unsafe) let loop = try EventLoop()
  nonisolated(unsafe) let simulator = try Simulator(loop: loop, options: options)
  let stop = try Mailbox<Void>(loop: loop) { simulator.stop() }
  let port = simulator.address.port
  let thread = try WorkerThread(name: "simulator") {
    simulator.run()
    stop.close()
    while loop.runOnce() {}
  }
  let result = Result { try body(Client(port: port)) }
  stop.post(())
  thread.join()
  try result.get()
  return try readTruth(path)
}

private func readTruth(_ path: String) throws -> Truth {
  let text = try String(contentsOfFile: path, encoding: .utf8)
  let lines = text.split(separator: "\n").compactMap {
    try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
  }
  #expect(lines.count == text.split(separator: "\n").count)
  return Truth(lines: lines)
}

struct NoConnection: Error {}

/// Sends requests as text and reads what comes.
struct Client {
  let port: UInt16

  /// One connection; reads give up after 10 s, so that a test can fail and never hang.
  final class Connection {
    let descriptor: Int32

    init(port: UInt16) throws {
      descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      var patience = timeval(tv_sec: 10, tv_usec: 0)
      setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      let result = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      guard result == 0 else { throw NoConnection() }
    }

    deinit { close(descriptor) }

    func send(_ text: String) {
      let bytes = Array(text.utf8)
      var sent = 0
      while sent < bytes.count {
        let count = bytes[sent...].withUnsafeBytes {
          Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard count > 0 else { return }
        sent += count
      }
    }

    /// Reads until `isEnough`, or the connection's end; `-1` stands in `failure` where it was reset or too slow.
    func read(until isEnough: (String) -> Bool = { _ in false }) -> (text: String, wasReset: Bool) {
      var bytes: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 65_536)
      while !isEnough(String(decoding: bytes, as: UTF8.self)) {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count < 0 { return (String(decoding: bytes, as: UTF8.self), errno == ECONNRESET) }
        if count == 0 { break }
        bytes += buffer[..<count]
      }
      return (String(decoding: bytes, as: UTF8.self), false)
    }
  }

  func connect() throws -> Connection { try Connection(port: port) }

  static func request(
    _ path: String, _ body: String, _ fields: [String] = [], id: String = "r", closes: Bool = true
  ) -> String {
    let more = (fields + ["X-Request-Id: \(id)"] + (closes ? ["Connection: close"] : [])).joined(separator: "\r\n")
    return "POST \(path) HTTP/1.1\r\nHost: sim\r\n\(more)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }

  /// One request on a connection of its own, read to the connection's end.
  func ask(
    _ path: String, _ body: String, _ fields: [String] = [], id: String = "r"
  ) throws -> (text: String, wasReset: Bool) {
    let connection = try connect()
    connection.send(Self.request(path, body, fields, id: id))
    return connection.read()
  }

  /// What `/sim/state` says of one key.
  func state(_ key: String) throws -> Int {
    let connection = try connect()
    connection.send("GET /sim/state HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\n")
    let body = connection.read().text.components(separatedBy: "\r\n\r\n").last ?? ""
    let object = try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]
    return try #require(object?[key] as? Int)
  }
}

/// The JSON objects of a stream's `data:` lines.
func events(_ text: String) -> [[String: Any]] {
  // By bytes: to Swift CR LF is one character, and no LF.
  text.utf8.split(separator: 0x0A).compactMap { line in
    let json = line.starts(with: "data: {".utf8) ? line.dropFirst(6) : line
    return try? JSONSerialization.jsonObject(with: Data(json)) as? [String: Any]
  }
}

/// The text that a chat stream's events carry for one choice.
func content(_ events: [[String: Any]], choice: Int = 0, key: String = "content") -> String {
  events.compactMap { event in
    let choices = event["choices"] as? [[String: Any]]
    let delta = choices?.first { $0["index"] as? Int == choice }?["delta"] as? [String: Any]
    return delta?[key] as? String
  }.joined()
}
