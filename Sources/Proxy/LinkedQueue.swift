// Connections in an order, each found, appended and removed in constant time, however many there are.

/// What can be in a `LinkedQueue`.
protocol LinkedElement: AnyObject {
  /// The queue's.
  var links: LinkedQueue<Self>.Links { get set }
}

/// Elements in the order in which they were appended. An element is in one queue at most. Confined to its worker's thread.
final class LinkedQueue<Element: LinkedElement> {
  /// What an element knows of the queue that it is in.
  struct Links {
    fileprivate(set) unowned var queue: LinkedQueue<Element>?
    fileprivate var previous: Element?
    fileprivate var next: Element?

    /// Whether the element is in a queue.
    var isLinked: Bool { queue != nil }
  }

  private(set) var first: Element?
  private(set) var last: Element?
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  /// All elements, in their order.
  var all: [Element] {
    var elements: [Element] = []
    elements.reserveCapacity(count)
    var next = first
    while let element = next {
      elements.append(element)
      next = element.links.next
    }
    return elements
  }

  /// The one behind `element`, which must be in this queue.
  func successor(of element: Element) -> Element? { element.links.next }

  /// Moves an element behind all others, out of the queue that it was in.
  func append(_ element: Element) {
    element.links.queue?.remove(element)
    element.links = Links(queue: self, previous: last, next: nil)
    if let last { last.links.next = element } else { first = element }
    last = element
    count += 1
  }

  /// Takes an element out, which must be in this queue.
  func remove(_ element: Element) {
    let links = element.links
    element.links = Links()
    if let previous = links.previous { previous.links.next = links.next } else { first = links.next }
    if let next = links.next { next.links.previous = links.previous } else { last = links.previous }
    count -= 1
  }
}
