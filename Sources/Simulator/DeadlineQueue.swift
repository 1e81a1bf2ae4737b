// Elements with the instants at which they are due: a binary heap.
import Clocks

/// A priority queue, the earliest instant first.
struct DeadlineQueue<Element> {
  private var heap: [(at: Instant, element: Element)] = []

  /// When the first element is due.
  var nextAt: Instant? { heap.first?.at }

  mutating func insert(_ element: Element, at instant: Instant) {
    heap.append((instant, element))
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child].at < heap[parent].at else { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  /// Removes and returns the first element if it is due by `instant`.
  mutating func popDue(by instant: Instant) -> Element? {
    guard let first = heap.first, first.at <= instant else { return nil }
    let last = heap.removeLast()
    guard !heap.isEmpty else { return first.element }
    heap[0] = last
    var parent = 0
    while true {
      var child = 2 * parent + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count, heap[child + 1].at < heap[child].at { child += 1 }
      guard heap[child].at < heap[parent].at else { break }
      heap.swapAt(child, parent)
      parent = child
    }
    return first.element
  }

  mutating func removeAll() { heap.removeAll() }
}
