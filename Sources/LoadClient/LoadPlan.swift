// What load is made: where to, how much, how long, and with which clients.
import Transport

/// A load for a server.
public struct LoadPlan {
  /// Where connections go to.
  public var address: SocketAddress
  /// The request target, such as `/v1/chat/completions`.
  public var path: String
  /// The JSON body of every request.
  public var body: String
  /// Further request fields.
  public var fields: [(name: String, value: String)] = []
  /// Connections at a time, at least 1; each carries one request at a time.
  public var connections = 1
  /// Requests in all; nil: no limit but the time.
  public var requests: Int?
  /// How long requests are sent; those under way then are aborted. Nil: until `requests` are done.
  public var durationMilliseconds: UInt64?
  /// Connections start evenly spread over this time.
  public var staggerMilliseconds: UInt64 = 0
  /// Requests a second whatever the server does (open loop); nil: the next one when the last is done (closed loop).
  public var rate: Double?
  /// Closed loop: the wait between a response and the next request.
  public var thinkMilliseconds: UInt64 = 0
  /// Aborts each response after this many tokens.
  public var abortAfterTokens: Int?
  /// A slow reader: the wait after each read.
  public var readPauseMilliseconds: UInt64 = 0
  /// Whether arrivals are the kernel's receive stamps.
  public var usesKernelStamps = true
  /// Whether every token's arrival is kept, for the comparison with a truth.
  public var keepsArrivals = false
  /// What request ids begin with.
  public var idPrefix = "load"

  /// A load of one connection.
  public init(address: SocketAddress, path: String, body: String) {
    self.address = address
    self.path = path
    self.body = body
  }
}

/// The bytes of a load's requests, serialized once except for their number.
struct LoadRequests {
  private let beforeID: [UInt8]
  private let behindID: [UInt8]

  init(_ plan: LoadPlan) {
    var text = "POST \(plan.path) HTTP/1.1\r\nHost: \(plan.address)\r\nContent-Type: application/json\r\n"
    for field in plan.fields { text += "\(field.name): \(field.value)\r\n" }
    beforeID = Array("\(text)X-Request-Id: \(plan.idPrefix)-".utf8)
    behindID = Array("\r\nContent-Length: \(plan.body.utf8.count)\r\n\r\n\(plan.body)".utf8)
  }

  /// The bytes of request `number`.
  func bytes(_ number: Int) -> [UInt8] { beforeID + String(number).utf8 + behindID }
}
