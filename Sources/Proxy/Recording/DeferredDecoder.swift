// What has been forwarded and is still to be looked at for tokens.
// It must not hold anything back: bytes come here when they have gone.
import Clocks
import HTTP
import HTTP1
import Transport

/// Reads of many exchanges, their body bytes copied, until there are enough to be looked at together.
///
/// A loop that has little to do at a time wakes for every token, and would find the code and the state of its decoding
/// gone from the cache each time. So reads wait for others, for at most 50 ms, and each exchange's are then looked at one
/// after the other. Nobody can tell: each has the instants at which it came and went. Whoever asks an exchange what its
/// reads would tell has them looked at first.
///
/// Confined to its worker's thread.
@safe
final class DeferredDecoder {
  /// An exchange's reads that are held: the first and the last of a chain, and where the exchange itself is listed.
  /// Every open stream has room for one, so it is kept small.
  struct PendingReads: BitwiseCopyable {
    fileprivate var first: UInt16
    fileprivate var last: UInt16
    fileprivate let place: UInt16
  }

  private struct Read {
    let arrival: Arrival
    /// When the client's socket took the read's bytes; nil where it has not yet.
    let deliveredAt: Instant?
    /// Its body's bytes among those held.
    let start: Int
    let end: Int
    /// The exchange's next one; -1 behind its last.
    var next = -1
  }

  /// How long a read may be held.
  private static let milliseconds: UInt64 = 50
  /// Bytes that may be held when a turn of the loop ends: some 30 tokens, enough for what decodes them to be warm, and few
  /// enough to be gone before the next token has waited for 20 µs.
  private static let maxPendingBytes = 8 * 1024
  /// Bytes that may be held while a turn lasts: what has arrived goes on before it is looked at.
  private static let maxPendingBytesInTurn = 256 * 1024
  /// Reads that may be held.
  private static let maxPendingReads = 512

  private let bytes = OutputBuffer(capacity: maxPendingBytes)
  private let reads: UnsafeMutablePointer<Read>
  /// The exchanges whose reads these are, in the order in which they came; nil where one has been looked at.
  private let exchanges: UnsafeMutablePointer<Unmanaged<Exchange>?>
  private let counts = UniqueBox(Counts())
  private var checkHandle: CheckHandle?
  private var timer: Timer?

  private struct Counts {
    var reads = 0
    var exchanges = 0
    /// Those of the exchanges that are not looked at yet.
    var waiting = 0
    /// The last read that was looked at together with others.
    var lastFlushAt = Instant(nanoseconds: 0)
    var isTimed = false
  }

  init() {
    unsafe reads = .allocate(capacity: Self.maxPendingReads)
    unsafe exchanges = .allocate(capacity: Self.maxPendingReads)
  }

  deinit {
    for place in 0..<counts.value.exchanges { unsafe exchanges[place]?.release() }
    unsafe exchanges.deallocate()
    unsafe reads.deallocate()
  }

  /// Looks at what is held when it is time to, until closed.
  func begin(on loop: EventLoop) {
    checkHandle = CheckHandle(loop: loop) { [self] in turnEnded() }
    timer = Timer(loop: loop) { [unowned self] in flush() }
  }

  /// Lets go of the loop.
  func close() {
    checkHandle?.close()
    checkHandle = nil
    timer?.close()
    timer = nil
  }

  /// Takes a read of `exchange`, which has been forwarded.
  func enqueue(_ exchange: Exchange, _ arrival: Arrival, deliveredAt: Instant?, _ ranges: BodyRanges, of read: RawSpan)
  {
    let start = bytes.count
    BodyEncoder.append(ranges, of: read, framing: .none, to: bytes)
    let index = counts.value.reads
    unsafe (reads + index).initialize(
      to: Read(arrival: arrival, deliveredAt: deliveredAt, start: start, end: bytes.count))
    counts.value.reads = index + 1
    if let last = exchange.pendingReads?.last {
      unsafe reads[Int(last)].next = index
      exchange.pendingReads?.last = UInt16(index)
    } else {
      let place = counts.value.exchanges
      unsafe (exchanges + place).initialize(to: Unmanaged.passRetained(exchange))
      exchange.pendingReads = PendingReads(first: UInt16(index), last: UInt16(index), place: UInt16(place))
      counts.value.exchanges = place + 1
      counts.value.waiting += 1
    }
    if bytes.count > Self.maxPendingBytesInTurn || index + 1 == Self.maxPendingReads { flush() }
  }

  /// Has what is held of one exchange looked at, in order. To be called before anything is asked of what it would tell.
  func flush(_ exchange: Exchange) {
    guard let chain = exchange.pendingReads else { return }
    flush(exchange, chain)
    unsafe exchanges[Int(chain.place)]?.release()
    unsafe exchanges[Int(chain.place)] = nil
    counts.value.waiting -= 1
    if counts.value.waiting == 0 { removeAll() }
  }

  /// Has all that is held looked at.
  private func flush() {
    guard counts.value.reads > 0 else { return }
    counts.value.lastFlushAt = newestAt
    for place in 0..<counts.value.exchanges {
      guard let exchange = unsafe exchanges[place]?.takeRetainedValue() else { continue }
      unsafe exchanges[place] = nil
      if let chain = exchange.pendingReads { flush(exchange, chain) }
    }
    removeAll()
  }

  private func flush(_ exchange: Exchange, _ chain: PendingReads) {
    exchange.pendingReads = nil
    bytes.withBytes { bytes in
      var index = Int(chain.first)
      while index >= 0 {
        let read = unsafe reads[index]
        exchange.decodeBody(bytes.extracting(read.start..<read.end), read.arrival, deliveredAt: read.deliveredAt)
        index = read.next
      }
    }
  }

  private func removeAll() {
    counts.value.reads = 0
    counts.value.exchanges = 0
    counts.value.waiting = 0
    bytes.removeAll()
    if counts.value.isTimed { timer?.stop() }
    counts.value.isTimed = false
  }

  private var newestAt: Instant { unsafe reads[counts.value.reads - 1].arrival.readAt }

  /// A read that comes when none has been looked at for long waits for no other: where little comes, no timer has to
  /// wake the loop for it.
  private func turnEnded() {
    guard counts.value.reads > 0 else { return }
    let age = newestAt.nanoseconds(since: counts.value.lastFlushAt)
    if age >= Int64(Self.milliseconds) * 1_000_000 || bytes.count > Self.maxPendingBytes { return flush() }
    guard !counts.value.isTimed else { return }
    counts.value.isTimed = true
    timer?.start(milliseconds: Self.milliseconds)
  }
}
