// Shares a worker's time among the request bodies that have to be inflated to be read.
import Clocks
import ContentCoding
import TokenWire
import Transport

/// The readers of one worker's request bodies. Confined to its thread.
///
/// A body that is not compressed is read as it comes, 64 KiB at a time. A few bytes of a compressed one can stand for megabytes,
/// so they are inflated in slices between which the loop serves others, and all of them together get a bounded share of the
/// worker's time. What that does not suffice for is not read; nothing is ever forwarded later for it.
final class RequestScans {
  /// Bytes that are inflated at a time: some 300 µs.
  private static let sliceBytes = 256 << 10
  /// Bytes that are inflated in a second, at most: less than a tenth of the worker's time.
  private static let bytesPerSecond = 64 << 20
  /// What is inflated at once of a body whose record is due.
  private static let lastSliceBytes = 4 << 20
  /// Bodies that are inflated at the same time, at most: each may need 16 MiB for its window.
  private static let mostInflaters = 64

  /// The most bytes that one body is inflated to.
  var bodyBudget = 0
  private var inflaters = 0
  private var waiting: [RequestReader] = []
  private var timer: Timer?
  private var left = bytesPerSecond
  private var refilledAt = Instant(nanoseconds: 0)

  /// Reads what waits, until closed.
  func begin(on loop: EventLoop) { timer = Timer(loop: loop) { [unowned self] in readWaiting() } }

  /// Lets go of the loop.
  func close() {
    timer?.close()
    timer = nil
  }

  /// A reader of a body. `end` has to follow.
  func reader(_ dialect: any Dialect.Type, _ coding: ContentCoding.Announced) -> RequestReader {
    let reader = RequestReader(dialect, coding, budget: bodyBudget)
    guard reader.inflates else { return reader }
    inflaters += 1
    if inflaters > Self.mostInflaters { reader.stop(.readLimit) }
    return reader
  }

  /// Reads bytes of a body.
  func read(_ bytes: RawSpan, by reader: RequestReader) {
    guard reader.inflates, reader.obstacle == nil else { return _ = reader.read(bytes, inflating: 0) }
    let wasWaiting = reader.isWaiting
    use(reader) { reader.read(bytes, inflating: $0) }
    guard !wasWaiting, reader.isWaiting else { return }
    waiting.append(reader)
    timer?.start(milliseconds: 1)
  }

  /// No more is read of a body: the rest of what waits of it is read now, as far as there is time.
  func end(_ reader: RequestReader) {
    guard reader.inflates else { return }
    inflaters -= 1
    if let place = waiting.firstIndex(where: { $0 === reader }) { waiting.remove(at: place) }
    var slices = Self.lastSliceBytes / Self.sliceBytes
    while reader.isWaiting, slices > 0 {
      use(reader) { reader.inflateMore($0) }
      slices -= 1
    }
  }

  private func readWaiting() {
    guard !waiting.isEmpty else { return }
    let reader = waiting.removeFirst()
    use(reader) { reader.inflateMore($0) }
    if reader.isWaiting { waiting.append(reader) }
    if !waiting.isEmpty { timer?.start(milliseconds: 1) }
  }

  /// Has a reader inflate a slice, if there is time left.
  private func use(_ reader: RequestReader, _ inflate: (Int) -> Int) {
    let now = Instant.now()
    if now.nanoseconds(since: refilledAt) >= 1_000_000_000 { (left, refilledAt) = (Self.bytesPerSecond, now) }
    guard left > 0 else { return reader.stop(.readLimit) }
    left -= inflate(Self.sliceBytes)
  }
}
