// The limits that traffic can run into, as `tachograph_limits_hit_total` names them.

/// A limit that traffic can hit. A new one is one more case here, and a `counters.hit(…)` where it is hit.
enum Limit: String, CaseIterable {
  /// A request's head was too long, or had too many fields (431).
  case requestHead = "request_head"
  /// A request's target was too long (414).
  case requestTarget = "request_target"
  /// A request's body was too long (413).
  case requestBody = "request_body"
  /// A request's trailers were too long.
  case requestTrailers = "request_trailers"
  /// A request's chunk extensions were too long.
  case requestChunkExtensions = "request_chunk_extensions"
  /// A response's head was too long, or had too many fields (502).
  case responseHead = "response_head"
  /// A response's trailers were too long.
  case responseTrailers = "response_trailers"
  /// A response's chunk extensions were too long.
  case responseChunkExtensions = "response_chunk_extensions"
  /// A request's head did not come in time (408).
  case requestHeadTimeout = "request_head_timeout"
  /// A request's body stopped coming (408).
  case requestBodyTimeout = "request_body_timeout"
  /// A request's body came more slowly than it may (408).
  case requestBodyRate = "request_body_rate"
  /// A client's kept connection had no further request in time: nothing is wrong with it.
  case idleTimeout = "idle_timeout"
  /// A client took nothing of its response for too long.
  case clientStalledTimeout = "client_stalled_timeout"
  /// Upstream did not accept a connection in time.
  case connectTimeout = "connect_timeout"
  /// Upstream took nothing of a request for too long (504).
  case upstreamStalledTimeout = "upstream_stalled_timeout"
  /// Upstream's response did not come in time (504).
  case responseTimeout = "response_timeout"
  /// A response's head did not come in time once it had begun (504).
  case responseHeadTimeout = "response_head_timeout"
  /// A stream's first token did not come in time.
  case firstTokenTimeout = "first_token_timeout"
  /// A stream's next token did not come in time.
  case betweenTokensTimeout = "between_tokens_timeout"
  /// Upstream fell silent within a response.
  case betweenReadsTimeout = "between_reads_timeout"
  /// Nothing passed a tunnel in time.
  case tunnelTimeout = "tunnel_timeout"
  /// An exchange was still open when draining had to end.
  case drainTimeout = "drain_timeout"
  /// Accepting was paused: the worker has as many clients as it may.
  case connections
  /// A client's address had as many connections as it may.
  case clientConnections = "client_connections"
  /// An exchange had to wait: as many as may be were in flight.
  case inFlight = "in_flight"
  /// An exchange was refused: as many as may wait were waiting (503).
  case queueLength = "queue_length"
  /// An exchange was refused: the requests that waited took as much memory as they may (503).
  case waitingRequests = "waiting_requests"
  /// An exchange was refused: it had waited for as long as it may (503).
  case queueTimeout = "queue_timeout"
  /// No descriptor was left for a client or for upstream.
  case descriptors
  /// An event, or a body that is not a stream, was too long to be measured; it was forwarded all the same.
  case measuredBytes = "measured_bytes"
  /// A connection did not begin with a PROXY header, or came from a peer that may not send one; it was closed.
  case proxyHeader = "proxy_header"
  /// A connection's PROXY header did not come in time.
  case proxyHeaderTimeout = "proxy_header_timeout"
  /// A request had been through this proxy before (508).
  case loop
  /// A client's further requests came faster than they could be kept: it was paused.
  case pipelinedBytes = "early_bytes"
}
