// The settings of `tachograph serve` as typed values with their defaults: the one place where a default is written
// down.

/// Everything that `tachograph serve` can be told.
///
/// A nil that stands for `auto` (`workers`, `instance`, `limits.connections`, `limits.descriptors`, `timeouts.drain`) is replaced by a
/// value of this machine before the proxy is started (Service does it). The proxy itself takes such a nil for 1 worker,
/// no name and no bound.
public struct Settings: Hashable, Sendable {
  /// The LLM server that every request is forwarded to.
  public var upstream: UpstreamAddress
  /// Where clients connect.
  public var listen = ListenAddress(host: "127.0.0.1", port: 4141)
  /// Whether a further process may listen on the same address, to take over while this one drains.
  public var listenReusePort = false
  /// Event loops, each on its own thread; nil is one for each core that this process may use.
  public var workers: Int?
  /// This proxy's name in its records; nil is the host name.
  public var instance: String?
  /// The log of records.
  public var records = Records()
  /// How a record's user, session and client are found.
  public var identity = Identity()
  /// Which paths are which dialect's, beside those that every dialect has.
  public var dialects = Dialects()
  /// The times that streams are held to.
  public var slo = ServiceLevels()
  /// Which gaps in a stream are stalls.
  public var stalls = Stalls()
  /// Whether a proxy in front names the clients for which it connects.
  public var proxyProtocol = ProxyProtocol()
  /// What is added to heads and removed from them, and which protocols are tunnelled.
  public var forwarding = Forwarding()
  /// Bounds on what one message, one stream and one worker may hold.
  public var limits = Limits()
  /// When reading from one side pauses because the other is slow.
  public var buffers = Buffers()
  /// How long each wait may take.
  public var timeouts = Timeouts()
  /// How a peer is found out that has vanished without a word.
  public var tcp = TCP()
  /// Connections to upstream that are kept for the next request.
  public var pool = Pool()
  /// What is shown to operators and to Prometheus.
  public var admin = Admin()
  /// How long the addresses of the server's name are used.
  public var resolver = Resolver()

  /// Where each setting that does not have its default was given, by its name.
  package var origins: [String: SettingOrigin] = [:]

  /// Settings with every default; only the upstream has none.
  public init(upstream: UpstreamAddress) {
    self.upstream = upstream
  }

  /// Where the setting called `name` was given.
  public func origin(of name: String) -> SettingOrigin {
    origins[name] ?? .standard
  }

  /// The log of records.
  public struct Records: Hashable, Sendable {
    /// Where records are appended.
    public var file = RecordsTarget.file("./tachograph.jsonl")
    /// Records that may wait for the writer's thread before more are dropped, and counted.
    public var queue = 8192
    /// Whether each record carries the offset of every token-bearing event.
    public var timeline = false
    /// Requests that leave no record.
    public var skip: [RequestPattern] = []
  }

  /// Where records are appended.
  public enum RecordsTarget: Hashable, Sendable {
    /// A file, made if it is not there.
    case file(String)
    /// Standard output, written as `-`.
    case standardOutput
  }

  /// How a record's user, session and client are found.
  public struct Identity: Hashable, Sendable {
    /// Request headers that name the user, in lower case; the first one that a request has is used.
    public var headers = [
      "x-litellm-customer-id", "x-litellm-end-user-id", "x-user-id", "x-openwebui-user-id", "helicone-user-id",
    ]
    /// Request headers that name the conversation or session, in lower case; the first one that a request has is used.
    public var sessionHeaders = ["x-session-id", "x-openwebui-chat-id", "helicone-session-id", "x-correlation-id"]
    /// How the user is found, in order; an empty list means `headers`, the body, the API key and the client's address.
    public var rules: [IdentityRuleText] = []
    /// What becomes of names in records.
    public var names = NameMode.keep
    /// Names that are recorded as they are, whatever `names` says; a `*` at the end stands for anything.
    public var allow: [String] = []
    /// The algorithm of tokens' signatures; nil where none is checked.
    public var tokenAlgorithm: TokenAlgorithm?
    /// The file with the key of tokens' signatures.
    public var tokenKeyFile: String?
    /// Peers whose `X-Forwarded-For` is believed for `client`; none unless configured.
    public var trustedProxies: [AddressRange] = []
    /// Peers whose `headers` and `sessionHeaders` count; all where it is empty.
    public var trustHeadersFrom: [AddressRange] = []
    /// The file with the secret of the fingerprints, made by somebody else; nil is one that this program makes beside the
    /// records.
    public var secretFile: String?
  }

  /// What becomes of users' names in records.
  public enum NameMode: String, CaseIterable, Hashable, Sendable {
    /// They are recorded.
    case keep
    /// Their fingerprints are.
    case hash
    /// Nothing is.
    case drop
  }

  /// Algorithms of tokens' signatures (RFC 7518 §3.1).
  public enum TokenAlgorithm: String, CaseIterable, Hashable, Sendable {
    case hs256 = "HS256"
    case hs384 = "HS384"
    case hs512 = "HS512"
    case rs256 = "RS256"
    case es256 = "ES256"
  }

  /// Which paths are which dialect's, beside those that every dialect has.
  public struct Dialects: Hashable, Sendable {
    /// The first one whose ending a path has is the request's dialect.
    public var paths: [DialectPath] = []
  }

  /// The times that streams are held to (`late_tokens` in a record).
  public struct ServiceLevels: Hashable, Sendable {
    /// From the complete request to the first token.
    public var ttft: Duration?
    /// From one token to the next.
    public var tpot: Duration?
    /// The objectives of certain models, which go before the general one; the first that fits counts.
    public var models: [ModelServiceLevel] = []

    /// Whether any stream can be held to anything.
    public var areSet: Bool { ttft != nil && tpot != nil || !models.isEmpty }

    /// What the streams of a model are held to; nil where that is nothing.
    public func level(for model: String?) -> ServiceLevel? {
      if let model, let special = models.first(where: { $0.fits(model) }) { return special.level }
      return ServiceLevel(ttft: ttft, tpot: tpot)
    }
  }

  /// Which gaps in a stream are stalls (`stalls` in a record).
  public struct Stalls: Hashable, Sendable {
    /// The shortest gap that is one.
    public var threshold = Duration.milliseconds(500)
  }

  /// Whether a proxy in front names the clients for which it connects (HAProxy's PROXY protocol, versions 1 and 2).
  public struct ProxyProtocol: Hashable, Sendable {
    /// Whether connections begin with its header.
    public var mode = ProxyProtocolMode.off
    /// Peers that may connect where it is required; an empty list means all.
    public var peers: [AddressRange] = []
  }

  /// Whether connections begin with a PROXY header.
  public enum ProxyProtocolMode: String, CaseIterable, Hashable, Sendable {
    /// Connections begin with a request.
    case off
    /// Every connection begins with a PROXY header; any other is closed.
    case required
  }

  /// What is added to heads and removed from them, and which protocols are tunnelled.
  public struct Forwarding: Hashable, Sendable {
    /// What happens to `X-Forwarded-For`.
    public var xForwardedFor = AddressField.pass
    /// What happens to `Forwarded` (RFC 7239).
    public var forwarded = AddressField.pass
    /// Whether a `Via` field is added (RFC 9110 §7.6.3).
    public var via = false
    /// The name this proxy gives itself in `Via`.
    public var pseudonym = "tachograph"
    /// Protocols, in lower case, that clients may switch to by an `Upgrade` field.
    public var tunnels = ["websocket"]
    /// What it means that a client closes its sending side (FIN) behind its whole request.
    public var halfClose = HalfClose.abort
    /// What upstream is told in `Host`.
    public var host = HostField.pass
    /// Which request targets are forwarded.
    public var targets = Targets.lenient
    /// Whether the proxy's own answers to a browser's request let its page read them.
    public var corsErrors = true
  }

  /// What upstream is told in `Host`.
  public enum HostField: Hashable, Sendable {
    /// What the client said.
    case pass
    /// The upstream server's own address, `host:port`.
    case upstream
    /// This name, perhaps with a port.
    case name(String)
  }

  /// Which request targets are forwarded.
  public enum Targets: String, CaseIterable, Hashable, Sendable {
    /// All that cannot be taken for more or less than a target: without control bytes and spaces.
    case lenient
    /// Those that RFC 3986 allows, and what browsers do not escape in a query.
    case strict
  }

  /// What it means that a client closes its sending side (FIN) behind its whole request.
  public enum HalfClose: String, CaseIterable, Hashable, Sendable {
    /// The client has left: the upstream connection is closed.
    case abort
    /// The client still reads: it is answered.
    case finish
  }

  /// What happens to a field in which proxies name the client's address.
  public enum AddressField: String, CaseIterable, Hashable, Sendable {
    /// It is forwarded as it came.
    case pass
    /// The client's address is added at its end.
    case append
    /// It is replaced by one that has the client's address only.
    case replace
    /// It is removed.
    case drop
  }

  /// Bounds on what one message, one stream and one worker may hold; sizes in bytes.
  public struct Limits: Hashable, Sendable {
    /// The longest request head; a longer one is answered 431.
    public var requestHeadBytes = 64 << 10
    /// The longest response head; a longer one is answered 502.
    public var responseHeadBytes = 256 << 10
    /// The longest event of a stream; of a longer one the long texts and lists are not read.
    public var eventBytes = 1 << 20
    /// The most bytes that a compressed request body is inflated to, to be read for model and user.
    public var inspectedBodyBytes = 16 << 20
    /// The longest response body, of those that are not streams, that is kept to be decoded at its end.
    public var responseBodyBytes = 4 << 20
    /// The most fields of a head; a request with more is answered 431, a response 502.
    public var fields = 1000
    /// The longest request target; a longer one is answered 414.
    public var targetBytes = 16 << 10
    /// The longest trailer section of a message.
    public var trailerBytes = 16 << 10
    /// All chunk extensions of one message together.
    public var chunkExtensionBytes = 4 << 10
    /// The largest request body; a larger one is answered 413. Nil is any size.
    public var requestBodyBytes: Int?
    /// The slowest rate at which a request body may come, in bytes a second, over each `Timeouts.requestBodyGrace`; nil
    /// is any.
    public var requestBodyRate: Int? = 100
    /// Client connections a worker holds at once; nil is what `descriptors` allow.
    public var connections: Int?
    /// Connections that one client's address may have, over all workers; nil is any number.
    public var connectionsPerClient: Int?
    /// Sockets of clients and upstream together; nil is what the limit on open files allows.
    public var descriptors: Int?
    /// Exchanges at upstream at once, over all workers; nil is any number.
    public var inFlight: Int?
    /// Exchanges that may wait for one of those to end.
    public var queue = 1024
  }

  /// When reading from one side pauses because the other is slow; in bytes not yet accepted by the slow side's socket.
  public struct Buffers: Hashable, Sendable {
    /// Reading pauses at this many.
    public var highWatermarkBytes = 256 << 10
    /// Reading goes on at this many.
    public var lowWatermarkBytes = 64 << 10
    /// Bytes that all requests of a worker may hold that wait for a place at upstream or for a connection.
    public var waitingRequestsBytes = 64 << 20
  }

  /// How long each wait may take; nil is no limit.
  public struct Timeouts: Hashable, Sendable {
    /// For a connection to upstream: resolving its name and all attempts together.
    public var connect = Duration.seconds(10)
    /// For one of several addresses to accept, while there is another left.
    public var connectAttempt = Duration.seconds(5)
    /// The head start of each address before the next is tried beside it.
    public var connectStagger = Duration.milliseconds(250)
    /// For a request head, from its first byte to its last.
    public var requestHead = Duration.seconds(60)
    /// For the next bytes of a request's body.
    public var requestBody: Duration? = usualRequestBody
    private static let usualRequestBody = Duration.seconds(60)
    /// The stretch over which a request body's rate is measured (`Limits.requestBodyRate`): `requestBody`, and where that is
    /// off its default.
    public var requestBodyGrace: Duration { requestBody ?? Self.usualRequestBody }
    /// For a client to take anything of the response that waits for it.
    public var clientStalled: Duration? = .seconds(300)
    /// For upstream to take anything of the request that waits for it.
    public var upstreamStalled: Duration? = .seconds(300)
    /// For the next bytes of a client whose connection is being closed: what it still sends is dropped.
    public var lingerIdle = Duration.seconds(5)
    /// For all that such a client still sends.
    public var linger = Duration.seconds(30)
    /// For the next request on a client's kept connection.
    public var idle = Duration.seconds(75)
    /// For the next request on a kept connection to upstream.
    public var upstreamIdle = Duration.seconds(60)
    /// From the complete request to the response's whole head: prefill can take minutes.
    public var response: Duration?
    /// For a response's head, from its first byte to its last.
    public var responseHead: Duration? = .seconds(60)
    /// Between two reads of one response, whatever they bring.
    public var betweenReads: Duration?
    /// For the next bytes in a tunnel, either way.
    public var tunnel: Duration? = .seconds(3600)
    /// From the complete request to a stream's first token.
    public var firstToken: Duration?
    /// Between two tokens of a stream, whatever else comes.
    public var betweenTokens: Duration?
    /// For a permit to go to upstream, where `limits.in_flight` bounds the exchanges there.
    public var queue: Duration? = .seconds(30)
    /// How long the proxy's own 503 and 429 answers tell clients to wait (`Retry-After`).
    public var retryAfter = Duration.seconds(1)
    /// For open exchanges to end after SIGTERM; nil is by where records go.
    public var drain: Duration?
    /// What that is where they go to a regular file.
    public static let drainWithFile = Duration.seconds(30)
    /// What it is elsewhere: less than the 10 s after which Docker kills.
    public static let drainWithoutFile = Duration.seconds(8)
    /// `drain`, and where it is not known, that of a file.
    public var drainInForce: Duration { drain ?? Self.drainWithFile }
  }

  /// How a peer is found out that has vanished without a word: of clients and of upstream.
  public struct TCP: Hashable, Sendable {
    /// Silence after which the peer's kernel is asked for a sign of life; nil is never.
    public var keepaliveIdle: Duration? = .seconds(60)
    /// Between two such questions.
    public var keepaliveInterval = Duration.seconds(15)
    /// Unanswered questions after which the peer has vanished.
    public var keepaliveProbes = 4
    /// How long what was sent may be unacknowledged (`TCP_USER_TIMEOUT`).
    public var userTimeout = UserTimeout.auto

    /// How long the peer may give no sign of life where data waits for its acknowledgement; nil is as long as the kernel
    /// tries, a quarter of an hour and more.
    public var effectiveUserTimeout: Duration? {
      switch userTimeout {
      case .auto: keepaliveIdle.map { $0 + keepaliveInterval * keepaliveProbes } ?? .seconds(120)
      case .off: nil
      case .after(let duration): duration
      }
    }
  }

  /// How long what was sent may be unacknowledged.
  public enum UserTimeout: Hashable, Sendable {
    /// As long as silence is found out otherwise: `keepaliveIdle` and all probes together, or two minutes.
    case auto
    case off
    case after(Duration)
  }

  /// How long the addresses of the server's name are used.
  public struct Resolver: Hashable, Sendable {
    /// How long they are used before the system is asked again.
    public var fresh = Duration.seconds(5)
    /// How much longer they are used while the system fails to answer; nil is not at all.
    public var stale: Duration? = .seconds(3600)
  }

  /// Connections to upstream that are kept for the next request.
  public struct Pool: Hashable, Sendable {
    /// The most that a worker keeps open and idle.
    public var idleConnections = 256
  }

  /// What is shown to operators and to Prometheus.
  public struct Admin: Hashable, Sendable {
    /// Where the admin listener is; nil is nowhere.
    public var listen: ListenAddress?
    /// Models that have metrics of their own; further ones are counted together.
    public var models = 100
    /// Users that have metrics of their own; further ones are counted together. 0: no user is named in metrics.
    public var users = 0
  }
}
