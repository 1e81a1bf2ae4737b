// Records on their way from the queue to a sink: encoded in batches, written from wherever the sink stopped, counted.

/// What the writer's thread has in hand. A value without I/O: the thread passes in batches and what the sink did.
struct RecordPipeline: ~Copyable {
  /// Lines gathered for one write.
  private static let batchBytes = 256 * 1_024

  private var encoder = RecordEncoder()
  private var batch: [QueuedRecord] = []
  /// Records of `batch` that are encoded.
  private var encoded = 0
  /// Records among the encoder's lines; a notice of missing records may be there too.
  private var recordsInLines = 0
  /// Bytes of the encoder's lines that the sink has accepted.
  private var accepted = 0
  /// Whether the sink has accepted lines that it has not flushed.
  private var isUnflushed = false
  /// Records dropped after `batch`, of which the log has no notice yet.
  private var unreportedDrops = 0

  /// What is to be done next.
  enum Step: Equatable {
    /// Everything is written: `exchangeBatch`.
    case needsBatch
    /// `encode`.
    case encode
    /// Write `unacceptedLines`.
    case write
    /// Flush the sink, then `markFlushed`.
    case flush
  }

  var nextStep: Step {
    if accepted < encoder.count { return .write }
    if isUnflushed { return .flush }
    return encoded < batch.count || unreportedDrops > 0 ? .encode : .needsBatch
  }

  /// Whether anything is in hand that is not written.
  var hasWork: Bool { nextStep != .needsBatch }

  /// Exchanges the batch, whose records are all written, for the next one.
  /// - Parameter next: given an array of emptied records, and returns the next batch in it with the number of records
  ///   that were dropped after it.
  mutating func exchangeBatch(_ next: (inout [QueuedRecord]) -> Int) {
    unreportedDrops = next(&batch)
    encoded = 0
  }

  /// Encodes as many records as make a write, and after the last one the notice of records that are missing.
  /// - Parameter noticeTime: the notice's `ts`, nanoseconds since 1970; called only where there is one.
  mutating func encode(instance: String, noticeTime: () -> Int64) {
    encoder.removeAll(keeping: 2 * Self.batchBytes)
    accepted = 0
    recordsInLines = 0
    while encoded < batch.count, encoder.count < Self.batchBytes {
      batch[encoded].encode(to: &encoder)
      encoded += 1
      recordsInLines += 1
    }
    if encoded == batch.count, unreportedDrops > 0 {
      encoder.append(dropped: unreportedDrops, realtimeNanoseconds: noticeTime(), instance: instance)
      unreportedDrops = 0
    }
  }

  /// Passes on the lines that the sink has not accepted; the first may lack its beginning, which was accepted.
  borrowing func withUnacceptedLines<Result>(_ body: (RawSpan) -> Result) -> Result {
    encoder.withLines { lines in body(lines.extracting(droppingFirst: accepted)) }
  }

  /// The sink has accepted so many more bytes.
  mutating func markAccepted(_ bytes: Int) {
    accepted += bytes
    isUnflushed = accepted > 0
  }

  /// The sink has flushed all lines.
  /// - Returns: how many records are written by that.
  mutating func markFlushed() -> Int {
    isUnflushed = false
    defer { recordsInLines = 0 }
    return recordsInLines
  }

  /// Goes back to the start of the line that was accepted in part: it is written again, whole.
  mutating func restartLine() { accepted = linesBefore(accepted).end }

  /// Goes back to the start of the batch's lines: the sink lost what it held.
  mutating func restartLines() {
    accepted = 0
    isUnflushed = false
  }

  /// Records whose lines the sink has accepted whole, of those not yet counted as written.
  var recordsAccepted: Int { min(linesBefore(accepted).count, recordsInLines) }

  /// The whole lines before `place`: how many, and where the last one ends.
  private func linesBefore(_ place: Int) -> (count: Int, end: Int) {
    encoder.withLines { lines in
      var (count, end) = (0, 0)
      while let newline = lines.newline(from: end), newline < place {
        count += 1
        end = newline + 1
      }
      return (count, end)
    }
  }
}
