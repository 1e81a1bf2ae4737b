// From what HTTP and the transport report to the kind of failure that it is for an exchange.
import HTTP
import Measurement
import Transport

extension ExchangeFailure {
  /// A request that is refused.
  init(request error: HTTPParseError) { self.init(Self.requestKind(error), error.reason) }

  /// A response that is refused.
  init(response error: HTTPParseError) {
    let kind: Kind
    switch error.limit {
    case .head, .fields: kind = .responseHeadTooLarge
    case .trailers: kind = .responseTrailersTooLarge
    case .chunkExtensions: kind = .responseChunkExtensionsTooLarge
    case .target, .body, nil: kind = .responseMalformed
    }
    self.init(kind, error.reason)
  }

  /// An upstream connection that was not made, or is lost.
  init(upstream error: TransportError) {
    let kind: Kind
    switch error.operation {
    case .resolve, .address: kind = .nameNotResolved
    case .connect, .loop, .listen, .accept: kind = .connectFailed
    case .read, .write: kind = .upstreamReset
    }
    self.init(kind, error.description)
  }

  private static func requestKind(_ error: HTTPParseError) -> Kind {
    switch error.limit {
    case .head, .fields: return .requestHeadTooLarge
    case .target: return .requestTargetTooLarge
    case .body: return .requestBodyTooLarge
    case .trailers: return .requestTrailersTooLarge
    case .chunkExtensions: return .requestChunkExtensionsTooLarge
    case nil: break
    }
    switch error.status {
    case 405: return .methodNotAllowed
    case 413: return .requestBodyTooLarge
    case 417: return .expectationFailed
    case 501: return .requestNotImplemented
    case 505: return .httpVersionNotSupported
    case 508: return .loopDetected
    default: return .requestMalformed
    }
  }
}
