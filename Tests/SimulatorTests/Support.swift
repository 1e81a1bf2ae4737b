// A simulator with its truth read, and a client that sends requests as text.
import Foundation
import SimulatorSupport
import TestSupport
import Testing

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
  let simulator = try RunningSimulator(tokens: 3, slots: slots)
  try body(Client(port: simulator.address.port))
  simulator.stop()
  let lines = try simulator.truth().split(separator: "\n").map { try JSONSerialization.jsonObject(with: Data($0.utf8)) }
  return Truth(lines: try lines.map { try #require($0 as? [String: Any]) })
}

/// Sends requests as text and reads what comes.
struct Client {
  let port: UInt16

  func connect() throws -> SocketPeer { try SocketPeer(connectingTo: port) }

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
    try connection.send(Self.request(path, body, fields, id: id))
    return try connection.readToEndOrReset()
  }

  /// What `/sim/state` says of one key.
  func state(_ key: String) throws -> Int {
    let connection = try connect()
    try connection.send("GET /sim/state HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\n")
    let body = try connection.readToEnd().components(separatedBy: "\r\n\r\n").last ?? ""
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
