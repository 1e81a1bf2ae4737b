// What the log's thread does: take, encode, write, and wait for the right thing.
// It must not be entered by any other thread.
import Clocks
import Glibc
import Measurement

/// The writer's thread at work.
struct RecordWriterLoop: ~Copyable {
  /// Lines gathered for one write.
  private static let batchBytes = 256 * 1_024
  /// Records that are kept for the next batch, blank.
  private static let keptRecords = 1_024

  private let writer: RecordWriter
  private var sink: RecordWriterSink
  private var encoder = RecordEncoder()
  private var batch: [QueuedRecord] = []
  /// Records of `batch` that are encoded.
  private var encoded = 0
  /// Records among the lines in `encoder`, which has the line about missing ones too.
  private var inLines = 0
  /// Bytes of the encoder's lines that are written.
  private var sent = 0
  /// Records refused after `batch`, which the log has not said yet.
  private var drops = 0
  private var deadline: Instant?
  private var saidAt: Instant?

  /// Runs until the writer is closed.
  static func run(for writer: RecordWriter, descriptor: Int32) {
    // Where cores are short the streams go first: at equal priority a busy log took the worker's core for 20 ms at a time.
    _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
    var loop = RecordWriterLoop(writer, descriptor)
    loop.run()
  }

  private init(_ writer: RecordWriter, _ descriptor: Int32) {
    self.writer = writer
    sink = RecordWriterSink(path: writer.settings.path, adopting: descriptor)
  }

  private mutating func run() {
    while true {
      takeCommands()
      if hasWork {
        let progress = pump()
        if let deadline, Instant.now() >= deadline, hasWork { break }
        wait(after: progress)
      } else if deadline != nil {
        break
      } else {
        rest()
      }
    }
    finish()
  }

  private var hasWork: Bool { sent < encoder.count || encoded < batch.count || drops > 0 }

  private mutating func takeCommands() {
    writer.wake.clear()
    let order: RecordQueue.Command
    if hasWork {
      order = writer.queue.withLock { $0.commands() }
    } else {
      order = takeBatch()
    }
    deadline = order.deadline
    if order.reopen { reopen() }
  }

  /// Exchanges the batch, all of which is encoded, for the next one.
  private mutating func takeBatch() -> RecordQueue.Command {
    var batch: [QueuedRecord] = []
    swap(&batch, &self.batch)
    if batch.count <= Self.keptRecords { writer.queue.withLock { $0.giveBack(&batch) } }
    if batch.capacity > Self.keptRecords { batch = [] } else { batch.removeAll(keepingCapacity: true) }
    let order = writer.queue.withLock { $0.take(into: &batch) }
    swap(&batch, &self.batch)
    encoded = 0
    drops = order.drops
    return order
  }

  // MARK: Writing

  private enum Progress {
    /// All that was in hand is written.
    case done
    case blocked
    case failed
  }

  /// Encodes and writes until nothing is left or the sink takes no more.
  private mutating func pump() -> Progress {
    while hasWork {
      if sent == encoder.count { encodeSome() }
      if sink.descriptor < 0, !open() { return .failed }
      switch writeSome() {
      case .wrote(let count):
        sent += count
        if sent == encoder.count { markWritten() }
      case .blocked: return .blocked
      case .failed(let error):
        rewind()
        complain(.write, error)
        return .failed
      }
    }
    return .done
  }

  private mutating func writeSome() -> RecordWriterSink.Outcome {
    if sink.endsWithinLine {
      let outcome = sink.endTornLine()
      guard case .wrote = outcome else { return outcome }
      return .wrote(0)
    }
    return encoder.withLines { lines in sink.write(lines.extracting(droppingFirst: sent)) }
  }

  private mutating func encodeSome() {
    encoder.removeAll(keeping: 2 * Self.batchBytes)
    sent = 0
    inLines = 0
    while encoded < batch.count, encoder.count < Self.batchBytes {
      batch[encoded].encode(to: &encoder)
      encoded += 1
      inLines += 1
    }
    if encoded == batch.count, drops > 0 {
      encoder.append(
        dropped: drops, realtimeNanoseconds: WallAnchor.now().realtimeNanoseconds, instance: writer.settings.instance)
      drops = 0
    }
  }

  /// The encoder's lines are all written.
  private mutating func markWritten() {
    writer.written.add(inLines, ordering: .releasing)
    let settled = inLines
    inLines = 0
    writer.queue.withLock { $0.markWritten(settled) }
  }

  /// Goes back to the start of the line that was cut, which is then written again, whole, after a newline.
  private mutating func rewind() {
    let (start, _) = lines(before: sent)
    if start < sent { sink.leaveLineTorn() }
    sent = start
  }

  /// Where the line begins that `end` lies in, and how many lines come before it.
  private func lines(before end: Int) -> (start: Int, count: Int) {
    encoder.withLines { lines in
      var (start, count) = (0, 0)
      for place in 0..<end where unsafe lines.unsafeLoad(fromByteOffset: place, as: UInt8.self) == UInt8(ascii: "\n") {
        start = place + 1
        count += 1
      }
      return (start, count)
    }
  }

  // MARK: Opening

  private mutating func open() -> Bool {
    let failure = sink.open()
    if failure == 0 { return true }
    complain(.open, failure)
    return false
  }

  /// Goes over to a new file. Where that cannot be opened the old one is written on.
  private mutating func reopen() {
    rewind()
    let failure = sink.open()
    if failure != 0 { complain(.reopen, failure) }
  }

  // MARK: Waiting

  private func wait(after progress: Progress) {
    switch progress {
    case .done: if deadline == nil { writer.wake.wait(milliseconds: writer.settings.tickMilliseconds) }
    case .blocked:
      writer.wake.wait(milliseconds: bounded(writer.settings.retryMilliseconds), orWritable: sink.descriptor)
    case .failed: writer.wake.wait(milliseconds: bounded(writer.settings.retryMilliseconds))
    }
  }

  /// No record came for a whole tick: sleeps until one does.
  private func rest() {
    if writer.queue.withLock({ $0.sleep() }) { writer.wake.wait(milliseconds: -1) }
  }

  private func bounded(_ milliseconds: Int32) -> Int32 {
    guard let deadline else { return milliseconds }
    let left = deadline.nanoseconds(since: .now()) / 1_000_000 + 1
    return min(milliseconds, Int32(clamping: max(left, 0)))
  }

  // MARK: Ending

  private mutating func finish() {
    if sent < encoder.count {
      let (_, whole) = lines(before: sent)
      writer.written.add(min(whole, inLines), ordering: .releasing)
    }
    let lost = writer.queue.withLock { $0.accepted } - writer.written.load(ordering: .acquiring)
    if lost > 0 {
      writer.dropped.add(lost, ordering: .relaxed)
      writer.log.error(
        "\(lost) records could not be written to \(writer.settings.path) before the proxy stopped; they are lost")
    }
    writer.done.set()
  }

  private mutating func complain(_ failure: RecordWriter.FailureKind, _ error: Int32) {
    writer.troubles.add(failure)
    let now = Instant.now()
    let silence = Int64(writer.settings.saysEachMilliseconds) * 1_000_000
    if let saidAt, now.nanoseconds(since: saidAt) < silence { return }
    saidAt = now
    let dropped = writer.dropped.load(ordering: .relaxed)
    let attempt = failure == .write ? "write to" : failure.rawValue
    writer.log.error(
      "cannot \(attempt) the record log \(writer.settings.path): \(RecordWriter.message(error)); will try again (\(dropped) records dropped so far)"
    )
  }
}
