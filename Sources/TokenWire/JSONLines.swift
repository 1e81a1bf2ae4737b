// Cutting newline-delimited JSON into lines, however the reads cut it.

/// Bytes in any split go in, lines come out (ndjson-spec 1.0.0: `\n` or `\r\n`; empty lines are ignored).
///
/// A line that lies whole inside one read is handed on where it lies; only what is unfinished is copied. Memory is bounded:
/// past the limit nothing is read any more.
struct JSONLines {
  /// The most bytes that a line may have.
  let limit: Int
  private var line: [UInt8] = []
  /// A line was longer than `limit`: nothing is read any more.
  private(set) var isOverfull = false

  /// Makes a machine that stands before a stream's first byte.
  init(limit: Int) { self.limit = limit }

  /// Reads the next bytes of the stream.
  /// - Parameter dispatch: called with each line that is not empty.
  mutating func feed<Context>(
    _ bytes: RawSpan, _ context: inout Context, dispatch: (inout Context, _ payload: RawSpan) -> Void
  ) {
    let count = bytes.byteCount
    var at = 0
    while at < count, !isOverfull {
      guard let end = bytes.firstOffset(of: .lineFeed, from: at) else { break }
      endLine(bytes.extracting(at..<end), &context, dispatch)
      at = end + 1
    }
    guard !isOverfull else { return }
    guard line.count + count - at <= limit else { return giveUp() }
    if at < count { line.append(bytes.extracting(at..<count)) }
  }

  /// The stream has ended: dispatches a last line that had no line feed, and forgets it.
  mutating func finish<Context>(_ context: inout Context, _ dispatch: (inout Context, _ payload: RawSpan) -> Void) {
    if !line.isEmpty { unsafe dispatch(&context, line.span.bytes) }
    line = []
  }

  private mutating func endLine<Context>(
    _ rest: RawSpan, _ context: inout Context, _ dispatch: (inout Context, _ payload: RawSpan) -> Void
  ) {
    guard line.count + rest.byteCount <= limit else { return giveUp() }
    guard !line.isEmpty else { return Self.dispatchLine(rest, &context, dispatch) }
    line.append(rest)
    unsafe Self.dispatchLine(line.span.bytes, &context, dispatch)
    line.clear()
  }

  private static func dispatchLine<Context>(
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
