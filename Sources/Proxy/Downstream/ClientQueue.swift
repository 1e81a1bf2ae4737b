// Clients in an order, each found, appended and removed in constant time, however many there are.

/// A list of clients in the order in which they were appended. A client is in one list at most. Confined to its worker's thread.
final class ClientQueue {
  /// What a client knows of the list that it is in.
  struct Links {
    fileprivate(set) unowned var queue: ClientQueue?
    fileprivate var previous: DownstreamConnection?
    fileprivate var next: DownstreamConnection?
  }

  private(set) var first: DownstreamConnection?
  private var last: DownstreamConnection?
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  /// All clients, in their order.
  var all: [DownstreamConnection] {
    var clients: [DownstreamConnection] = []
    clients.reserveCapacity(count)
    var next = first
    while let client = next {
      clients.append(client)
      next = client.links.next
    }
    return clients
  }

  /// Moves a client behind all others, out of the list that it was in.
  func append(_ client: DownstreamConnection) {
    client.links.queue?.remove(client)
    client.links = Links(queue: self, previous: last, next: nil)
    if let last { last.links.next = client } else { first = client }
    last = client
    count += 1
  }

  /// Takes a client out, which must be in this list.
  func remove(_ client: DownstreamConnection) {
    let links = client.links
    client.links = Links()
    if let previous = links.previous { previous.links.next = links.next } else { first = links.next }
    if let next = links.next { next.links.previous = links.previous } else { last = links.previous }
    count -= 1
  }
}
