// Queues copies of forwarded bytes and decodes them in batches, so that decoding runs with warm caches.
// It must never delay forwarding: bytes come here after they were sent.
import Clocks
import HTTP1
import TokenWire
import Transport

/// Reads of many exchanges, their body bytes copied, until there are 8 KiB of them or the oldest has waited for 50 ms.
///
/// A loop that has little to do at a time wakes for every token, and would each time find the code and the data of decoding
/// gone from the processor's caches. So reads wait for others, and each exchange's are then decoded one after the other. No
/// number changes by it: each read has the instants at which it came and went. A recorder whose state is asked for has its
/// own reads decoded first.
///
/// Confined to its worker's thread.
@safe
final class DeferredDecoder {
  /// One recorder's reads that are queued: the first and the last of a chain, and where the recorder itself is listed.
  /// Every open stream has room for one, so it is kept small.
  struct PendingReads: BitwiseCopyable {
    fileprivate var first: UInt16
    fileprivate var last: UInt16
    fileprivate let index: UInt16
  }

  private struct Read {
    let arrival: Arrival
    /// When the client's socket took the read's bytes; nil where it has not yet.
    let deliveredAt: Instant?
    /// Its body's bytes among those queued.
    let start: Int
    let end: Int
    /// The recorder's next one; -1 behind its last.
    var next = -1
  }

  /// How long a read may wait.
  private static let milliseconds: UInt64 = 50
  /// Bytes that may wait when a turn of the loop ends: some 30 tokens, enough for what decodes them to be warm, and few
  /// enough to be gone before the next token has waited for 20 µs.
  private static let maxPendingBytes = 8 * 1024
  /// Bytes that may wait while a turn lasts: what has arrived is forwarded before anything is decoded.
  private static let maxPendingBytesInTurn = 256 * 1024
  /// Reads that may wait.
  private static let maxPendingReads = 512

  /// What all recorders of this thread decode with.
  let context: DecodingContext
  /// When compressed bodies are inflated.
  let turns: InflationTurns
  /// What reads the bodies of their requests.
  let scans: RequestScans
  private let bytes = OutputBuffer(capacity: maxPendingBytes)
  private let reads: UnsafeMutablePointer<Read>
  /// The recorders whose reads these are, in the order in which they came; nil where one has been decoded, or is gone.
  private let recorders: UnsafeMutablePointer<UnsafeMutablePointer<RecorderState>?>
  private let counts = UniqueBox(Counts())
  private var checkHandle: CheckHandle?
  private var timer: Timer?

  private struct Counts {
    var reads = 0
    var recorders = 0
    /// Those of the recorders that are not decoded yet.
    var waiting = 0
    /// When the newest read of the last batch came.
    var lastFlushAt = Instant(nanoseconds: 0)
    var isTimed = false
  }

  init() {
    context = DecodingContext()
    turns = InflationTurns(context)
    scans = RequestScans(turns)
    unsafe reads = .allocate(capacity: Self.maxPendingReads)
    unsafe recorders = .allocate(capacity: Self.maxPendingReads)
  }

  deinit {
    unsafe recorders.deallocate()
    unsafe reads.deallocate()
  }

  /// Decodes what waits when it is time to, until closed.
  func begin(on loop: EventLoop) {
    turns.begin(on: loop)
    checkHandle = CheckHandle(loop: loop) { [self] in turnEnded() }
    timer = Timer(loop: loop) { [unowned self] in flush() }
  }

  /// Lets go of the loop.
  func close() {
    flush()
    turns.close()
    checkHandle?.close()
    checkHandle = nil
    timer?.close()
    timer = nil
  }

  /// Queues the body bytes of a read, which has been forwarded.
  /// - Parameters:
  ///   - ranges: where they stand in `read`.
  ///   - deliveredAt: when the client's socket took them; nil where it has not yet.
  ///   - recorder: where they are decoded into. It calls `discard` before it goes.
  func enqueue(
    _ ranges: BodyRanges, of read: RawSpan, _ arrival: Arrival, deliveredAt: Instant?,
    for recorder: borrowing UniqueBox<RecorderState>
  ) {
    let start = bytes.count
    BodyEncoder.append(ranges, of: read, framing: .none, to: bytes)
    let index = counts.value.reads
    unsafe (reads + index).initialize(
      to: Read(arrival: arrival, deliveredAt: deliveredAt, start: start, end: bytes.count))
    counts.value.reads = index + 1
    if let last = recorder.value.pendingReads?.last {
      unsafe reads[Int(last)].next = index
      recorder.value.pendingReads?.last = UInt16(index)
    } else {
      let place = counts.value.recorders
      unsafe (recorders + place).initialize(to: recorder.address)
      recorder.value.pendingReads = PendingReads(first: UInt16(index), last: UInt16(index), index: UInt16(place))
      counts.value.recorders = place + 1
      counts.value.waiting += 1
    }
    if bytes.count > Self.maxPendingBytesInTurn || index + 1 == Self.maxPendingReads { flush() }
  }

  /// Reads that wait.
  var queuedReads: Int { counts.value.reads }

  /// Decodes what waits of one recorder, in order.
  @inline(__always)
  func flush(_ recorder: borrowing UniqueBox<RecorderState>) {
    if let pending = recorder.value.pendingReads { flush(recorder, pending) }
  }

  private func flush(_ recorder: borrowing UniqueBox<RecorderState>, _ pending: PendingReads) {
    unsafe decode(&recorder.address.pointee, pending)
    remove(pending)
  }

  /// Drops what waits of a recorder, which is about to go.
  func discard(_ recorder: borrowing UniqueBox<RecorderState>) {
    guard let pending = recorder.value.pendingReads else { return }
    recorder.value.pendingReads = nil
    remove(pending)
  }

  private func remove(_ pending: PendingReads) {
    unsafe recorders[Int(pending.index)] = nil
    counts.value.waiting -= 1
    if counts.value.waiting == 0 { removeAll() }
  }

  /// Decodes everything that waits.
  private func flush() {
    guard counts.value.reads > 0 else { return }
    counts.value.lastFlushAt = newestAt
    for place in 0..<counts.value.recorders {
      guard let recorder = unsafe recorders[place] else { continue }
      unsafe recorders[place] = nil
      if let pending = unsafe recorder.pointee.pendingReads { unsafe decode(&recorder.pointee, pending) }
    }
    removeAll()
  }

  private func decode(_ recorder: inout RecorderState, _ pending: PendingReads) {
    recorder.pendingReads = nil
    bytes.withBytes { bytes in
      var index = Int(pending.first)
      while index >= 0 {
        let read = unsafe reads[index]
        recorder.decode(
          bytes.extracting(read.start..<read.end), read.arrival, deliveredAt: read.deliveredAt, context)
        index = read.next
      }
    }
  }

  private func removeAll() {
    counts.value.reads = 0
    counts.value.recorders = 0
    counts.value.waiting = 0
    bytes.removeAll()
    if counts.value.isTimed { timer?.stop() }
    counts.value.isTimed = false
  }

  private var newestAt: Instant { unsafe reads[counts.value.reads - 1].arrival.readAt }

  /// A read that comes when nothing has been decoded for long waits for no other: where little comes, no timer has to wake
  /// the loop for it.
  private func turnEnded() {
    guard counts.value.reads > 0 else { return }
    let age = newestAt.nanoseconds(since: counts.value.lastFlushAt)
    if age >= Int64(Self.milliseconds) * 1_000_000 || bytes.count > Self.maxPendingBytes { return flush() }
    guard !counts.value.isTimed else { return }
    counts.value.isTimed = true
    timer?.start(milliseconds: Self.milliseconds)
  }
}
