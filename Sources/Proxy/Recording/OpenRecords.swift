// The records of the exchanges that are open on all workers, for the case that the process is killed.
import Clocks
import Logging
import RecordLog
import Synchronization

/// The workers' answers to the question which exchanges are open. From any thread.
final class OpenRecords: Sendable {
  private struct WorkerReport {
    /// The question that it answers; after its worker has ended, every one.
    var round = 0
    var records: [OpenRecord] = []
  }
  private let answers: Mutex<[WorkerReport]>
  private let round = Atomic<Int>(0)
  /// Set by each answer; nil where the system has no descriptor for it.
  private let answered = Wakeup()

  init(workers: Int) { answers = Mutex(Array(repeating: WorkerReport(), count: workers)) }

  /// A worker's answer.
  func answer(_ records: [OpenRecord], round: Int, worker: Int) {
    answers.withLock { $0[worker] = WorkerReport(round: round, records: records) }
    answered?.set()
  }

  /// A worker has ended: none is open there.
  func ended(worker: Int) { answer([], round: .max, worker: worker) }

  /// Asks the workers and waits for their answers; of one that does not answer in time, its earlier one counts.
  /// - Parameters:
  ///   - milliseconds: how long to wait for all of them, at most.
  ///   - ask: asks all workers, with the number of the question.
  func collect(milliseconds: Int32, ask: (_ round: Int) -> Void) -> [OpenRecord] {
    let round = round.add(1, ordering: .relaxed).newValue
    ask(round)
    let deadline = Instant.now().advanced(byNanoseconds: Int64(milliseconds) * 1_000_000)
    while answers.withLock({ answers in answers.contains { $0.round < round } }), let answered {
      let left = deadline.nanoseconds(since: .now()) / 1_000_000
      guard left > 0 else { break }
      answered.wait(milliseconds: Int32(clamping: left))
      answered.clear()
    }
    return answers.withLock { $0.flatMap(\.records) }
  }
}
