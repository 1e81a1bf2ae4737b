// The readers of one worker's request bodies.
import Clocks
import ContentCoding
import TokenWire

/// The readers of one worker's request bodies. Confined to its thread.
///
/// A body that is not compressed is read as it comes, 64 KiB at a time. A compressed one is inflated in the turns that
/// `InflationTurns` gives it. Nothing is ever forwarded later for it.
final class RequestScans {
  /// Bodies that are inflated at the same time, at most: each may need 16 MiB for its window.
  private static let mostInflaters = 64

  /// The most bytes that one body is inflated to.
  var bodyBudget = 0
  private let turns: InflationTurns
  private var inflaters = 0

  init(_ turns: InflationTurns) { self.turns = turns }

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
    let began = Instant.now()
    turns.spend(reader.read(bytes, inflating: turns.allowance), since: began)
    if !wasWaiting, reader.isWaiting { turns.add(reader) }
  }

  /// No more is read of a body, whatever waits of it.
  func end(_ reader: RequestReader) {
    guard reader.inflates else { return }
    inflaters -= 1
    turns.remove(reader)
  }
}
