// What has been forwarded in this turn of the loop and is still to be looked at for tokens.
// It must not hold anything back: bytes come here when they have gone.
import Clocks
import HTTPWire

/// The reads of one turn, their body bytes copied, so that no stream's forwarding waits for another's decoding.
///
/// Confined to its worker's thread. Doing all forwarding and then all decoding keeps the code of each in the cache, too.
final class Lookout {
  private struct Read {
    let exchange: Exchange
    let arrival: Arrival
    /// When the client's socket took the read's bytes; nil where it has not yet.
    let deliveredAt: Instant?
    let body: Range<Int>
  }

  /// Bytes after which a turn's reads are looked at without waiting for its end.
  private static let heldBytes = 256 * 1024

  private let reads = Held<[Read]>([])
  private let bytes = OutputBuffer(capacity: 64 * 1024)

  /// Takes a read of `exchange`, which has been forwarded.
  func keep(_ exchange: Exchange, _ arrival: Arrival, deliveredAt: Instant?, _ spans: BodySpans, of read: RawSpan) {
    let start = bytes.count
    BodyWriter.append(spans, of: read, framing: .none, to: bytes)
    reads.value.append(Read(exchange: exchange, arrival: arrival, deliveredAt: deliveredAt, body: start..<bytes.count))
    if bytes.count > Self.heldBytes { look() }
  }

  /// Has all that was kept looked at, in order. To be called before anything is asked of what it would tell.
  func look() {
    guard !reads.value.isEmpty else { return }
    bytes.withBytes { bytes in
      for read in reads.value {
        read.exchange.look(bytes.extracting(read.body), read.arrival, deliveredAt: read.deliveredAt)
      }
    }
    reads.value.removeAll(keepingCapacity: true)
    bytes.removeAll()
  }
}
