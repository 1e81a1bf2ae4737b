// Which upstream server a request goes to.
import HTTP

/// Chooses the upstream of each request. There is one upstream today, so it chooses the first.
struct Router: Sendable {
  /// Chooses among `upstreams`, of which there is at least one.
  var choose: @Sendable (_ head: RequestHead, _ upstreams: [Upstream]) -> Upstream = { $1[0] }
}
