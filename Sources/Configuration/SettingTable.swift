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
