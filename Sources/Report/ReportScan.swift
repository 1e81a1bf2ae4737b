// Whole logs read by a few threads, each of which counts its own part.
import Dispatch
import RecordLog
import Synchronization

/// The logs of one report, opened and ready to be read.
public struct ReportScan: Sendable {
  /// Bytes in all files together, compressed ones as they are; nil where one of them is a pipe.
  public let byteCount: Int?
  private let readers: [RecordReader]
  /// What one thread reads at a time: a part of a file, or a compressed file.
  fileprivate let pieces: [(reader: RecordReader, range: Range<Int>?)]

  /// Opens every log, so that one that is not there fails before anything is read.
  /// - Parameter pieceBytes: what a thread reads before it gets its next piece: so much that starting costs nothing, so
  ///   little that no thread is idle at the end.
  public init(paths: [String], pieceBytes: Int = 16 << 20) throws(RecordReadError) {
    var readers: [RecordReader] = []
    for path in paths { readers.append(try RecordReader(path: path)) }
    self.readers = readers
    let sizes = readers.map(\.storedByteCount)
    byteCount = sizes.contains(nil) ? nil : sizes.compactMap { $0 }.reduce(0, +)
    pieces = readers.flatMap { reader -> [(reader: RecordReader, range: Range<Int>?)] in
      if reader.isCompressed { return [(reader, nil)] }
      return stride(from: 0, to: reader.byteCount ?? 0, by: pieceBytes).map { start in
        (reader, start..<min(start + pieceBytes, reader.byteCount ?? 0))
      }
    }
  }

  /// Reads everything and counts it into `empty`.
  /// - Parameters:
  ///   - threads: how many may read at once.
  ///   - didRead: called with the size of each block that has been counted, by any thread.
  public func run(
    into empty: ReportTally, threads: Int, didRead: @Sendable (Int) -> Void = { _ in }
  ) throws(RecordReadError) -> ReportTally {
    let shared = SharedScan()
    DispatchQueue.concurrentPerform(iterations: max(1, min(threads, pieces.count))) { _ in
      var part = ScanPart(of: self, into: empty)
      while part.countNextPiece(shared, didRead: didRead) {}
      shared.add(part.tally)
    }
    if let failure = shared.failure { throw failure }
    var counter = ReportCounter(shared.tally ?? empty)
    for reader in readers where reader.storedByteCount == nil {
      counter.countUnreadable(try reader.forEachLine(didRead: didRead) { counter.count($0) })
    }
    return counter.tally
  }
}

/// What one thread counts: one piece after another, of those that no other thread has.
struct ScanPart {
  private let scan: ReportScan
  private var counter: ReportCounter

  var tally: ReportTally { counter.tally }

  init(of scan: ReportScan, into empty: ReportTally) {
    self.scan = scan
    counter = ReportCounter(empty)
  }

  /// - Returns: false where no piece is left, or reading has failed.
  mutating func countNextPiece(_ shared: SharedScan, didRead: (Int) -> Void = { _ in }) -> Bool {
    guard let piece = shared.nextPiece(of: scan.pieces.count).map({ scan.pieces[$0] }) else { return false }
    do throws(RecordReadError) {
      let skipped =
        if let range = piece.range {
          try piece.reader.forEachLine(startingIn: range, didRead: didRead) { counter.count($0) }
        } else {
          try piece.reader.forEachLine(didRead: didRead) { counter.count($0) }
        }
      counter.countUnreadable(skipped)
    } catch {
      shared.fail(error)
    }
    return true
  }
}

/// What the threads of a scan share: which piece is next, and what has been counted.
final class SharedScan: Sendable {
  private let next = Mutex(0)
  private let sum = Mutex<ReportTally?>(nil)
  private let firstFailure = Mutex<RecordReadError?>(nil)

  var tally: ReportTally? { sum.withLock { $0 } }
  var failure: RecordReadError? { firstFailure.withLock { $0 } }

  /// The number of a piece that no thread has; nil where there is none left, or reading has failed.
  func nextPiece(of count: Int) -> Int? {
    guard failure == nil else { return nil }
    return next.withLock { next in
      defer { next += 1 }
      return next < count ? next : nil
    }
  }

  /// Only the first failure is kept.
  func fail(_ error: RecordReadError) { firstFailure.withLock { $0 = $0 ?? error } }

  func add(_ part: ReportTally) {
    sum.withLock { sum in
      if sum == nil { sum = part } else { sum?.merge(part) }
    }
  }
}
