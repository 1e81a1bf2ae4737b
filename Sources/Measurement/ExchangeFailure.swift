// What can go wrong with an exchange, in words that programs may rely on: Record.md has them as a table.

/// Why an exchange failed, or could not be measured.
public struct ExchangeFailure: Hashable, Sendable, CustomStringConvertible {
  /// Who would have to do something about it.
  public enum Side: String, CaseIterable, Sendable {
    case client
    case upstream
    case proxy
  }

  /// What happened.
  public let kind: Kind
  /// One short line in the proxy's own words, or one word of the server's; never content.
  public let detail: String

  /// Makes a failure.
  public init(_ kind: Kind, _ detail: String) {
    self.kind = kind
    self.detail = detail
  }

  /// A failure as a record has it; nil where its text has no known kind, as the records of earlier versions.
  public init?(recorded text: String) {
    guard let colon = text.firstIndex(of: ":"), let kind = Kind(rawValue: String(text[..<colon])) else { return nil }
    self.init(kind, String(text[colon...].dropFirst(2)))
  }

  /// As records have it: `upstream_closed: upstream closed the connection`.
  public var description: String { "\(kind.rawValue): \(detail)" }
}

extension ExchangeFailure {
  /// Stable words: they are in records and are labels of a metric, so one is added, but none is changed.
  public enum Kind: String, CaseIterable, Sendable {
    // The client's request.
    case requestMalformed = "request_malformed"
    case requestIsTLS = "request_is_tls"
    case methodNotAllowed = "method_not_allowed"
    case requestNotImplemented = "request_not_implemented"
    case httpVersionNotSupported = "http_version_not_supported"
    case expectationFailed = "expectation_failed"
    case loopDetected = "loop_detected"
    case requestHeadTooLarge = "request_head_too_large"
    case requestTargetTooLarge = "request_target_too_large"
    case requestBodyTooLarge = "request_body_too_large"
    case requestTrailersTooLarge = "request_trailers_too_large"
    case requestChunkExtensionsTooLarge = "request_chunk_extensions_too_large"
    case requestHeadTimeout = "request_head_timeout"
    case requestBodyTimeout = "request_body_timeout"
    case requestBodyRate = "request_body_rate"
    case clientStalledTimeout = "client_stalled_timeout"
    case clientVanished = "client_vanished"
    case tooManyClientConnections = "too_many_client_connections"

    // The proxy's own bounds, and its end.
    case tooManyConnections = "too_many_connections"
    case queueFull = "queue_full"
    /// The requests that wait take as much memory as they may.
    case waitingRequestsFull = "waiting_requests_full"
    case queueTimeout = "queue_timeout"
    case tunnelTimeout = "tunnel_timeout"
    case shutDown = "shut_down"
    case proxyKilled = "proxy_killed"

    // Upstream.
    case nameNotResolved = "name_not_resolved"
    case connectFailed = "connect_failed"
    case connectTimeout = "connect_timeout"
    case upstreamStalledTimeout = "upstream_stalled_timeout"
    case upstreamClosed = "upstream_closed"
    case upstreamReset = "upstream_reset"
    case upstreamVanished = "upstream_vanished"
    case responseMalformed = "response_malformed"
    case responseHeadTooLarge = "response_head_too_large"
    case responseTrailersTooLarge = "response_trailers_too_large"
    case responseChunkExtensionsTooLarge = "response_chunk_extensions_too_large"
    case responseTimeout = "response_timeout"
    case responseHeadTimeout = "response_head_timeout"
    case betweenReadsTimeout = "between_reads_timeout"
    case firstTokenTimeout = "first_token_timeout"
    case betweenTokensTimeout = "between_tokens_timeout"
    /// A stream ended as HTTP wants it, and without what its dialect ends with.
    case terminatorMissing = "terminator_missing"
    /// An error that the server sent in its body or stream.
    case serverError = "server_error"

    // All bytes went through, and the request's body could not be read to its end.
    case requestNotJSON = "request_not_json"
    case requestEncodingUnknown = "request_encoding_unknown"
    case requestEncodingDamaged = "request_encoding_damaged"
    case requestReadLimit = "request_read_limit"

    // All bytes went through, and not all could be measured.
    case decodingStopped = "decoding_stopped"
    case eventsNotJSON = "events_not_json"

    /// Whose failure it is.
    public var side: Side {
      switch self {
      case .requestMalformed, .requestIsTLS, .methodNotAllowed, .requestNotImplemented, .httpVersionNotSupported,
        .expectationFailed,
        .loopDetected, .requestHeadTooLarge, .requestTargetTooLarge, .requestBodyTooLarge, .requestTrailersTooLarge,
        .requestChunkExtensionsTooLarge, .requestHeadTimeout, .requestBodyTimeout, .requestBodyRate,
        .clientStalledTimeout, .clientVanished, .tooManyClientConnections, .requestNotJSON, .requestEncodingUnknown,
        .requestEncodingDamaged:
        .client
      case .tooManyConnections, .queueFull, .waitingRequestsFull, .queueTimeout, .tunnelTimeout, .shutDown,
        .proxyKilled,
        .decodingStopped, .requestReadLimit:
        .proxy
      case .nameNotResolved, .connectFailed, .connectTimeout, .upstreamStalledTimeout, .upstreamClosed, .upstreamReset,
        .upstreamVanished, .responseMalformed, .responseHeadTooLarge, .responseTrailersTooLarge,
        .responseChunkExtensionsTooLarge,
        .responseTimeout, .responseHeadTimeout, .betweenReadsTimeout, .firstTokenTimeout, .betweenTokensTimeout,
        .terminatorMissing, .serverError, .eventsNotJSON:
        .upstream
      }
    }
  }
}
