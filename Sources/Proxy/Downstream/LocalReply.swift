// The proxy's own responses, to requests that it refuses and for servers that it cannot reach.
// They must quote nothing of the request or of the server's bytes.
import HTTP
import Measurement
import SettingValues

/// An error response of the proxy itself, in the form that OpenAI's clients show.
enum LocalReply {
  /// The whole response; it always closes the connection.
  /// - Parameters:
  ///   - answersHead: whether the request was a HEAD, whose reply has no body.
  ///   - retryAfter: how long the client is told to wait, rounded up to seconds, where trying again may help (RFC 9110
  ///     §10.2.3).
  static func bytes(for failure: ExchangeFailure, answersHead: Bool, retryAfter: Duration) -> [UInt8] {
    let status = status(for: failure.kind)
    let message = failure.detail.map { $0 == "\"" || $0 == "\\" ? "'" : String($0) }.joined()
    let body = #"{"error":{"message":"tachograph: \#(message)","type":"proxy_error","code":\#(status)}}"# + "\n"
    // RFC 9110 §15.5.6.
    let allow = status == 405 ? "Allow: \(Method.allCases.map(\.rawValue).joined(separator: ", "))\r\n" : ""
    // Too many for now: trying again may help.
    let mayPass = status == 503 || status == 429
    let retry = mayPass ? "Retry-After: \(max(1, retryAfter.secondsRoundedUp))\r\n" : ""
    let head =
      "HTTP/1.1 \(status) \(ReasonPhrase.standard(for: status) ?? "Error")\r\n\(allow)\(retry)Content-Type: application/json\r\n"
      + "Content-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n"
    return Array((answersHead ? head : head + body).utf8)
  }

  /// The status that a client is told a failure with.
  static func status(for kind: ExchangeFailure.Kind) -> Int {
    switch kind {
    case .requestMalformed, .requestChunkExtensionsTooLarge: 400
    case .methodNotAllowed: 405
    case .requestHeadTimeout, .requestBodyTimeout, .requestBodyRate: 408
    case .requestBodyTooLarge: 413
    case .requestTargetTooLarge: 414
    case .expectationFailed: 417
    case .tooManyClientConnections: 429
    case .requestHeadTooLarge, .requestTrailersTooLarge: 431
    case .requestNotImplemented: 501
    case .nameNotResolved, .connectFailed, .upstreamClosed, .upstreamReset, .responseMalformed, .responseHeadTooLarge,
      .responseTrailersTooLarge, .responseChunkExtensionsTooLarge:
      502
    case .tooManyConnections, .queueFull, .waitingRequestsFull, .queueTimeout, .shutDown, .proxyKilled: 503
    case .connectTimeout, .upstreamStalledTimeout, .responseTimeout, .responseHeadTimeout: 504
    case .httpVersionNotSupported: 505
    case .loopDetected: 508
    // These are never told: a response has begun by then, or the client takes nothing.
    case .clientStalledTimeout, .tunnelTimeout, .betweenReadsTimeout, .firstTokenTimeout, .betweenTokensTimeout,
      .terminatorMissing, .serverError, .decodingStopped, .eventsNotJSON, .requestNotJSON, .requestEncodingUnknown,
      .requestEncodingDamaged, .requestReadLimit:
      504
    }
  }
}
