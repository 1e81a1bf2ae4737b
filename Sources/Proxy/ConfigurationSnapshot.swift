// The configuration in force, with what is derived from it: one value that an exchange holds on to from begin to end.
import HTTP
import Measurement
import SettingValues
import TokenWire

/// What begins now is held to this. Shared by all workers, and by every exchange that began under it; it never changes:
/// a reload makes another one.
final class ConfigurationSnapshot: Sendable {
  let settings: Settings
  /// The upstream servers, at least one.
  let upstreams: [UpstreamSettings]
  /// How the descriptors are shared out.
  let budget: DescriptorBudget

  /// This proxy's name in its records.
  let instance: String
  /// What is added to heads and removed from them, and which protocols are tunnelled.
  let forwarding: ForwardingPolicy
  /// Bounds on what a client sends around its bodies.
  let requestLimits: HTTPLimits
  /// Bounds on what upstream sends around its bodies.
  let responseLimits: HTTPLimits
  /// Bounds on what is kept of a response to decode it.
  let decoderLimits: DecoderLimits
  /// How exchanges are recorded.
  let recordingOptions: RecordingOptions
  /// Whether streams are held to times.
  let hasObjectives: Bool
  /// Paths that are a dialect's by configuration.
  let dialectRoutes: [DialectRoute]
  /// How user and session are found.
  let identityRules: IdentityRules

  /// Of settings that name one upstream server.
  /// - Parameter tokenKey: by which tokens' signatures are checked.
  convenience init(_ settings: Settings, tokenKey: TokenKey? = nil) { self.init(settings, tokenKey: tokenKey) { [$0] } }

  /// - Parameter servers: makes the upstream servers of the one that `settings` name.
  init(
    _ settings: Settings, tokenKey: TokenKey? = nil, upstreams servers: (UpstreamSettings) -> [UpstreamSettings]
  ) {
    self.settings = settings
    let count = servers(UpstreamSettings(settings, idleConnections: 0, spareAttempts: 0)).count
    budget = DescriptorBudget(
      descriptors: settings.limits.descriptors, workers: settings.workers ?? 1, upstreams: count,
      idle: settings.pool.idleConnections)
    upstreams = servers(
      UpstreamSettings(settings, idleConnections: budget.idle, spareAttempts: budget.attemptBudget))
    instance = settings.instance ?? ""
    requestLimits = HTTPLimits(settings.limits, headBytes: settings.limits.requestHeadBytes)
    responseLimits = HTTPLimits(settings.limits, headBytes: settings.limits.responseHeadBytes)
    decoderLimits = DecoderLimits(
      eventBytes: settings.limits.eventBytes, bodyBytes: settings.limits.responseBodyBytes)
    recordingOptions = RecordingOptions(
      keepsTimeline: settings.records.timeline, stallNanoseconds: settings.stalls.threshold.wholeNanoseconds)
    hasObjectives = settings.slo.areSet
    dialectRoutes = settings.dialects.paths.compactMap {
      DialectRoute(ending: $0.ending, dialect: $0.dialect.rawValue)
    }
    identityRules = IdentityRules(settings.identity, tokenKey: tokenKey)
    var forwarding = ForwardingPolicy(settings.forwarding)
    forwarding.endToEnd = identityRules.fields
    self.forwarding = forwarding
  }

  /// Whether every connection begins with a PROXY header that names the client.
  var requiresProxyHeader: Bool { settings.proxyProtocol.mode == .required }

  /// Whether a client that closes its sending side (FIN) behind a whole request is still answered; otherwise it has
  /// left.
  var finishesHalfClosed: Bool { settings.forwarding.halfClose == .finish }

  /// Whether a deadline depends on the tokens of a stream.
  var awaitsTokens: Bool { settings.timeouts.betweenTokens != nil || settings.timeouts.firstToken != nil }

  /// Whether the `X-Forwarded-For` field of a peer is trusted to name the client.
  func isTrustedProxy(_ address: String) -> Bool { settings.identity.trustedProxies.contains { $0.contains(address) } }

  /// Whether the fields by which a peer names users and sessions count.
  func trustsIdentityHeaders(of address: String) -> Bool {
    let trusted = settings.identity.trustHeadersFrom
    return trusted.isEmpty || trusted.contains { $0.contains(address) }
  }

  /// Whether a peer may connect where PROXY headers are required.
  func maySendProxyHeader(_ address: String) -> Bool {
    let peers = settings.proxyProtocol.peers
    return peers.isEmpty || peers.contains { $0.contains(address) }
  }
}

extension HTTPLimits {
  fileprivate init(_ limits: Settings.Limits, headBytes: Int) {
    self.init(
      headBytes: headBytes, fieldCount: limits.fields, targetBytes: limits.targetBytes,
      trailerBytes: limits.trailerBytes, chunkExtensionBytes: limits.chunkExtensionBytes)
  }
}

extension ForwardingPolicy {
  fileprivate init(_ forwarding: Settings.Forwarding) {
    self.init()
    forwardedFor = AddressField(forwarding.xForwardedFor)
    forwarded = AddressField(forwarding.forwarded)
    via = forwarding.via ? forwarding.pseudonym : nil
    tunnels = forwarding.tunnels
    host =
      switch forwarding.host {
      case .pass: .pass
      case .upstream: .upstream
      case .name(let name): .name(name)
      }
  }
}

extension ForwardingPolicy.AddressField {
  fileprivate init(_ field: Settings.AddressField) {
    self =
      switch field {
      case .pass: .pass
      case .append: .append
      case .replace: .replace
      case .drop: .drop
      }
  }
}

extension IdentityRules {
  /// The rules of the settings.
  fileprivate convenience init(_ identity: Settings.Identity, tokenKey: TokenKey?) {
    let names = NamePolicy(NamePolicy.Mode(identity.names), allowed: identity.allow)
    guard !identity.rules.isEmpty else {
      self.init(user: identity.headers, session: identity.sessionHeaders, names: names, tokenKey: tokenKey)
      return
    }
    let frontEnds = identity.rules.compactMap { rule -> IdentityRuleText.FrontEnd? in
      if case .frontEnd(let frontEnd) = rule.kind { frontEnd } else { nil }
    }
    let session = identity.sessionHeaders + frontEnds.flatMap(\.sessionHeaders)
    self.init(
      identity.rules.flatMap(IdentityRule.rules), session: session, names: names, tokenKey: tokenKey)
  }
}

extension IdentityRule {
  fileprivate static func rules(_ text: IdentityRuleText) -> [IdentityRule] {
    switch text.kind {
    case .header(let name): [.header(name)]
    case .body(let member): [.body(member)]
    case .token(let claim, let header): [.token(claim: claim, header: header)]
    case .apiKey: [.apiKey]
    case .clientAddress: [.clientAddress]
    case .fixed(let name): [.fixed(name)]
    case .frontEnd(let frontEnd):
      frontEnd.userHeaders.map(IdentityRule.header) + frontEnd.userMembers.map(IdentityRule.body)
    }
  }
}

extension NamePolicy.Mode {
  fileprivate init(_ mode: Settings.NameMode) {
    self =
      switch mode {
      case .keep: .keep
      case .hash: .hash
      case .drop: .drop
      }
  }
}
