// Inflates one response's body beside its forwarding, in slices, and knows when each of its bytes arrived.
import Clocks
import ContentCoding

/// The inflation of one response. Confined to its worker's thread.
///
/// What comes out of a read has the time at which that read arrived, also where it is inflated later.
@safe
final class ResponseInflation {
  /// Compressed bytes that may wait.
  private static let mostWaiting = 4 << 20
  /// What more than this many bytes come of, in all, is not read on.
  private static let mostBytes = 256 << 20
  /// From `leastBytes` on, no more than `mostRatio` bytes may come of one: no text is that even.
  private static let mostRatio = 256
  private static let leastBytes = 1 << 20

  private struct Piece {
    /// Where it ends in `waiting`.
    var end: Int
    let arrivedAt: Instant
  }

  private let inflater: LayeredInflater
  private let turns: InflationTurns
  private let state: UnsafeMutablePointer<RecorderState>
  private var waiting: [UInt8] = []
  private var start = 0
  private var pieces: [Piece] = []
  private var received = 0
  private var produced = 0
  private var memory = 0
  /// Why it stopped; nil as long as it goes on.
  private(set) var problem: String?

  /// - Parameter state: whose response it is; it outlives this.
  /// - Returns: nil where there is no memory for it.
  init?(_ codings: [ContentCoding], _ turns: InflationTurns, for state: UnsafeMutablePointer<RecorderState>) {
    guard let inflater = LayeredInflater(codings) else { return nil }
    self.inflater = inflater
    self.turns = turns
    unsafe self.state = state
    noteMemory()
  }

  deinit { _ = turns.changeMemory(by: -memory) }

  /// Whether bytes wait.
  var isWaiting: Bool { problem == nil && !pieces.isEmpty }

  /// Inflates the next bytes, which arrived at `arrivedAt`, or keeps them for its next turn.
  func inflate(_ bytes: RawSpan, arrivedAt: Instant, _ sink: (RawSpan) -> Void) {
    guard problem == nil else { return }
    received += bytes.byteCount
    guard !isWaiting else { return wait(bytes, arrivedAt) }
    let consumed = inflate(bytes, sink)
    guard problem == nil, consumed < bytes.byteCount || inflater.isPaused else { return }
    wait(bytes.extracting(consumed..<bytes.byteCount), arrivedAt)
    if problem == nil { unsafe turns.add(state) }
  }

  /// Inflates a slice of what waits.
  /// - Parameter sink: gets what comes out, and when it arrived.
  func inflateMore(_ sink: (RawSpan, Instant) -> Void) {
    guard let piece = pieces.first, problem == nil else { return }
    let bytes = waiting
    let before = produced
    let consumed = unsafe inflate(bytes.span.bytes.extracting(start..<piece.end)) { sink($0, piece.arrivedAt) }
    start += consumed
    // It would be tried for ever.
    if consumed == 0, produced == before, !inflater.isPaused, start < piece.end { stop("damaged") }
    if problem == nil, start == piece.end, !inflater.isPaused { pieces.removeFirst() }
    if pieces.isEmpty || problem != nil { (waiting, start, pieces) = ([], 0, []) }
  }

  /// Inflates nothing more.
  func stop(_ reason: String) {
    if problem == nil { problem = reason }
    (waiting, start, pieces) = ([], 0, [])
  }

  private func wait(_ bytes: RawSpan, _ arrivedAt: Instant) {
    guard waiting.count - start + bytes.byteCount <= Self.mostWaiting else {
      return stop("too much to inflate in time")
    }
    unsafe bytes.withUnsafeBytes { unsafe waiting.append(contentsOf: $0) }
    if let last = pieces.indices.last, pieces[last].arrivedAt == arrivedAt {
      pieces[last].end = waiting.count
    } else {
      pieces.append(Piece(end: waiting.count, arrivedAt: arrivedAt))
    }
  }

  private func inflate(_ bytes: RawSpan, _ sink: (RawSpan) -> Void) -> Int {
    let began = Instant.now()
    var count = 0
    var consumed = bytes.byteCount
    do throws(InflateError) {
      consumed = try inflater.inflate(bytes, atMost: turns.allowance) {
        count += $0.byteCount
        sink($0)
      }
    } catch {
      stop(error == .damaged ? "damaged" : "its window is too large")
    }
    turns.spend(count, since: began)
    produced += count
    noteMemory()
    if produced > Self.mostBytes || produced > max(Self.leastBytes, received * Self.mostRatio) {
      stop("it inflates to more than is read")
    }
    return consumed
  }

  private func noteMemory() {
    let now = inflater.memory
    if !turns.changeMemory(by: now - memory) { stop("no memory is left for it") }
    memory = now
  }
}
