// Bounds the memory in which the requests of one worker wait for a connection.

/// What the waiting requests of one worker hold, and who makes room where that is too much: the request that began to wait
/// first, of those that are still coming in. So an upload that stalls loses its memory to whoever needs it, and whoever sends
/// a request at the usual pace keeps it. Where all of them have come in whole, the newcomer is refused.
///
/// Confined to its worker's thread.
final class RequestMemory {
  /// One request's part of it.
  struct Share {
    fileprivate(set) var bytes = 0
    /// Its place among the requests that are still coming in.
    fileprivate var place: Int?
  }

  /// Bytes that all of them may hold.
  var limit: Int
  /// Bytes that they hold.
  private(set) var used = 0
  /// The requests that are still coming in, by the order in which they began to wait. The first key is not below `oldest`.
  private var incoming: [Int: Exchange] = [:]
  private var oldest = 0
  private var next = 0

  init(limit: Int) { self.limit = limit }

  /// A request that is still coming in holds so many further bytes. Others, or it itself, are refused where that is too much.
  func add(_ bytes: Int, to exchange: Exchange) {
    if exchange.requestBuffer.share.place == nil {
      exchange.requestBuffer.share.place = next
      incoming[next] = exchange
      next += 1
    }
    exchange.requestBuffer.share.bytes += bytes
    used += bytes
    while used > limit {
      let refused = oldestIncoming ?? exchange
      refused.refuseForMemory()
      if refused === exchange { return }
    }
  }

  private var oldestIncoming: Exchange? {
    while oldest < next {
      if let exchange = incoming[oldest] { return exchange }
      oldest += 1
    }
    return nil
  }

  /// The request has come in: it waits with all that it holds, and makes room for nobody.
  func completed(_ share: inout Share) {
    if let place = share.place.take() { incoming[place] = nil }
  }

  /// The request waits no more.
  func release(_ share: inout Share) {
    completed(&share)
    used -= share.bytes
    share.bytes = 0
  }
}
