// Cutting newline-delimited JSON into lines, whatever the reads' edges are.
// It must not know what the lines say. Memory is bounded: past the limit it gives up for good.

/// A pure machine: bytes in any split go in, lines come out (ndjson-spec 1.0.0: `\n` or `\r\n`; empty lines are ignored).
///
/// A line that lies whole inside one read is handed on where it lies; only what is unfinished is copied.
struct JSONLines {
  /// The most bytes that a line may have.
  let limit: Int
  private var line: [UInt8] = []
  /// A line was longer than `limit`: nothing is looked at any more.
  private(set) var isOverfull = false

  /// Makes a machine that stands before a stream's first byte.
  init(limit: Int) { self.limit = limit }

  /// Takes the next bytes of the stream.
  /// - Parameters:
  ///   - matchCached: asked where a line begins: how many bytes are one whole line (its end included) that has been dealt
  ///     with; 0 where it is to go the usual way.
  ///   - dispatch: given each line that is not empty.
  mutating func feed<Context>(
    _ bytes: RawSpan, _ context: inout Context, matchCached: (inout Context, RawSpan) -> Int,
    dispatch: (inout Context, _ payload: RawSpan) -> Void
  ) {
    let count = bytes.byteCount
    var at = 0
    while at < count, !isOverfull {
      if line.isEmpty {
        let taken = matchCached(&context, bytes.extracting(at..<min(count, at + limit)))
        at += taken
        if taken > 0 { continue }
      }
      guard let end = bytes.firstOffset(of: .lineFeed, from: at) else { break }
      takeLine(bytes.extracting(at..<end), &context, dispatch)
      at = end + 1
    }
    guard !isOverfull else { return }
    guard line.count + count - at <= limit else { return giveUp() }
    if at < count { line.append(bytes.extracting(at..<count)) }
  }

  /// The stream has ended: gives a last line that had no line feed, and forgets it.
  mutating func finish<Context>(_ context: inout Context, _ pending: (inout Context, _ payload: RawSpan) -> Void) {
    if !line.isEmpty { unsafe pending(&context, line.span.bytes) }
    line = []
  }

  private mutating func takeLine<Context>(
    _ rest: RawSpan, _ context: inout Context, _ dispatch: (inout Context, _ payload: RawSpan) -> Void
  ) {
    guard line.count + rest.byteCount <= limit else { return giveUp() }
    guard !line.isEmpty else { return Self.give(rest, &context, dispatch) }
    line.append(rest)
    unsafe Self.give(line.span.bytes, &context, dispatch)
    line.clear()
  }

  private static func give<Context>(
    _ line: RawSpan, _ context: inout Context, _ dispatch: (inout Context, _ payload: RawSpan) -> Void
  ) {
    let hasReturn = line.byteCount > 0 && line[line.byteCount - 1] == .carriageReturn
    let payload = line.extracting(0..<(line.byteCount - (hasReturn ? 1 : 0)))
    if !payload.isEmpty { dispatch(&context, payload) }
  }

  private mutating func giveUp() {
    line = []
    isOverfull = true
  }
}
