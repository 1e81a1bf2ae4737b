// Limits and waits as tests need them where they do not matter: a test names only what it is about.
import HTTP
import TokenWire
import Transport

extension HTTPLimits {
  /// Limits that no ordinary message reaches.
  public static func test(
    headBytes: Int = 64 << 10, fieldCount: Int = 1000, targetBytes: Int = 16 << 10, trailerBytes: Int = 16 << 10,
    chunkExtensionBytes: Int = 4 << 10
  ) -> HTTPLimits {
    HTTPLimits(
      headBytes: headBytes, fieldCount: fieldCount, targetBytes: targetBytes, trailerBytes: trailerBytes,
      chunkExtensionBytes: chunkExtensionBytes)
  }
}

extension DecoderLimits {
  /// Limits that no ordinary response reaches.
  public static func test() -> DecoderLimits { DecoderLimits(eventBytes: 1 << 20, bodyBytes: 4 << 20) }
}

extension Resolver.Policy {
  /// Addresses are used for longer than a test takes.
  public static func test(fresh: Duration = .seconds(5), stale: Duration = .seconds(3_600)) -> Resolver.Policy {
    Resolver.Policy(fresh: fresh, stale: stale)
  }
}

extension HappyEyeballs.Options {
  /// The head start that RFC 8305 §8 recommends, and attempts that are never given up.
  public static func test(
    attemptDelay: Duration = .milliseconds(250), attemptTimeout: Duration? = nil
  ) -> HappyEyeballs.Options {
    HappyEyeballs.Options(attemptDelay: attemptDelay, attemptTimeout: attemptTimeout)
  }
}
