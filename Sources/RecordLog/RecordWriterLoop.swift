// The writer's thread: passes batches from the queue through the pipeline to the sink, and waits for the right event.
// Only that thread enters it.
import Clocks
import Glibc

/// The writer's thread at work.
struct RecordWriterLoop: ~Copyable {
  /// Records kept for the next batch, emptied: a megabyte at most.
  private static let recycledRecords = 1_024

  private let writer: RecordWriter
  private let sink: any RecordSink
  private var pipeline = RecordPipeline()
  private var deadline: Instant?
  private var outage: OutageMessages

  init(writer: RecordWriter, sink: any RecordSink) {
    self.writer = writer
    self.sink = sink
    outage = OutageMessages(reminderNanoseconds: Int64(writer.settings.reminderMilliseconds) * 1_000_000)
  }

  /// Runs until the writer is closed and everything is written, or its deadline has passed.
  mutating func run() {
    // Where cores are short the streams go first: at equal priority a busy log took a worker's core for 20 ms at a time.
    _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
    while true {
      handleCommands()
      if pipeline.hasWork {
        let progress = writeAll()
        if let deadline, Instant.now() >= deadline, pipeline.hasWork { break }
        wait(after: progress)
      } else if deadline != nil {
        break
      } else {
        sleep()
      }
    }
    finish()
  }

  private mutating func handleCommands() {
    writer.wake.clear()
    let command = pipeline.hasWork ? writer.queue.withLock { $0.commands() } : exchangeBatch()
    deadline = command.deadline
    if command.reopen { reopen() }
  }

  private mutating func exchangeBatch() -> RecordQueue.Command {
    var command: RecordQueue.Command?
    pipeline.exchangeBatch { [writer] batch in
      if batch.count <= Self.recycledRecords { writer.queue.withLock { $0.recycle(&batch) } }
      // Records that are freed are freed here, outside the lock.
      if batch.capacity > Self.recycledRecords { batch = [] } else { batch.removeAll(keepingCapacity: true) }
      let next = writer.queue.withLock { $0.exchange(&batch) }
      command = next
      return next.drops
    }
    return command ?? RecordQueue.Command()
  }

  // MARK: Writing

  private enum Progress {
    /// Everything in hand is written.
    case done
    /// The sink accepts nothing now.
    case blocked
    case failed
  }

  /// Encodes and writes until nothing is left or the sink accepts no more.
  private mutating func writeAll() -> Progress {
    do throws(RecordSinkError) {
      while true {
        switch pipeline.nextStep {
        case .needsBatch: return .done
        case .encode:
          pipeline.encode(instance: writer.settings.instance) { WallAnchor.now().realtimeNanoseconds }
        case .write:
          if !sink.isOpen, !open() { return .failed }
          let result = pipeline.withUnacceptedLines { [sink] lines in
            Result { () throws(RecordSinkError) in try sink.write(lines) }
          }
          let accepted = try result.get()
          if accepted == 0 { return .blocked }
          pipeline.markAccepted(accepted)
        case .flush:
          if try !flush() { return .blocked }
        }
      }
    } catch {
      pipeline.restartLine()
      report(.write, error)
      return .failed
    }
  }

  private mutating func flush() throws(RecordSinkError) -> Bool {
    do throws(RecordSinkError) {
      guard try sink.flush() else { return false }
    } catch {
      pipeline.restartLines()
      throw error
    }
    let written = pipeline.markFlushed()
    if outage.isOngoing { reportRecovery() }
    writer.written.add(written, ordering: .releasing)
    writer.queue.withLock { $0.markWritten(written) }
    return true
  }

  // MARK: Opening

  private mutating func open() -> Bool {
    do throws(RecordSinkError) {
      try sink.open()
      return true
    } catch {
      report(.open, error)
      return false
    }
  }

  /// Goes over to the file that now has the path. Where that cannot be opened the old one stays in use.
  private mutating func reopen() {
    // A line that standard output has a part of goes on there.
    guard sink.hasPath else { return }
    pipeline.restartLine()
    do throws(RecordSinkError) { try sink.open() } catch { report(.reopen, error) }
  }

  // MARK: Waiting

  private func wait(after progress: Progress) {
    let retry = writer.settings.retryMilliseconds
    switch progress {
    case .done: if deadline == nil { writer.wake.wait(milliseconds: writer.settings.tickMilliseconds) }
    case .blocked: writer.wake.wait(milliseconds: untilDeadline(retry), orWritable: sink.writability)
    case .failed: writer.wake.wait(milliseconds: untilDeadline(retry))
    }
  }

  /// No record came for a whole tick: sleeps until one comes.
  private func sleep() {
    if writer.queue.withLock({ $0.sleep() }) { writer.wake.wait(milliseconds: -1) }
  }

  private func untilDeadline(_ milliseconds: Int32) -> Int32 {
    guard let deadline else { return milliseconds }
    let left = deadline.nanoseconds(since: .now()) / 1_000_000 + 1
    return min(milliseconds, Int32(clamping: max(left, 0)))
  }

  // MARK: Ending

  private mutating func finish() {
    writer.written.add(pipeline.recordsAccepted, ordering: .releasing)
    let lost = writer.queue.withLock { $0.accepted } - writer.written.load(ordering: .acquiring)
    if lost > 0 {
      writer.dropped.add(lost, ordering: .relaxed)
      writer.log.error("lost \(lost) records: they could not be written to \(sink.name) before the end")
    }
    sink.close()
    writer.done.set()
  }

  /// Counts a failure and tells the operator, where it is time to.
  private mutating func report(_ kind: RecordWriter.FailureKind, _ error: RecordSinkError) {
    writer.failures.add(kind)
    // Somebody asked for a reopening: he is told each time, and writing goes on.
    guard kind == .reopen || outage.failed(at: .now()) else { return }
    let dropped = writer.dropped.load(ordering: .relaxed)
    writer.log.error(
      "cannot \(kind.action) the record log \(sink.name): \(error.description); trying again (records dropped so far: \(dropped))"
    )
  }

  private mutating func reportRecovery() {
    guard let nanoseconds = outage.worked(at: .now()) else { return }
    let dropped = writer.dropped.load(ordering: .relaxed)
    writer.log.info(
      "writing to the record log \(sink.name) works again, after \(nanoseconds / 1_000_000_000) s (records dropped so far: \(dropped))"
    )
  }
}
