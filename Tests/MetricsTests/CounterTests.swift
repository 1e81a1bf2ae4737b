// What counters count, and that another thread may look at any time.
import Dispatch
import Metrics
import Testing

private enum Fruit: String, CaseIterable { case apple, pear, plum }

private enum Size: String, CaseIterable { case small, large }

private final class Basket: Sendable {
  let pieces = Counter()
  let fruit = CounterFamily<Fruit>()
  let sizes = CounterGrid<Fruit, Size>()
}

@Suite("Counters") struct CounterTests {
  @Test("A counter starts at nothing and adds up")
  func addsUp() {
    let basket = Basket()
    #expect(basket.pieces.count == 0)
    basket.pieces.add()
    basket.pieces.add(41)
    #expect(basket.pieces.count == 42)
  }

  @Test("Each value of a label has a count of its own")
  func countsByLabel() {
    let basket = Basket()
    basket.fruit.add(.pear)
    basket.fruit.add(.plum, 3)
    #expect(Fruit.allCases.map { basket.fruit.count($0) } == [0, 1, 3])
  }

  @Test("Each pair of two labels has a count of its own, and each first label one without the second")
  func countsByTwoLabels() {
    let basket = Basket()
    var times = 0
    for fruit in Fruit.allCases {
      for size in [nil] + Size.allCases {
        times += 1
        for _ in 0..<times { basket.sizes.add(fruit, size) }
      }
    }
    let counts = Fruit.allCases.flatMap { fruit in ([nil] + Size.allCases).map { basket.sizes.count(fruit, $0) } }
    #expect(counts == Array(1...9))
  }

  @Test("A reader on another thread sees counts that only grow, and the last of them once the writer has ended")
  func readWhileWritten() {
    let basket = Basket()
    let done = DispatchSemaphore(value: 0)
    DispatchQueue(label: "writer").async {
      for _ in 0..<100_000 { basket.pieces.add() }
      done.signal()
    }
    var seen: UInt64 = 0
    for _ in 0..<1_000 {
      let now = basket.pieces.count
      #expect(now >= seen)
      seen = now
    }
    done.wait()
    #expect(basket.pieces.count == 100_000)
  }
}
