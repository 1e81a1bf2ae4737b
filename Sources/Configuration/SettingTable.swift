// The one table of settings: the name, the codec and the help of each key path of `Settings`. File, environment, flags
// and the reference all follow it.
import SettingValues

/// One row: how a setting is called, read into `Settings` and written back.
struct Setting: Sendable {
  /// Dotted, as in a file's nesting: `records.queue`.
  let name: String
  /// What a valid value looks like.
  let expected: String
  /// What it does, in one or two sentences.
  let help: String
  /// Whether a change takes effect after a restart only: what is bound or opened once, at the start.
  let needsRestart: Bool
  let assign: @Sendable (RawSetting, inout Settings) throws(InvalidValue) -> Void
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
    assign = { (raw, settings) throws(InvalidValue) in settings[keyPath: path] = try codec.read(raw) }
    value = { codec.write($0[keyPath: path]) }
    copy = { $1[keyPath: path] = $0[keyPath: path] }
  }

  /// `TACHOGRAPH_` and the name in upper case, dots and dashes as underscores.
  var environmentName: String {
    "TACHOGRAPH_" + name.uppercased().map { $0 == "." || $0 == "-" ? "_" : String($0) }.joined()
  }

  static let byEnvironmentName = Dictionary(uniqueKeysWithValues: all.map { ($0.environmentName, $0) })
  /// In alphabetical order.
  static let environmentNames = byEnvironmentName.keys.sorted()

  /// The flag that sets it, as messages name it: its own, or `--set NAME`.
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
      "The LLM server: http://HOST[:PORT], without a path. It has no default and must be set in the file, the"
        + " environment or a flag."),
    Setting(
      "listen", \.listen, .address,
      "Where clients connect. Port 0 lets the system choose one. Write an IPv6 address in brackets and quotes.",
      needsRestart: true),
    Setting(
      "listen_reuse_port", \.listenReusePort, .truth,
      "Whether another process may listen on the same addresses (SO_REUSEPORT), to take over while this one drains."
        + " Until this one has ended, either may answer on the admin address.",
      needsRestart: true),
    Setting(
      "workers", \.workers, Codec<Int>.count(1...1024).or("auto"),
      "Event loops, each on its own thread; auto is one for each core.", needsRestart: true),
    Setting(
      "instance", \.instance, Codec<String>.text.or("auto"), "This proxy's name in its records; auto is the host name.",
      needsRestart: true),
  ]

  private static let recording = [
    Setting(
      "records.file", \.records.file, .recordsTarget,
      "The file to which records are appended, one JSON object on each line; \"-\" (in quotes) is standard output.",
      needsRestart: true),
    Setting(
      "records.queue", \.records.queue, .count(1...1_048_576),
      "Records that may wait for the writer. Further ones are dropped and counted, and the log says how many are"
        + " missing.",
      needsRestart: true),
    Setting(
      "records.timeline", \.records.timeline, .truth,
      "Whether each record has the time of every event that carries tokens. It makes records long."),
    Setting(
      "records.skip", \.records.skip, .requestPatterns,
      "Requests that leave no record, such as probes: paths without their query, each with or without a method before it; a *"
        + " at the end stands for anything. [/health, \"OPTIONS *\"] also skips HAProxy's own checks. They are counted in"
        + " tachograph_records_skipped_total, and in all metrics of exchanges."),
    Setting(
      "dialects.paths", \.dialects.paths, .dialectPaths,
      "Paths of the server's own, each as ENDING=DIALECT: a request whose path ends so is measured as that dialect. The"
        + " first ending that fits counts, before those that dialects have of themselves."),
    Setting(
      "slo.ttft", \.slo.ttft, Codec<Duration>.objective.or("off"),
      "The service level objective of streams, for late_tokens: how long the first token may take from the complete"
        + " request on. It takes effect together with slo.tpot."),
    Setting(
      "slo.tpot", \.slo.tpot, Codec<Duration>.objective.or("off"),
      "How long each further token may take: token number i is due at slo.ttft + (i - 1) * slo.tpot."),
    Setting(
      "slo.models", \.slo.models, .modelObjectives,
      "Objectives of certain models, which go before the general one; the first that fits counts. Each is"
        + " MODEL=TTFT/TPOT, and * in a name stands for any text."),
    Setting(
      "stalls.threshold", \.stalls.threshold, .duration,
      "The shortest gap in a stream that is a stall: each is counted and laid to the server, the proxy or the client."
    ),
    Setting(
      "identity.headers", \.identity.headers, .headers,
      "Request headers that name the user; the first one that a request has is used. Without any it is the user in the"
        + " body, else the fingerprint of the API key, else the client's address. A field that carries a credential"
        + " (authorization, x-api-key, api-key, cookie, proxy-authorization and the like) names the user by its"
        + " fingerprint. Any client can send any name: see identity.trust_headers_from."),
    Setting(
      "identity.session_headers", \.identity.sessionHeaders, .headers,
      "Request headers that name the conversation or session; the first one that a request has is used."),
    Setting(
      "identity.rules", \.identity.rules, .identityRules,
      "How the user is found: rules in order, of which the first that names somebody counts; in place of identity.headers."
        + " header:NAME; body:MEMBER, with user, safety_identifier, metadata.user_id, litellm_metadata.user or"
        + " prompt_cache_key; jwt:CLAIM or jwt:CLAIM@HEADER, a claim of a JSON Web Token in authorization or another header;"
        + " api_key; client_ip; fixed:NAME; and the headers and members of a front end: openwebui, librechat, litellm,"
        + " helicone. [] means identity.headers, the body, api_key, client_ip."),
    Setting(
      "identity.jwt_algorithm", \.identity.tokenAlgorithm, Codec<Settings.TokenAlgorithm>.word().or("off"),
      "The algorithm by which signatures of tokens are checked, together with identity.jwt_key_file. A token with another"
        + " one, or with a wrong signature, names nobody. off: tokens are believed, and marked jwt_unverified in user_from.",
      needsRestart: true),
    Setting(
      "identity.jwt_key_file", \.identity.tokenKeyFile, Codec<String>.text.or("off"),
      "The file with the key for that: for HS256, HS384 and HS512 the secret, of at least 16 bytes, which nobody else may"
        + " read; for RS256 and ES256 the public key in PEM.",
      needsRestart: true),
    Setting(
      "identity.names", \.identity.names, .word(),
      "What records and metrics say of a user. keep: the name. hash: its fingerprint under the identity secret. drop:"
        + " nothing. A client's address stands in client all the same."),
    Setting(
      "identity.allow", \.identity.allow, .names,
      "Names that are recorded as they are, if identity.names is hash or drop; a * at the end stands for anything."),
    Setting(
      "identity.trusted_proxies", \.identity.trustedProxies, .addressRanges,
      "Peers whose X-Forwarded-For field is trusted to name the client, such as [10.0.0.0/8, \"::1\"]."
    ),
    Setting(
      "identity.trust_headers_from", \.identity.trustHeadersFrom, .addressRanges,
      "The peers whose identity.headers and identity.session_headers count, such as [10.0.0.0/8, \"::1\"]: gateways that"
        + " set these fields themselves. Those of any other peer are forwarded, but name nobody in a record. [] means all"
        + " peers: then a client can claim any name."),
    Setting(
      "identity.secret_file", \.identity.secretFile, Codec<String>.text.or("auto"),
      "A file with the secret of the fingerprints of API keys, of at least 16 bytes; proxies with one secret give one key"
        + " one fingerprint. Mode 0600, or readable for its group and owned by root or by a group of the process (0440). auto"
        + " is tachograph.secret beside the records, made if it is not there. The variable TACHOGRAPH_IDENTITY_SECRET, with"
        + " the secret itself, wins.",
      needsRestart: true),
  ]

  private static let forwarding = [
    Setting(
      "proxy_protocol.mode", \.proxyProtocol.mode, .word(),
      "required: every client connection begins with a PROXY header of version 1 or 2, which names the client. A"
        + " connection without one, or with a malformed one, is closed without an answer."),
    Setting(
      "proxy_protocol.peers", \.proxyProtocol.peers, .addressRanges,
      "If mode is required: the peers that may connect, such as [10.0.0.0/8, \"::1\"]; others are closed. [] means all"
        + " peers: then whoever reaches the port can claim any client address."),
    Setting(
      "forwarding.x_forwarded_for", \.forwarding.xForwardedFor, .word(),
      "pass: X-Forwarded-For is forwarded as it came. append: the client's address is added at its end. replace: it"
        + " has the client's address only. drop: it is removed."),
    Setting(
      "forwarding.forwarded", \.forwarding.forwarded, .word(),
      "The same for Forwarded (RFC 7239). append replaces a field in which a quoted string is not closed."),
    Setting(
      "forwarding.via", \.forwarding.via, .truth,
      "Whether a Via field is added to requests and responses. A request whose Via field names this proxy already is"
        + " in a loop, and is answered 508."),
    Setting(
      "forwarding.pseudonym", \.forwarding.pseudonym, .token,
      "The name of this proxy in Via. Each proxy on the way of a request needs a different one."),
    Setting(
      "forwarding.tunnels", \.forwarding.tunnels, .protocols,
      "Protocols to which a client may switch by an Upgrade field. Once upstream agrees (101), bytes are forwarded"
        + " both ways and not read. A request for another protocol is served as plain HTTP. [] allows none."),
    Setting(
      "forwarding.half_close", \.forwarding.halfClose, .word(),
      "What it means that a client closes its sending side (FIN) behind a whole request. abort: it has left, and the"
        + " server may stop. finish: it is answered; then a client that has left is noticed only by its reset, once"
        + " something is sent to it."),
    Setting(
      "forwarding.host", \.forwarding.host, .hostField,
      "What upstream is told in Host. pass: what the client said. upstream: upstream's own address, for servers that refuse"
        + " names that they do not know (Ollama: 403, nginx: 404). Or a name, such as llm.example or llm.example:8080."),
    Setting(
      "forwarding.targets", \.forwarding.targets, .word(),
      "lenient: a request target is forwarded as it came, also with raw UTF-8, quotes or a fragment, unless it has a"
        + " control byte or a space (400). strict: only what RFC 3986 allows, and what browsers leave as it is in a query."
    ),
    Setting(
      "forwarding.cors_errors", \.forwarding.corsErrors, .truth,
      "Whether the proxy's own answers (413, 502, 503, ...) to a request with an Origin field carry"
        + " Access-Control-Allow-Origin with that origin, so that a browser shows them to its page. The server's answers"
        + " are never changed."),
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
      "The longest event of a stream. Of a longer one the rest of a long text or list is not read; the event's other"
        + " members and the events behind it are."),
    Setting(
      "limits.inspected_body_bytes", \.limits.inspectedBodyBytes, .size(0...1 << 28),
      "The most bytes that a compressed request body is inflated to, to find its model and user; what is behind them is"
        + " not read. A body that is not compressed is read to its end, whatever its length. Forwarding never waits."),
    Setting(
      "limits.response_body_bytes", \.limits.responseBodyBytes, .size(0...1 << 28),
      "The longest response, of those that are not streams, of which a copy is kept to be decoded at its end. A longer"
        + " one is forwarded but not measured."
    ),
    Setting(
      "limits.fields", \.limits.fields, .count(8...65536),
      "The most header fields of a message; a request with more is answered 431, a response 502."),
    Setting(
      "limits.target_bytes", \.limits.targetBytes, .size(64...1 << 20),
      "The longest request target (path and query); a longer one is answered 414."),
    Setting(
      "limits.trailer_bytes", \.limits.trailerBytes, .size(0...1 << 24),
      "The longest trailer section behind a chunked body. A request with a longer one is answered 431, a response is"
        + " cut."),
    Setting(
      "limits.chunk_extension_bytes", \.limits.chunkExtensionBytes, .size(0...1 << 24),
      "The most bytes of chunk extensions in one message. A request with more is answered 400, a response is cut."),
    Setting(
      "limits.request_body_bytes", \.limits.requestBodyBytes, Codec<Int>.size(0...1 << 40).or("off"),
      "The largest request body. A request that announces a larger one is answered 413 and not forwarded; a chunked"
        + " body that becomes larger is cut on both sides."),
    Setting(
      "limits.request_body_rate", \.limits.requestBodyRate, Codec<Int>.size(1...1 << 30).or("off"),
      "The slowest rate, per second, at which a request body may come, over each stretch of timeouts.request_body (60s"
        + " if that is off); a slower one is answered 408. Time in which upstream accepts no bytes does not count."),
    Setting(
      "limits.connections", \.limits.connections, Codec<Int>.count(1...1_000_000).or("auto"),
      "Client connections of a worker. For a further one the client that has been idle for longest is closed; where none is"
        + " idle, it waits to be accepted. auto: as many as limits.descriptors allows."),
    Setting(
      "limits.connections_per_client", \.limits.connectionsPerClient, Codec<Int>.count(1...1_000_000).or("off"),
      "Connections that one client address may have, over all workers; further ones are answered 429 and closed. Peers"
        + " in identity.trusted_proxies connect for many clients and are not counted."),
    Setting(
      "limits.descriptors", \.limits.descriptors, Codec<Int>.count(16...10_000_000).or("auto"),
      "Sockets of clients and of upstream together. Each client needs two; for one for whom they are not left the client"
        + " that has been idle for longest is closed, and where none is idle it is answered 503 and closed. auto is the limit on open files without what log, admin pages and event loops need."
    ),
    Setting(
      "limits.in_flight", \.limits.inFlight, Codec<Int>.count(1...1_000_000).or("off"),
      "Exchanges at upstream at once, over all workers; further ones wait, first come, first served. A request counts once"
        + " it is complete, or too large to wait for that (buffers.high_watermark); a tunnel counts until it ends."),
    Setting(
      "limits.queue", \.limits.queue, .count(0...1_000_000),
      "Exchanges that may wait because of limits.in_flight; further ones are answered 503 with Retry-After."),
    Setting(
      "buffers.high_watermark", \.buffers.highWatermarkBytes, .size(1 << 10...1 << 28),
      "Reading from one side pauses when more than this waits for the socket of the other side."),
    Setting(
      "buffers.low_watermark", \.buffers.lowWatermarkBytes, .size(0...1 << 28),
      "Reading continues when no more than this waits."),
    Setting(
      "buffers.waiting_requests", \.buffers.waitingRequestsBytes, .size(1 << 16...1 << 40),
      "The most memory, in each worker, for requests that wait for a place at upstream (limits.in_flight) or for a"
        + " connection. Where more is needed, the request that has been coming in for longest is answered 503."),
  ]

  private static let waits = [
    Setting(
      "timeouts.connect", \.timeouts.connect, .duration,
      "For a connection to upstream, name resolution and all attempts included; then 504."),
    Setting(
      "timeouts.connect_attempt", \.timeouts.connectAttempt, .duration,
      "For one address of a name that has several; then the next one is tried. The last one may take the rest of"
        + " timeouts.connect."),
    Setting(
      "timeouts.connect_stagger", \.timeouts.connectStagger, .duration,
      "How long each address is tried alone before the next one is tried beside it; the first that answers is used"
        + " (RFC 8305)."),
    Setting(
      "timeouts.request_head", \.timeouts.requestHead, .duration,
      "For a request's head, from its first byte to its last; for a PROXY header, from the beginning of the"
        + " connection."),
    Setting(
      "timeouts.request_body", \.timeouts.requestBody, Codec<Duration>.duration.or("off"),
      "For the next bytes of a request's body; then 408."),
    Setting(
      "timeouts.client_stalled", \.timeouts.clientStalled, Codec<Duration>.duration.or("off"),
      "For a client to accept any byte of the response that waits for it; then its connection is reset and upstream's"
        + " is closed. A client that reads slowly is not affected."),
    Setting(
      "timeouts.upstream_stalled", \.timeouts.upstreamStalled, Codec<Duration>.duration.or("off"),
      "For upstream to accept any byte of the request that waits for it; then 504."),
    Setting(
      "timeouts.linger_idle", \.timeouts.lingerIdle, .duration,
      "For the next bytes of a client that has its whole response while it still sends its request: they are dropped, for a"
        + " close over unread bytes would be a reset, and the client could lose the response."),
    Setting(
      "timeouts.linger", \.timeouts.linger, .duration,
      "For all that such a client still sends. Where descriptors run out it makes room at once."),
    Setting(
      "timeouts.idle", \.timeouts.idle, .duration,
      "For the next request on a client's connection; then it is closed."),
    Setting(
      "timeouts.upstream_idle", \.timeouts.upstreamIdle, .duration,
      "How long an unused upstream connection is kept. It is given up earlier where the server says so (Keep-Alive:"
        + " timeout=5) or was seen to close its unused connections sooner."),
    Setting(
      "timeouts.response", \.timeouts.response, Codec<Duration>.duration.or("off"),
      "From the complete request to the whole head of the response; then 504. It is off because a long prompt can take"
        + " minutes before its first token. A 1xx response does not extend it."),
    Setting(
      "timeouts.response_head", \.timeouts.responseHead, Codec<Duration>.duration.or("off"),
      "For a response's head, from its first byte to its last; then 504."),
    Setting(
      "timeouts.between_reads", \.timeouts.betweenReads, Codec<Duration>.duration.or("off"),
      "For the next bytes of a response, whatever they are (comments and pings of a stream count); then the response"
        + " is cut."),
    Setting(
      "timeouts.first_token", \.timeouts.firstToken, Codec<Duration>.duration.or("off"),
      "From the complete request to the first token of a stream whose head has come; comments and pings do not count."
        + " It applies to streams of a known dialect only."),
    Setting(
      "timeouts.between_tokens", \.timeouts.betweenTokens, Codec<Duration>.duration.or("off"),
      "From one token of a stream to the next, or to the end of the stream; comments and pings do not count. It"
        + " applies to streams of a known dialect only."),
    Setting(
      "timeouts.queue", \.timeouts.queue, Codec<Duration>.duration.or("off"),
      "How long an exchange may wait because of limits.in_flight; then 503 with Retry-After."),
    Setting(
      "timeouts.retry_after", \.timeouts.retryAfter, .duration,
      "How long a 503 or 429 of the proxy itself tells clients to wait (Retry-After), rounded up to seconds."),
    Setting(
      "timeouts.tunnel", \.timeouts.tunnel, Codec<Duration>.duration.or("off"),
      "For the next bytes in a tunnel, in either direction; then both sides are reset."),
    Setting(
      "timeouts.drain", \.timeouts.drain, Codec<Duration>.duration.or("auto"),
      "For open exchanges to end after SIGTERM or SIGINT; then they are cut and recorded. Let whoever stops the process wait"
        + " longer before it kills: 10s is Docker's usual, 30s that of Kubernetes. auto is 30s, and 8s where records go to no"
        + " file: then those of exchanges that are open at the kill are lost."),
    Setting(
      "tcp.keepalive_idle", \.tcp.keepaliveIdle, Codec<Duration>.duration.or("off"),
      "Silence after which a client's or upstream's host is asked for a sign of life (TCP keepalive), in whole seconds. It"
        + " finds out hosts that have died, and keeps entries of NAT and firewalls alive while a prompt is computed."),
    Setting(
      "tcp.keepalive_interval", \.tcp.keepaliveInterval, .duration,
      "Between two such questions, while none is answered; in whole seconds."),
    Setting(
      "tcp.keepalive_probes", \.tcp.keepaliveProbes, .count(1...127),
      "Unanswered questions after which the peer has vanished: its exchange ends as client_cancelled (client_vanished) or"
        + " upstream_reset (upstream_vanished)."),
    Setting(
      "tcp.user_timeout", \.tcp.userTimeout, .userTimeout,
      "How long what was sent may be unacknowledged before the peer has vanished (TCP_USER_TIMEOUT). auto: as long as"
        + " silence may last, keepalive_idle and all probes. A peer that acknowledges and takes no more is none of these,"
        + " see timeouts.client_stalled."),
    Setting(
      "pool.idle_connections", \.pool.idleConnections, .count(0...65536),
      "Idle connections to upstream that a worker keeps for the next request."),
    Setting(
      "resolver.fresh", \.resolver.fresh, .duration,
      "How long the addresses of upstream's name are used before the system is asked again. New connections follow a"
        + " change."
    ),
    Setting(
      "resolver.stale", \.resolver.stale, Codec<Duration>.duration.or("off"),
      "How much longer they are used while the system cannot answer."),
  ]

  private static let outside = [
    Setting(
      "admin.listen", \.admin.listen, Codec<ListenAddress>.localAddress.or("off"),
      "Where metrics, readiness and the settings in force are served. A port alone is on 127.0.0.1. There is no access"
        + " control: an address that other machines can reach is logged as a warning.", needsRestart: true),
    Setting(
      "admin.models", \.admin.models, .count(1...10_000),
      "Models that have metrics of their own; further ones are counted together, as other.", needsRestart: true),
    Setting(
      "admin.users", \.admin.users, .count(0...10_000),
      "Users that have metrics of their own, those with most tokens; further ones are counted together, as other. 0: metrics"
        + " name no user.", needsRestart: true),
  ]
}
