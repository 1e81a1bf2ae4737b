// The settings that bound what clients and servers may take: how much, how many, and how long.
import SettingValues

extension Setting {
  static let bounds = [
    Setting(
      "limits.request_head_bytes", \.limits.requestHeadBytes, .size(1 << 10...1 << 24),
      "The longest request head; a longer one is answered 431."),
    Setting(
      "limits.response_head_bytes", \.limits.responseHeadBytes, .size(1 << 10...1 << 24),
      "The longest response head; a longer one is answered 502."),
    Setting(
      "limits.event_bytes", \.limits.eventBytes, .size(1 << 10...1 << 28),
      "The longest event of a stream. Of a longer one the rest of a long text or list is not read; the event's other"
        + " members and the events behind it are."),
    Setting(
      "limits.inspected_body_bytes", \.limits.inspectedBodyBytes, .size(0...1 << 28),
      "The most bytes that a compressed request body is inflated to, to find its model and user; what is behind them is"
        + " not read. A body that is not compressed is read to its end, whatever its length. Forwarding never waits."),
    Setting(
      "limits.response_body_bytes", \.limits.responseBodyBytes, .size(0...1 << 28),
      "The longest response, of those that are not streams, of which a copy is kept to be decoded at its end. A longer"
        + " one is forwarded but not measured."
    ),
    Setting(
      "limits.fields", \.limits.fields, .count(8...65536),
      "The most header fields of a message; a request with more is answered 431, a response 502."),
    Setting(
      "limits.target_bytes", \.limits.targetBytes, .size(64...1 << 20),
      "The longest request target (path and query); a longer one is answered 414."),
    Setting(
      "limits.trailer_bytes", \.limits.trailerBytes, .size(0...1 << 24),
      "The longest trailer section behind a chunked body. A request with a longer one is answered 431, a response is"
        + " cut."),
    Setting(
      "limits.chunk_extension_bytes", \.limits.chunkExtensionBytes, .size(0...1 << 24),
      "The most bytes of chunk extensions in one message. A request with more is answered 400, a response is cut."),
    Setting(
      "limits.request_body_bytes", \.limits.requestBodyBytes, Codec<Int>.size(0...1 << 40).or("off"),
      "The largest request body. A request that announces a larger one is answered 413 and not forwarded; a chunked"
        + " body that becomes larger is cut on both sides."),
    Setting(
      "limits.request_body_rate", \.limits.requestBodyRate, Codec<Int>.size(1...1 << 30).or("off"),
      "The slowest rate, per second, at which a request body may come, over each stretch of timeouts.request_body (60s"
        + " if that is off); a slower one is answered 408. Time in which upstream accepts no bytes does not count."),
    Setting(
      "limits.connections", \.limits.connections, Codec<Int>.count(1...1_000_000).or("auto"),
      "Client connections of a worker. For a further one the client that has been idle for longest is closed; where none is"
        + " idle, it waits to be accepted. auto: as many as limits.descriptors allows."),
    Setting(
      "limits.connections_per_client", \.limits.connectionsPerClient, Codec<Int>.count(1...1_000_000).or("off"),
      "Connections that one client address may have, over all workers; further ones are answered 429 and closed. Peers"
        + " in identity.trusted_proxies connect for many clients and are not counted."),
    Setting(
      "limits.descriptors", \.limits.descriptors, Codec<Int>.count(16...10_000_000).or("auto"),
      "Sockets of clients and of upstream together. Each client needs two; for one for whom they are not left the client"
        + " that has been idle for longest is closed, and where none is idle it is answered 503 and closed. auto is the limit on open files without what log, admin pages and event loops need."
    ),
    Setting(
      "limits.in_flight", \.limits.inFlight, Codec<Int>.count(1...1_000_000).or("off"),
      "Exchanges at upstream at once, over all workers; further ones wait, first come, first served. A request counts once"
        + " it is complete, or too large to wait for that (buffers.high_watermark); a tunnel counts until it ends."),
    Setting(
      "limits.queue", \.limits.queue, .count(0...1_000_000),
      "Exchanges that may wait because of limits.in_flight; further ones are answered 503 with Retry-After."),
    Setting(
      "buffers.high_watermark", \.buffers.highWatermarkBytes, .size(1 << 10...1 << 28),
      "Reading from one side pauses when more than this waits for the socket of the other side."),
    Setting(
      "buffers.low_watermark", \.buffers.lowWatermarkBytes, .size(0...1 << 28),
      "Reading continues when no more than this waits."),
    Setting(
      "buffers.waiting_requests", \.buffers.waitingRequestsBytes, .size(1 << 16...1 << 40),
      "The most memory, in each worker, for requests that wait for a place at upstream (limits.in_flight) or for a"
        + " connection. Where more is needed, the request that has been coming in for longest is answered 503."),
  ]

  static let waits = [
    Setting(
      "timeouts.connect", \.timeouts.connect, .duration,
      "For a connection to upstream, name resolution and all attempts included; then 504."),
    Setting(
      "timeouts.connect_attempt", \.timeouts.connectAttempt, .duration,
      "For one address of a name that has several; then the next one is tried. The last one may take the rest of"
        + " timeouts.connect."),
    Setting(
      "timeouts.connect_stagger", \.timeouts.connectStagger, .duration,
      "How long each address is tried alone before the next one is tried beside it; the first that answers is used"
        + " (RFC 8305)."),
    Setting(
      "timeouts.request_head", \.timeouts.requestHead, .duration,
      "For a request's head, from its first byte to its last; for a PROXY header, from the beginning of the"
        + " connection."),
    Setting(
      "timeouts.request_body", \.timeouts.requestBody, Codec<Duration>.duration.or("off"),
      "For the next bytes of a request's body; then 408."),
    Setting(
      "timeouts.client_stalled", \.timeouts.clientStalled, Codec<Duration>.duration.or("off"),
      "For a client to accept any byte of the response that waits for it; then its connection is reset and upstream's"
        + " is closed. A client that reads slowly is not affected."),
    Setting(
      "timeouts.upstream_stalled", \.timeouts.upstreamStalled, Codec<Duration>.duration.or("off"),
      "For upstream to accept any byte of the request that waits for it; then 504."),
    Setting(
      "timeouts.linger_idle", \.timeouts.lingerIdle, .duration,
      "For the next bytes of a client that has its whole response while it still sends its request: they are dropped, for a"
        + " close over unread bytes would be a reset, and the client could lose the response."),
    Setting(
      "timeouts.linger", \.timeouts.linger, .duration,
      "For all that such a client still sends. Where descriptors run out it makes room at once."),
    Setting(
      "timeouts.idle", \.timeouts.idle, .duration,
      "For the next request on a client's connection; then it is closed."),
    Setting(
      "timeouts.upstream_idle", \.timeouts.upstreamIdle, .duration,
      "How long an unused upstream connection is kept. It is given up earlier where the server says so (Keep-Alive:"
        + " timeout=5) or was seen to close its unused connections sooner."),
    Setting(
      "timeouts.response", \.timeouts.response, Codec<Duration>.duration.or("off"),
      "From the complete request to the whole head of the response; then 504. It is off because a long prompt can take"
        + " minutes before its first token. A 1xx response does not extend it."),
    Setting(
      "timeouts.response_head", \.timeouts.responseHead, Codec<Duration>.duration.or("off"),
      "For a response's head, from its first byte to its last; then 504."),
    Setting(
      "timeouts.between_reads", \.timeouts.betweenReads, Codec<Duration>.duration.or("off"),
      "For the next bytes of a response, whatever they are (comments and pings of a stream count); then the response"
        + " is cut."),
    Setting(
      "timeouts.first_token", \.timeouts.firstToken, Codec<Duration>.duration.or("off"),
      "From the complete request to the first token of a stream whose head has come; comments and pings do not count."
        + " It applies to streams of a known dialect only."),
    Setting(
      "timeouts.between_tokens", \.timeouts.betweenTokens, Codec<Duration>.duration.or("off"),
      "From one token of a stream to the next, or to the end of the stream; comments and pings do not count. It"
        + " applies to streams of a known dialect only."),
    Setting(
      "timeouts.queue", \.timeouts.queue, Codec<Duration>.duration.or("off"),
      "How long an exchange may wait because of limits.in_flight; then 503 with Retry-After."),
    Setting(
      "timeouts.retry_after", \.timeouts.retryAfter, .duration,
      "How long a 503 or 429 of the proxy itself tells clients to wait (Retry-After), rounded up to seconds."),
    Setting(
      "timeouts.tunnel", \.timeouts.tunnel, Codec<Duration>.duration.or("off"),
      "For the next bytes in a tunnel, in either direction; then both sides are reset."),
    Setting(
      "timeouts.drain", \.timeouts.drain, Codec<Duration>.duration.or("auto"),
      "For open exchanges to end after SIGTERM or SIGINT; then they are cut and recorded. Let whoever stops the process wait"
        + " longer before it kills: 10s is Docker's usual, 30s that of Kubernetes. auto is 30s, and 8s where records go to no"
        + " file: then those of exchanges that are open at the kill are lost."),
    Setting(
      "tcp.keepalive_idle", \.tcp.keepaliveIdle, Codec<Duration>.duration.or("off"),
      "Silence after which a client's or upstream's host is asked for a sign of life (TCP keepalive), in whole seconds. It"
        + " finds out hosts that have died, and keeps entries of NAT and firewalls alive while a prompt is computed."),
    Setting(
      "tcp.keepalive_interval", \.tcp.keepaliveInterval, .duration,
      "Between two such questions, while none is answered; in whole seconds."),
    Setting(
      "tcp.keepalive_probes", \.tcp.keepaliveProbes, .count(1...127),
      "Unanswered questions after which the peer has vanished: its exchange ends as client_cancelled (client_vanished) or"
        + " upstream_reset (upstream_vanished)."),
    Setting(
      "tcp.user_timeout", \.tcp.userTimeout, .userTimeout,
      "How long what was sent may be unacknowledged before the peer has vanished (TCP_USER_TIMEOUT). auto: as long as"
        + " silence may last, keepalive_idle and all probes. A peer that acknowledges and takes no more is none of these,"
        + " see timeouts.client_stalled."),
    Setting(
      "pool.idle_connections", \.pool.idleConnections, .count(0...65536),
      "Idle connections to upstream that a worker keeps for the next request."),
    Setting(
      "resolver.fresh", \.resolver.fresh, .duration,
      "How long the addresses of upstream's name are used before the system is asked again. New connections follow a"
        + " change."
    ),
    Setting(
      "resolver.stale", \.resolver.stale, Codec<Duration>.duration.or("off"),
      "How much longer they are used while the system cannot answer."),
  ]
}
