// With which status a server refuses a request.
import HTTP

extension HTTPParseError.Kind {
  /// The status of a server's response to a request with this error (RFC 9110 §15.5, §15.6; RFC 6585 §5).
  ///
  /// A gateway answers an error in a response with 502 (Bad Gateway), whatever the kind.
  public var requestStatus: Int {
    switch self {
    case .malformedStartLine, .malformedTarget, .malformedField, .invalidHost, .ambiguousFraming, .malformedChunk,
      .chunkExtensionsTooLarge, .malformedTrailers, .tooManyInterimResponses, .unexpectedUpgrade, .unexpectedTLS:
      400
    case .methodNotAllowed: 405
    case .bodyTooLarge: 413
    case .targetTooLong: 414
    case .unsupportedExpectation: 417
    case .headTooLarge, .tooManyFields, .trailersTooLarge: 431
    case .unsupportedTransferCoding, .unsupportedMethod: 501
    case .unsupportedVersion: 505
    case .loopDetected: 508
    }
  }
}
