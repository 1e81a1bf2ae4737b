// The queue between the workers and the writer's thread: its bound, its commands, when the writer is woken.
import Clocks
import Measurement
import Testing

@testable import RecordLog

@Suite("RecordQueue")
struct RecordQueueTests {
  /// Pushes one record for each of `numbers`.
  private func push(_ numbers: Range<Int>, to queue: inout RecordQueue) -> [RecordQueue.Push] {
    numbers.map { queue.push(QueuedRecord(filling: record($0))) }
  }

  private func exchange(_ queue: inout RecordQueue) -> (records: Int, command: RecordQueue.Command) {
    var batch: [QueuedRecord] = []
    let command = queue.exchange(&batch)
    return (batch.count, command)
  }

  @Test("Records being written count against the bound")
  func bound() {
    var queue = RecordQueue(limit: 4)
    #expect(push(0..<4, to: &queue).allSatisfy { $0 != .dropped })
    #expect(push(4..<5, to: &queue) == [.dropped])
    #expect(exchange(&queue).records == 4)
    #expect(push(5..<6, to: &queue) == [.dropped])
    queue.markWritten(1)
    #expect(push(6..<7, to: &queue) == [.queued])
    #expect(queue.accepted == 5 && queue.outstanding == 4)
  }

  @Test("Drops are given with the next batch, and each of them once")
  func drops() {
    var queue = RecordQueue(limit: 4)
    for dropped in [3, 0, 2] {
      _ = push(0..<(4 + dropped), to: &queue)
      let (records, command) = exchange(&queue)
      #expect(records == 4 && command.drops == dropped)
      queue.markWritten(records)
    }
  }

  @Test("Drops wait for a writer that has a batch in hand; a reopening does not")
  func commands() {
    var queue = RecordQueue(limit: 2)
    _ = push(0..<3, to: &queue)
    queue.requestReopen()
    let command = queue.commands()
    #expect(command.reopen && command.drops == 0)
    #expect(exchange(&queue).command.drops == 1)
  }

  @Test("A reopening is asked for once by each request")
  func reopen() {
    var queue = RecordQueue(limit: 8)
    for _ in 0..<2 {
      #expect(!queue.commands().reopen && !exchange(&queue).command.reopen)
      queue.requestReopen()
      #expect(queue.commands().reopen)
      #expect(!queue.commands().reopen && !exchange(&queue).command.reopen)
      queue.requestReopen()
      #expect(exchange(&queue).command.reopen)
    }
  }

  @Test("A closed queue drops what comes, and the earlier of two deadlines holds")
  func close() {
    var queue = RecordQueue(limit: 8)
    _ = push(0..<1, to: &queue)
    let now = Instant.now()
    let later = now.advanced(byNanoseconds: 1_000)
    queue.close(by: later)
    #expect(push(1..<2, to: &queue) == [.dropped])
    queue.close(by: now)
    queue.close(by: later)
    let (records, command) = exchange(&queue)
    #expect(records == 1 && command.drops == 1 && command.deadline == now)
  }

  @Test("A record that was written comes back empty, and the larger lot of such is kept")
  func recycling() {
    var queue = RecordQueue(limit: 8)
    #expect(queue.recycled() == nil)
    var encoder = RecordEncoder()
    var batch = (0..<3).map { QueuedRecord(filling: record($0)) }
    let identities = batch.map(ObjectIdentifier.init)
    for queued in batch { queued.encode(to: &encoder) }
    queue.recycle(&batch)
    #expect(batch.isEmpty)
    var fewer = [QueuedRecord()]
    queue.recycle(&fewer)
    #expect(fewer.count == 1)
    for identity in identities.reversed() {
      let recycled = queue.recycled()
      #expect(recycled.map(ObjectIdentifier.init) == identity)
      recycled?.fill { #expect($0 == ExchangeRecord()) }
    }
    #expect(queue.recycled() == nil)
  }

  @Test("The writer is woken once from its sleep, and once when the queue is half full")
  func wakes() {
    var queue = RecordQueue(limit: 8)
    let sleeps = queue.sleep()
    #expect(sleeps)
    #expect(push(0..<1, to: &queue) == [.queuedForWake])
    let sleepsAgain = queue.sleep()
    #expect(!sleepsAgain)
    #expect(
      push(1..<8, to: &queue) == [.queued, .queued, .queuedForWake, .queued, .queued, .queued, .queued])
  }

  @Test("The writer does not sleep over a drop, a reopening or the end")
  func noSleep() {
    for prepare: (inout RecordQueue) -> Void in [
      { queue in
        _ = push(0..<3, to: &queue)
        var batch: [QueuedRecord] = []
        _ = queue.exchange(&batch)
        // Two are in the writer's hands, so this one is dropped.
        _ = push(3..<4, to: &queue)
      },
      { $0.requestReopen() }, { $0.close(by: .now()) },
    ] {
      var queue = RecordQueue(limit: 2)
      prepare(&queue)
      let sleeps = queue.sleep()
      #expect(!sleeps)
      _ = exchange(&queue)
    }
  }

  @Test("However long the queue, the writer is woken by a batch that a cache can hold")
  func batches() {
    var queue = RecordQueue(limit: 8_192)
    let pushed = push(0..<1_000, to: &queue)
    #expect(pushed.indices.filter { pushed[$0] == .queuedForWake } == [127])
    _ = exchange(&queue)
    let further = push(0..<128, to: &queue)
    #expect(further.last == .queuedForWake && further.dropLast().allSatisfy { $0 == .queued })
  }
}
