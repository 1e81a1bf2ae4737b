// From the settings people write to what the proxy needs to be told.
// It must not invent defaults: Configuration has them.
import Configuration
import Glibc
import Measurement
import Proxy
import Transport

extension ProxySettings {
  /// The proxy's settings.
  init(_ settings: Settings, instance: String) {
    self.init(
      upstreamHost: settings.upstream.host, upstreamPort: settings.upstream.port,
      listenHost: settings.listen.host == "localhost" ? "127.0.0.1" : settings.listen.host,
      listenPort: settings.listen.port)
    self.instance = instance
    workers = settings.workers ?? EventLoop.usableCores
    sharesListenPort = settings.listenReusePort
    keepsTimeline = settings.records.timeline
    countedModels = settings.admin.models
    identityHeaders = IdentityHeaders(user: settings.identity.headers, session: settings.identity.sessionHeaders)
    let trusted = settings.identity.trustedProxies
    isTrustedProxy = { address in trusted.contains { $0.contains(address) } }
    awaitsProxyHeader = settings.proxyProtocol.mode == .required
    let introducers = settings.proxyProtocol.peers
    mayIntroduce = { address in introducers.isEmpty || introducers.contains { $0.contains(address) } }
    forwarding.forwardedFor = settings.forwarding.xForwardedFor.policy
    forwarding.forwarded = settings.forwarding.forwarded.policy
    forwarding.via = settings.forwarding.via ? settings.forwarding.pseudonym : nil
    finishesHalfClosed = settings.forwarding.halfClose == .finish
    forwarding.tunnels = settings.forwarding.tunnels
    setLimits(settings)
    setTimeouts(settings.timeouts)
    resolving = Resolver.Policy(
      fresh: settings.resolver.fresh, stale: settings.resolver.stale ?? .zero)
  }

  private mutating func setLimits(_ settings: Settings) {
    let limits = settings.limits
    requestLimits.headBytes = limits.requestHeadBytes
    requestLimits.fieldCount = limits.fields
    requestLimits.targetBytes = limits.targetBytes
    requestLimits.trailerBytes = limits.trailerBytes
    requestLimits.chunkExtensionBytes = limits.chunkExtensionBytes
    responseLimits = requestLimits
    responseLimits.headBytes = limits.responseHeadBytes
    requestBodyBytes = limits.requestBodyBytes
    requestBodyRate = limits.requestBodyRate
    decoderLimits.eventBytes = limits.eventBytes
    decoderLimits.bodyBytes = limits.responseBodyBytes
    inspectedBodyBytes = limits.inspectedBodyBytes
    connections = limits.connections ?? .max
    connectionsPerClient = limits.connectionsPerClient
    descriptors = limits.descriptors ?? OpenFiles.forSockets(workers: workers)
    inFlight = limits.inFlight
    queue = limits.queue
    highWatermark = settings.buffers.highWatermarkBytes
    lowWatermark = settings.buffers.lowWatermarkBytes
    idleUpstreamConnections = settings.pool.idleConnections
  }

  private mutating func setTimeouts(_ timeouts: Settings.Timeouts) {
    connectTimeout = timeouts.connect.nanoseconds
    happyEyeballs = HappyEyeballs.Options(
      attemptDelay: max(.milliseconds(10), timeouts.connectStagger), attemptTimeout: timeouts.connectAttempt)
    requestHeadTimeout = timeouts.requestHead.nanoseconds
    requestBodyTimeout = timeouts.requestBody?.nanoseconds
    clientStalledTimeout = timeouts.clientStalled?.nanoseconds
    upstreamStalledTimeout = timeouts.upstreamStalled?.nanoseconds
    idleTimeout = timeouts.idle.nanoseconds
    upstreamIdleTimeout = timeouts.upstreamIdle.nanoseconds
    responseTimeout = timeouts.response?.nanoseconds
    responseHeadTimeout = timeouts.responseHead?.nanoseconds
    betweenReadsTimeout = timeouts.betweenReads?.nanoseconds
    tunnelTimeout = timeouts.tunnel?.nanoseconds
    firstTokenTimeout = timeouts.firstToken?.nanoseconds
    betweenTokensTimeout = timeouts.betweenTokens?.nanoseconds
    queueTimeout = timeouts.queue?.nanoseconds
    retryAfter = timeouts.retryAfter.nanoseconds
    drainTimeout = timeouts.drain.nanoseconds
  }
}

extension Settings.AddressField {
  fileprivate var policy: ProxySettings.AddressField {
    switch self {
    case .pass: .pass
    case .append: .append
    case .replace: .replace
    case .drop: .drop
    }
  }
}

extension Settings.RecordsTarget {
  /// The path as the log takes it: `-` is standard output.
  var path: String {
    switch self {
    case .file(let path): path
    case .standardOutput: "-"
    }
  }
}

extension Duration {
  /// Whole nanoseconds, at most what an Int64 holds.
  fileprivate var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    return overflow ? .max : whole + attoseconds / 1_000_000_000
  }
}
