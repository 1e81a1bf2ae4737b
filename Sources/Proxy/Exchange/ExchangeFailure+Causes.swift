// From what HTTP and the transport report to the kind of failure that it is for an exchange.
import HTTP
import Measurement
import Transport

extension ExchangeFailure {
  /// A request that is refused.
  init(request error: HTTPParseError) { self.init(Self.requestKind(error), error.detail) }

  /// A response that is refused.
  init(response error: HTTPParseError) {
    let kind: Kind
    switch error.kind {
    case .headTooLarge, .tooManyFields: kind = .responseHeadTooLarge
    case .trailersTooLarge: kind = .responseTrailersTooLarge
    case .chunkExtensionsTooLarge: kind = .responseChunkExtensionsTooLarge
    default: kind = .responseMalformed
    }
    self.init(kind, error.detail)
  }

  /// An upstream connection that was not made, or is lost.
  init(upstream error: TransportError) {
    let kind: Kind
    switch error.operation {
    case .resolve, .address: kind = .nameNotResolved
    case .connect, .loop, .listen, .accept: kind = .connectFailed
    case .read, .write: kind = error.isPeerVanished ? .upstreamVanished : .upstreamReset
    }
    self.init(kind, error.description)
  }

  /// A client that gave no more sign of life; nil where it is known to have left.
  init?(client error: TransportError) {
    guard error.isPeerVanished else { return nil }
    self.init(.clientVanished, error.description)
  }

  private static func requestKind(_ error: HTTPParseError) -> Kind {
    switch error.kind {
    case .headTooLarge, .tooManyFields: .requestHeadTooLarge
    case .targetTooLong: .requestTargetTooLarge
    case .bodyTooLarge: .requestBodyTooLarge
    case .trailersTooLarge: .requestTrailersTooLarge
    case .chunkExtensionsTooLarge: .requestChunkExtensionsTooLarge
    case .methodNotAllowed: .methodNotAllowed
    case .unsupportedExpectation: .expectationFailed
    case .unsupportedMethod, .unsupportedTransferCoding: .requestNotImplemented
    case .unsupportedVersion: .httpVersionNotSupported
    case .loopDetected: .loopDetected
    case .unexpectedTLS: .requestIsTLS
    case .malformedStartLine, .malformedTarget, .malformedField, .invalidHost, .ambiguousFraming, .malformedChunk,
      .malformedTrailers, .tooManyInterimResponses, .unexpectedUpgrade:
      .requestMalformed
    }
  }
}
