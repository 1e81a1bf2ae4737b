// What the proxy needs to be told, already checked: plain values.
// It must not know where they came from (Configuration does).
import HTTP
import HTTP1
import Measurement
import TokenWire
import Transport

/// All that one proxy is told. Times are nanoseconds; a nil time is no limit.
public struct ProxySettings: Sendable {
  /// What happens to a field in which proxies name the client's address.
  public typealias AddressField = ForwardingPolicy.AddressField

  /// Host name or literal address of the server in front of which the proxy stands, without brackets.
  public var upstreamHost: String
  /// The server's port.
  public var upstreamPort: UInt16
  /// Literal address to listen on, without brackets.
  public var listenHost: String
  /// 0 lets the system choose.
  public var listenPort: UInt16
  /// Whether a further process may listen on the same address while this one drains (SO_REUSEPORT).
  public var sharesListenPort = false
  /// Event loops, each with a thread of its own; at least 1.
  public var workers = 1
  /// This proxy's name in the records.
  public var instance = ""
  /// Whether records carry the time of each token-bearing event.
  public var keepsTimeline = false
  /// Which header fields name the user and the session.
  public var identityHeaders = IdentityHeaders.usual
  /// Whether a peer's `X-Forwarded-For` is believed for the record's `client`.
  public var isTrustedProxy: @Sendable (String) -> Bool = { _ in false }
  /// What is added to heads and taken from them, and which protocols are tunnelled.
  public var forwarding = ForwardingPolicy()
  /// Whether every connection begins with a PROXY header that names the client.
  public var awaitsProxyHeader = false
  /// Which peers may connect where it does: others are closed.
  public var mayIntroduce: @Sendable (String) -> Bool = { _ in true }
  /// Whether a client that ends its side (FIN) behind a whole request is still answered; otherwise it has left.
  public var finishesHalfClosed = false

  /// Models whose times are counted by themselves; further ones are counted together.
  public var countedModels = 100

  /// Bounds on what a client sends around its bodies.
  public var requestLimits = HTTPLimits()
  /// Bounds on what upstream sends around its bodies.
  public var responseLimits = HTTPLimits(headBytes: 256 * 1024)
  /// Bounds on what is kept of a body to measure it.
  public var decoderLimits = DecoderLimits()
  /// Of a request body, the bytes kept until it has been looked at.
  public var inspectedBodyBytes = 1024 * 1024
  /// Queued bytes at which the other side is paused.
  public var highWatermark = 256 * 1024
  /// Queued bytes at which the other side goes on.
  public var lowWatermark = 64 * 1024
  /// Idle upstream connections kept per worker.
  public var idleUpstreamConnections = 256
  /// Clients connected at once per worker; further ones wait in the kernel's queue.
  public var connections = 100_000
  /// Connections of one client's address, over all workers; further ones are answered 429. Nil is any number.
  public var connectionsPerClient: Int?
  /// Sockets of clients and upstream together that the process may have; clients beyond are answered 503. Nil is any number.
  public var descriptors: Int?
  /// Exchanges at upstream at once, over all workers; further ones wait. Nil is any number.
  public var inFlight: Int?
  /// Exchanges that may wait for one of those to end; further ones are answered 503.
  public var queue = 1024

  /// How long addresses of the server's name are used.
  public var resolving = Resolver.Policy()
  /// How attempts at several addresses follow each other.
  public var happyEyeballs = HappyEyeballs.Options(attemptTimeout: .seconds(5))
  /// For a connection to upstream, resolving its name and all attempts included.
  public var connectTimeout: Int64? = 10_000_000_000
  /// For a request's head, from its first byte to its last.
  public var requestHeadTimeout: Int64? = 60_000_000_000
  /// For the next bytes of a request's body.
  public var requestBodyTimeout: Int64? = 60_000_000_000
  /// The slowest average at which a request's body may come once `requestBodyTimeout` has passed, in bytes a second.
  public var requestBodyRate: Int? = 100
  /// The largest request body, in bytes; nil for any.
  public var requestBodyBytes: Int?
  /// For a client to take something of what waits for it.
  public var clientStalledTimeout: Int64? = 300_000_000_000
  /// For upstream to take something of a request that waits for it.
  public var upstreamStalledTimeout: Int64? = 300_000_000_000
  /// For the next request on a client's connection.
  public var idleTimeout: Int64? = 75_000_000_000
  /// For the next exchange on a pooled connection.
  public var upstreamIdleTimeout: Int64? = 60_000_000_000
  /// From the complete request to its response's whole head; none unless set, since prefill can take minutes.
  public var responseTimeout: Int64?
  /// For a response's head, from its first byte to its last.
  public var responseHeadTimeout: Int64? = 60_000_000_000
  /// Between two reads of a response, whatever they bring.
  public var betweenReadsTimeout: Int64?
  /// For the next bytes in a tunnel, either way.
  public var tunnelTimeout: Int64? = 3_600_000_000_000
  /// From the complete request to a stream's first token.
  public var firstTokenTimeout: Int64?
  /// Between two tokens of a stream, whatever else comes.
  public var betweenTokensTimeout: Int64?
  /// For a place at upstream, where `inFlight` bounds them.
  public var queueTimeout: Int64? = 30_000_000_000
  /// What a 503 or 429 of the proxy's own tells clients to wait (`Retry-After`).
  public var retryAfter: Int64 = 1_000_000_000
  /// For open exchanges to end once draining.
  public var drainTimeout: Int64 = 30_000_000_000

  /// Makes settings with the defaults for all but the two addresses.
  public init(upstreamHost: String, upstreamPort: UInt16, listenHost: String, listenPort: UInt16) {
    self.upstreamHost = upstreamHost
    self.upstreamPort = upstreamPort
    self.listenHost = listenHost
    self.listenPort = listenPort
    forwarding.tunnels = ["websocket"]
  }
}
