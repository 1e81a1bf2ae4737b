// What the proxy derives from its settings: each value comes from the setting that is called so, and has its default.
import HTTP
import SettingValues
import Testing
import TokenWire
import Transport

@testable import Proxy

@Suite("Configuration snapshot")
struct ConfigurationSnapshotTests {
  private func snapshot(_ adjust: (inout Settings) -> Void = { _ in }) -> ConfigurationSnapshot {
    var settings = Settings(upstream: UpstreamAddress(host: "::1", port: 8000))
    adjust(&settings)
    return ConfigurationSnapshot(settings)
  }

  @Test("Without any setting it has the defaults that the reference names")
  func defaults() throws {
    let snapshot = snapshot()
    #expect(
      snapshot.requestLimits
        == HTTPLimits(
          headBytes: 65_536, fieldCount: 1_000, targetBytes: 16_384, trailerBytes: 16_384, chunkExtensionBytes: 4_096))
    #expect(
      snapshot.responseLimits
        == HTTPLimits(
          headBytes: 262_144, fieldCount: 1_000, targetBytes: 16_384, trailerBytes: 16_384, chunkExtensionBytes: 4_096))
    #expect(snapshot.decoderLimits == DecoderLimits(eventBytes: 1_048_576, bodyBytes: 4_194_304))
    var forwarding = ForwardingPolicy()
    forwarding.tunnels = ["websocket"]
    forwarding.endToEnd = snapshot.identityRules.fields
    #expect(snapshot.forwarding == forwarding)
    #expect(!snapshot.requiresProxyHeader && !snapshot.finishesHalfClosed && !snapshot.awaitsTokens)
    #expect(!snapshot.isTrustedProxy("127.0.0.1") && snapshot.maySendProxyHeader("127.0.0.1"))
    let upstream = try #require(snapshot.upstreams.first)
    #expect(snapshot.upstreams.count == 1 && "\(upstream.address)" == "[::1]:8000")
    #expect(upstream.inFlight == nil && upstream.queue == 1_024 && upstream.idleConnections == 256)
    #expect(upstream.idleTimeout == .seconds(60) && upstream.spareAttempts == 64)
    #expect(upstream.resolving == Resolver.Policy(fresh: .seconds(5), stale: .seconds(3_600)))
    #expect(
      upstream.happyEyeballs
        == HappyEyeballs.Options(attemptDelay: .milliseconds(250), attemptTimeout: .seconds(5)))
  }

  @Test("Each bound comes from its own setting")
  func bounds() {
    let snapshot = snapshot {
      $0.limits.requestHeadBytes = 1
      $0.limits.responseHeadBytes = 2
      $0.limits.fields = 3
      $0.limits.targetBytes = 4
      $0.limits.trailerBytes = 5
      $0.limits.chunkExtensionBytes = 6
      $0.limits.eventBytes = 7
      $0.limits.responseBodyBytes = 8
      $0.limits.inFlight = 9
      $0.limits.queue = 10
      $0.pool.idleConnections = 11
    }
    for (limits, headBytes) in [(snapshot.requestLimits, 1), (snapshot.responseLimits, 2)] {
      #expect(
        limits
          == HTTPLimits(headBytes: headBytes, fieldCount: 3, targetBytes: 4, trailerBytes: 5, chunkExtensionBytes: 6))
    }
    #expect(snapshot.decoderLimits == DecoderLimits(eventBytes: 7, bodyBytes: 8))
    let upstream = snapshot.upstreams[0]
    #expect(upstream.inFlight == 9 && upstream.queue == 10 && upstream.idleConnections == 11)
  }

  @Test("Each policy comes from its own setting")
  func policies() {
    let snapshot = snapshot {
      $0.forwarding.xForwardedFor = .append
      $0.forwarding.forwarded = .drop
      $0.forwarding.pseudonym = "edge"
      $0.forwarding.tunnels = []
      $0.identity.headers = ["x-a"]
      $0.identity.sessionHeaders = ["x-b"]
      $0.identity.trustedProxies = [AddressRange("10.0.0.0/8")].compactMap { $0 }
      $0.identity.trustHeadersFrom = [AddressRange("192.0.2.0/24")].compactMap { $0 }
      $0.proxyProtocol.peers = [AddressRange("::1")].compactMap { $0 }
    }
    #expect(snapshot.forwarding.forwardedFor == .append && snapshot.forwarding.forwarded == .drop)
    // The name alone adds no Via field.
    #expect(snapshot.forwarding.via == nil && snapshot.forwarding.tunnels.isEmpty)
    #expect(snapshot.identityRules.rules.first == .header("x-a") && snapshot.identityRules.session == ["x-b"])
    #expect(snapshot.isTrustedProxy("10.1.2.3") && !snapshot.isTrustedProxy("::1"))
    #expect(snapshot.trustsIdentityHeaders(of: "192.0.2.9") && !snapshot.trustsIdentityHeaders(of: "10.1.2.3"))
    #expect(self.snapshot { _ in }.trustsIdentityHeaders(of: "10.1.2.3"))
    #expect(snapshot.maySendProxyHeader("::1") && !snapshot.maySendProxyHeader("10.1.2.3"))
  }

  @Test("A resolver that must not use old addresses, and an attempt delay that is too short")
  func upstream() {
    let snapshot = snapshot {
      $0.resolver.stale = nil
      $0.timeouts.connectStagger = .milliseconds(1)
    }
    #expect(snapshot.upstreams[0].resolving.stale == .zero)
    #expect(snapshot.upstreams[0].happyEyeballs.attemptDelay == .milliseconds(10))
  }

  @Test("Every dialect can be given to a path")
  func dialectNames() {
    #expect(Set(DialectName.allCases.map(\.rawValue)) == Set(Dialects.all.map { $0.name }))
    let routes = [("/ask", "openai.chat"), ("/v1/messages", "ollama.chat")].compactMap {
      DialectRoute(ending: $0.0, dialect: $0.1)
    }
    #expect(Dialects.configured(routes, path: "/x/ask")?.name == "openai.chat")
    #expect(Dialects.configured(routes, path: "/v1/messages/")?.name == "ollama.chat")
    #expect(Dialects.configured(routes, path: "/v1/chat/completions") == nil)
  }
}
