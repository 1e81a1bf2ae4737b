// The one table of settings: name, place, kind and meaning. File, environment, flags and the reference all follow it.
// It must not know where a value came from.

/// One row: a setting, how it is read into `Settings` and written back.
struct Setting: Sendable {
  /// Dotted, as in a file's nesting: `records.queue`.
  let name: String
  /// What a valid value looks like.
  let expected: String
  /// What it does, in one or two sentences.
  let help: String
  /// Whether a running proxy keeps what it began with: what is bound or opened once, at the start.
  let needsRestart: Bool
  let assign: @Sendable (RawSetting, inout Settings) throws(Refusal) -> Void
  let value: @Sendable (Settings) -> RawSetting
  /// Sets it in the second settings to what it is in the first.
  let copy: @Sendable (Settings, inout Settings) -> Void

  init<Value: Sendable>(
    _ name: String, _ path: WritableKeyPath<Settings, Value> & Sendable, _ codec: Codec<Value>, _ help: String,
    needsRestart: Bool = false
  ) {
    self.name = name
    self.expected = codec.expected
    self.help = help
    self.needsRestart = needsRestart
    assign = { (raw, settings) throws(Refusal) in settings[keyPath: path] = try codec.read(raw) }
    value = { codec.write($0[keyPath: path]) }
    copy = { $1[keyPath: path] = $0[keyPath: path] }
  }

  /// `TACHOGRAPH_` and the name in upper case, dots and dashes as underscores.
  var environmentName: String {
    "TACHOGRAPH_" + name.uppercased().map { $0 == "." || $0 == "-" ? "_" : String($0) }.joined()
  }

  /// The flag that says it, as messages name it: its own, or `--set NAME`.
  var flag: String { Setting.ownFlags[name] ?? "--set \(name)" }

  private static let ownFlags = [
    "upstream": "--upstream", "listen": "--listen", "workers": "--workers", "records.file": "--records",
    "admin.listen": "--admin",
  ]

  static func named(_ name: String) -> Setting? { byName[name] }

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  /// Every setting, in the order of the reference.
  static let all: [Setting] =
    places + recording + forwarding + bounds + waits + outside

  private static let places = [
    Setting(
      "upstream", \.upstream, .url,
      "The LLM server: http://HOST[:PORT], without a path. It has no default: say it in one of the three places."),
    Setting(
      "listen", \.listen, .address,
      "Where clients connect. Port 0 lets the system choose one; an IPv6 address stands in brackets and quotes.",
      needsRestart: true),
    Setting(
      "listen_reuse_port", \.listenReusePort, .truth,
      "Whether a further process may listen on the same addresses (SO_REUSEPORT): one that takes over while this one drains."
        + " Until that has ended either may answer on the admin address.",
      needsRestart: true),
    Setting(
      "workers", \.workers, Codec<Int>.count(1...1024).or("auto"),
      "Event loops, each on its own thread; auto is one a core.", needsRestart: true),
    Setting(
      "instance", \.instance, Codec<String>.text.or("auto"), "This proxy's name in its records; auto is the host name.",
      needsRestart: true),
  ]

  private static let recording = [
    Setting(
      "records.file", \.records.file, .recordsTarget,
      "Where records are appended, one JSON object a line; \"-\" (in quotes) is standard output.",
      needsRestart: true),
    Setting(
      "records.queue", \.records.queue, .count(1...1_048_576),
      "Records that may wait for the writer; past it they are dropped, counted, and the drop is recorded.",
      needsRestart: true),
    Setting(
      "records.timeline", \.records.timeline, .truth,
      "Whether each record carries the time of every token-bearing event; makes records long."),
    Setting(
      "identity.headers", \.identity.headers, .headers,
      "Request headers that name the user; the first that is there wins. Then come the body's user, the API key's fingerprint,"
        + " the client's address."),
    Setting(
      "identity.session_headers", \.identity.sessionHeaders, .headers,
      "Request headers that name the conversation or session; the first that is there wins."),
    Setting(
      "identity.trusted_proxies", \.identity.trustedProxies, .addressRanges,
      "Peers whose X-Forwarded-For is believed for the client's address, such as [10.0.0.0/8, \"::1\"]; none unless said."
    ),
  ]

  private static let forwarding = [
    Setting(
      "proxy_protocol.mode", \.proxyProtocol.mode, .word(),
      "required: every client connection begins with a PROXY header of version 1 or 2, whose address is the client's from"
        + " then on; one without, or with a wrong one, is closed unanswered."),
    Setting(
      "proxy_protocol.peers", \.proxyProtocol.peers, .addressRanges,
      "With required: the peers that may connect, such as [10.0.0.0/8, \"::1\"]; others are closed. [] is all of them: then"
        + " whoever reaches the port can name any address."),
    Setting(
      "forwarding.x_forwarded_for", \.forwarding.xForwardedFor, .word(),
      "pass: X-Forwarded-For goes on as it came. append: the client's address is added at its end. replace: only the"
        + " client's address goes on. drop: it does not go on."),
    Setting(
      "forwarding.forwarded", \.forwarding.forwarded, .word(),
      "The same for Forwarded (RFC 7239). One whose quotes are not closed cannot be added to: append replaces it."),
    Setting(
      "forwarding.via", \.forwarding.via, .truth,
      "Whether a Via field is added to requests and responses. A request whose Via names this proxy already goes in a"
        + " circle, and is answered 508."),
    Setting(
      "forwarding.pseudonym", \.forwarding.pseudonym, .token,
      "The name this proxy gives itself in Via: each proxy on a way needs one of its own."),
    Setting(
      "forwarding.tunnels", \.forwarding.tunnels, .protocols,
      "Protocols that a client may switch to by an Upgrade field; once upstream agrees (101), bytes pass both ways unread."
        + " A request for any other is served as plain HTTP. [] tunnels none."),
    Setting(
      "forwarding.half_close", \.forwarding.halfClose, .word(),
      "What it means that a client ends its side (FIN) behind a whole request. abort: it has left, and the server may stop."
        + " finish: it is answered; one that has left is then noticed only by a reset, once something is sent to it."),
  ]

  private static let bounds = [
    Setting(
      "limits.request_head_bytes", \.limits.requestHeadBytes, .size(1 << 10...1 << 24),
      "The longest request head; a longer one is answered 431."),
    Setting(
      "limits.response_head_bytes", \.limits.responseHeadBytes, .size(1 << 10...1 << 24),
      "The longest response head; a longer one is answered 502."),
    Setting(
      "limits.event_bytes", \.limits.eventBytes, .size(1 << 10...1 << 28),
      "The longest event of a stream. Past it measuring stops for that stream and its record says so; its bytes go on."),
    Setting(
      "limits.inspected_body_bytes", \.limits.inspectedBodyBytes, .size(0...1 << 28),
      "The most of a request body that is copied to find model, stream and user; the body itself is never held."),
    Setting(
      "limits.response_body_bytes", \.limits.responseBodyBytes, .size(0...1 << 28),
      "The most of a response that is not a stream that is kept to be decoded at its end; a longer one goes unmeasured."
    ),
    Setting(
      "limits.fields", \.limits.fields, .count(8...65536),
      "The most fields that a head may have; a request with more is answered 431, a response 502."),
    Setting(
      "limits.target_bytes", \.limits.targetBytes, .size(64...1 << 20),
      "The longest request target (path and query); a longer one is answered 414."),
    Setting(
      "limits.trailer_bytes", \.limits.trailerBytes, .size(0...1 << 24),
      "The most trailer fields, in bytes, behind a chunked body; more are answered 431 (a response is cut)."),
    Setting(
      "limits.chunk_extension_bytes", \.limits.chunkExtensionBytes, .size(0...1 << 24),
      "The most chunk extensions, in bytes, in one message; more are answered 400 (a response is cut)."),
    Setting(
      "limits.request_body_bytes", \.limits.requestBodyBytes, Codec<Int>.size(0...1 << 40).or("off"),
      "The largest request body. One that says it is larger is answered 413 and never forwarded; a chunked one that"
        + " becomes larger is cut on both sides."),
    Setting(
      "limits.request_body_rate", \.limits.requestBodyRate, Codec<Int>.size(1...1 << 30).or("off"),
      "The slowest average, per second, at which a request body may come once timeouts.request_body has passed; a slower"
        + " one is answered 408. Time in which upstream takes nothing does not count."),
    Setting(
      "limits.connections", \.limits.connections, Codec<Int>.count(1...1_000_000).or("auto"),
      "Client connections a worker holds at once; further ones wait unaccepted. auto is what limits.descriptors allow."),
    Setting(
      "limits.connections_per_client", \.limits.connectionsPerClient, Codec<Int>.count(1...1_000_000).or("off"),
      "Connections one client address may have, over all workers; further ones are answered 429 and closed. Peers in"
        + " identity.trusted_proxies speak for many, and are not counted."),
    Setting(
      "limits.descriptors", \.limits.descriptors, Codec<Int>.count(16...10_000_000).or("auto"),
      "Sockets of clients and of upstream together. A client for whom two would be too many is answered 503 and closed;"
        + " auto is the limit on open files, less what log, admin and loops need."),
    Setting(
      "limits.in_flight", \.limits.inFlight, Codec<Int>.count(1...1_000_000).or("off"),
      "Exchanges at upstream at once, over all workers; further ones wait, first come first served. A tunnel has its place"
        + " until it ends."),
    Setting(
      "limits.queue", \.limits.queue, .count(0...1_000_000),
      "Exchanges that may wait where limits.in_flight are at upstream; further ones are answered 503 with Retry-After."),
    Setting(
      "buffers.high_watermark", \.buffers.highWatermarkBytes, .size(1 << 10...1 << 28),
      "Reading from one side pauses when this much waits for the other side's socket."),
    Setting(
      "buffers.low_watermark", \.buffers.lowWatermarkBytes, .size(0...1 << 28),
      "Reading goes on when no more than this waits."),
  ]

  private static let waits = [
    Setting(
      "timeouts.connect", \.timeouts.connect, .duration,
      "For a connection to upstream, resolving its name and all attempts together; then 504."),
    Setting(
      "timeouts.connect_attempt", \.timeouts.connectAttempt, .duration,
      "For one address of a name that has several; then the next is tried. The last one may take all of"
        + " timeouts.connect."),
    Setting(
      "timeouts.connect_stagger", \.timeouts.connectStagger, .duration,
      "The head start of each address before the next is tried beside it; the first to answer is taken (RFC 8305)."),
    Setting(
      "timeouts.request_head", \.timeouts.requestHead, .duration,
      "For a request's head, from its first byte to its last; and for a PROXY header, from the connection's beginning."),
    Setting(
      "timeouts.request_body", \.timeouts.requestBody, Codec<Duration>.duration.or("off"),
      "For the next bytes of a request's body; then 408."),
    Setting(
      "timeouts.client_stalled", \.timeouts.clientStalled, Codec<Duration>.duration.or("off"),
      "For a client to take anything of the response that waits for it; then it is reset, and upstream closed. One that"
        + " reads slowly has all the time it wants."),
    Setting(
      "timeouts.upstream_stalled", \.timeouts.upstreamStalled, Codec<Duration>.duration.or("off"),
      "For upstream to take anything of the request that waits for it; then 504."),
    Setting("timeouts.idle", \.timeouts.idle, .duration, "For the next request on a client's kept connection."),
    Setting(
      "timeouts.upstream_idle", \.timeouts.upstreamIdle, .duration, "How long an unused upstream connection is kept."),
    Setting(
      "timeouts.response", \.timeouts.response, Codec<Duration>.duration.or("off"),
      "From the complete request to the response's whole head; then 504. Off, because a long prompt can take minutes"
        + " before its first token. A 1xx response gives no more time."),
    Setting(
      "timeouts.response_head", \.timeouts.responseHead, Codec<Duration>.duration.or("off"),
      "For a response's head, from its first byte to its last; then 504."),
    Setting(
      "timeouts.between_reads", \.timeouts.betweenReads, Codec<Duration>.duration.or("off"),
      "For the next bytes of a response under way, whatever they are: comments and pings of a stream count. Then it is"
        + " cut."),
    Setting(
      "timeouts.first_token", \.timeouts.firstToken, Codec<Duration>.duration.or("off"),
      "From the complete request to the first token of a stream whose head has come; comments and pings do not count. For"
        + " streams of a known dialect only."),
    Setting(
      "timeouts.between_tokens", \.timeouts.betweenTokens, Codec<Duration>.duration.or("off"),
      "From one token of a stream to the next, or to the stream's end; comments and pings do not count. For streams of a"
        + " known dialect only."),
    Setting(
      "timeouts.queue", \.timeouts.queue, Codec<Duration>.duration.or("off"),
      "For a place at upstream, where limits.in_flight bounds them; then 503 with Retry-After."),
    Setting(
      "timeouts.retry_after", \.timeouts.retryAfter, .duration,
      "What a 503 or 429 of the proxy's own tells clients to wait (Retry-After), rounded up to seconds."),
    Setting(
      "timeouts.tunnel", \.timeouts.tunnel, Codec<Duration>.duration.or("off"),
      "For the next bytes in a tunnel, either way; then both sides are reset."),
    Setting(
      "timeouts.drain", \.timeouts.drain, .duration,
      "For open exchanges to end after SIGTERM or SIGINT; then they are cut, and recorded."),
    Setting(
      "pool.idle_connections", \.pool.idleConnections, .count(0...65536),
      "Idle connections to upstream that a worker keeps for the next request."),
    Setting(
      "resolver.fresh", \.resolver.fresh, .duration,
      "How long the addresses of upstream's name are used before the system is asked again; connections follow a change."
    ),
    Setting(
      "resolver.stale", \.resolver.stale, Codec<Duration>.duration.or("off"),
      "How long after that they are still used while the system fails to answer, or hangs."),
  ]

  private static let outside = [
    Setting(
      "admin.listen", \.admin.listen, Codec<ListenAddress>.localAddress.or("off"),
      "Where metrics, readiness and the settings in force are served. A port alone is on 127.0.0.1. Whoever reaches it may"
        + " look: another address than this machine's own is warned of.", needsRestart: true),
    Setting(
      "admin.models", \.admin.models, .count(1...10_000),
      "Models whose times have metrics of their own; further ones are counted together, as other.", needsRestart: true),
  ]
}
