// The proxy's own responses, to requests that it refuses and for servers that it cannot reach.
// They must quote nothing of the server's bytes, and of the request only a method and an origin that were checked.
import HTTP
import Measurement
import SettingValues

/// An error response of the proxy itself, in the form that OpenAI's clients show.
struct LocalReply {
  let failure: ExchangeFailure
  /// A word of the request, which is a token.
  let word: String?
  /// The web page that is allowed to read it.
  let origin: String?

  /// - Parameters:
  ///   - word: the word of the request that was not understood: a token (RFC 9110 §5.6.2).
  ///   - origin: the web page that is allowed to read it (`WebOrigin`).
  init(for failure: ExchangeFailure, naming word: String? = nil, origin: String? = nil) {
    self.failure = failure
    self.word = word
    self.origin = origin
  }

  /// The whole response; it always closes the connection.
  /// - Parameters:
  ///   - answersHead: whether the request was a HEAD, whose reply has no body.
  ///   - retryAfter: how long the client is told to wait, rounded up to seconds, where trying again may help (RFC 9110
  ///     §10.2.3).
  func bytes(answersHead: Bool, retryAfter: Duration) -> [UInt8] {
    let status = Self.status(for: failure.kind)
    let detail = failure.detail.map { $0 == "\"" || $0 == "\\" ? "'" : String($0) }.joined()
    let message = word.map { "\(detail): \($0)" } ?? detail
    let body = #"{"error":{"message":"tachograph: \#(message)","type":"proxy_error","code":\#(status)}}"# + "\n"
    // RFC 9110 §15.5.6.
    let allow = status == 405 ? "Allow: \(Method.allCases.map(\.rawValue).joined(separator: ", "))\r\n" : ""
    // Too many for now: trying again may help.
    let mayPass = status == 503 || status == 429
    let retry = mayPass ? "Retry-After: \(max(1, retryAfter.secondsRoundedUp))\r\n" : ""
    // Without it a browser tells its page nothing but that it may not know (Fetch, "CORS check").
    let readers = origin.map { "Access-Control-Allow-Origin: \($0)\r\nVary: Origin\r\n" } ?? ""
    let head =
      "HTTP/1.1 \(status) \(ReasonPhrase.standard(for: status) ?? "Error")\r\n\(allow)\(retry)\(readers)"
      + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n"
    return Array((answersHead ? head : head + body).utf8)
  }

  /// The status that a client is told a failure with.
  static func status(for kind: ExchangeFailure.Kind) -> Int {
    switch kind {
    case .requestMalformed, .requestIsTLS, .requestChunkExtensionsTooLarge: 400
    case .methodNotAllowed: 405
    case .requestHeadTimeout, .requestBodyTimeout, .requestBodyRate: 408
    case .requestBodyTooLarge: 413
    case .requestTargetTooLarge: 414
    case .expectationFailed: 417
    case .tooManyClientConnections: 429
    case .requestHeadTooLarge, .requestTrailersTooLarge: 431
    case .requestNotImplemented: 501
    case .nameNotResolved, .connectFailed, .upstreamClosed, .upstreamReset, .upstreamVanished, .responseMalformed,
      .responseHeadTooLarge,
      .responseTrailersTooLarge, .responseChunkExtensionsTooLarge:
      502
    case .tooManyConnections, .queueFull, .waitingRequestsFull, .queueTimeout, .shutDown, .proxyKilled: 503
    case .connectTimeout, .upstreamStalledTimeout, .responseTimeout, .responseHeadTimeout: 504
    case .httpVersionNotSupported: 505
    case .loopDetected: 508
    // These are never told: a response has begun by then, or the client takes nothing.
    case .clientStalledTimeout, .clientVanished, .tunnelTimeout, .betweenReadsTimeout, .firstTokenTimeout,
      .betweenTokensTimeout,
      .terminatorMissing, .serverError, .decodingStopped, .eventsNotJSON, .requestNotJSON, .requestEncodingUnknown,
      .requestEncodingDamaged, .requestReadLimit:
      504
    }
  }
}
