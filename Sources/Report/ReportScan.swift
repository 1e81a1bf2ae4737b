// Whole logs read through by a few threads, each counting its own part.
// It must not know what is counted nor how it is shown.
import Dispatch
import RecordLog
import Synchronization

/// The logs of one report, opened and ready to be read.
public struct ReportScan: Sendable {
  /// Bytes in all files together; nil where one of them is a pipe.
  public let byteCount: Int?
  private let readers: [RecordReader]
  private let pieces: [(reader: RecordReader, range: Range<Int>)]

  /// Opens every log, so that one which is not there is told before anything is read.
  /// - Parameter pieceBytes: what one thread takes at a time: enough that starting costs nothing, little enough that
  ///   none idles at the end.
  public init(paths: [String], pieceBytes: Int = 16 << 20) throws(RecordReadError) {
    var readers: [RecordReader] = []
    for path in paths { readers.append(try RecordReader(path: path)) }
    self.readers = readers
    let sizes = readers.map(\.byteCount)
    byteCount = sizes.contains(nil) ? nil : sizes.compactMap { $0 }.reduce(0, +)
    pieces = readers.flatMap { reader in
      stride(from: 0, to: reader.byteCount ?? 0, by: pieceBytes).map { start in
        (reader, start..<min(start + pieceBytes, reader.byteCount ?? 0))
      }
    }
  }

  /// Reads everything and counts it into `empty`.
  /// - Parameters:
  ///   - threads: how many may read at once.
  ///   - didRead: told the size of each block that has been counted, by any thread.
  public func run(
    into empty: ReportTally, threads: Int, didRead: @Sendable (Int) -> Void = { _ in }
  ) throws(RecordReadError) -> ReportTally {
    let shared = SharedScan()
    DispatchQueue.concurrentPerform(iterations: max(1, min(threads, pieces.count))) { _ in
      var counter = ReportCounter(empty)
      while let piece = shared.claim(of: pieces.count).map({ pieces[$0] }) {
        shared.noting { () throws(RecordReadError) in
          counter.skip(
            lines: try piece.reader.forEachLine(startingIn: piece.range, didRead: didRead) { counter.take($0) })
        }
      }
      shared.add(counter.tally)
    }
    if let failure = shared.failure { throw failure }
    var counter = ReportCounter(shared.tally ?? empty)
    for reader in readers where reader.byteCount == nil {
      counter.skip(lines: try reader.forEachLine(didRead: didRead) { counter.take($0) })
    }
    return counter.tally
  }
}

/// What the threads of a scan share: which piece is next, and what has been counted.
private final class SharedScan: Sendable {
  private let next = Mutex(0)
  private let sum = Mutex<ReportTally?>(nil)
  private let firstFailure = Mutex<RecordReadError?>(nil)

  var tally: ReportTally? { sum.withLock { $0 } }
  var failure: RecordReadError? { firstFailure.withLock { $0 } }

  /// The number of a piece that nobody has read; nil where there is none left, or reading has failed.
  func claim(of count: Int) -> Int? {
    guard failure == nil else { return nil }
    return next.withLock { next in
      defer { next += 1 }
      return next < count ? next : nil
    }
  }

  func noting(_ read: () throws(RecordReadError) -> Void) {
    do { try read() } catch { firstFailure.withLock { $0 = $0 ?? error } }
  }

  func add(_ part: ReportTally) {
    sum.withLock { sum in
      if sum == nil { sum = part } else { sum?.merge(part) }
    }
  }
}
