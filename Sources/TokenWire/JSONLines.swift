// Cutting newline-delimited JSON into lines, however the reads cut it.

/// Bytes in any split go in, lines come out (ndjson-spec 1.0.0: `\n` or `\r\n`; empty lines are ignored).
///
/// A line that lies whole inside one read is handed on where it lies; only what is unfinished is copied. Memory is bounded.
struct JSONLines {
  /// The most bytes that a line may have.
  let limit: Int
  private var line: BoundedText
  /// A line was longer than `limit`.
  private(set) var hasOverlong = false

  /// Makes a machine that stands before a stream's first byte.
  init(limit: Int) {
    self.limit = limit
    line = BoundedText(limit: limit)
  }

  /// Reads the next bytes of the stream.
  /// - Parameter dispatch: called with each line that is not empty.
  mutating func feed<Context>(
    _ bytes: RawSpan, _ context: inout Context, dispatch: (inout Context, _ payload: RawSpan, EventFlags) -> Void
  ) {
    let count = bytes.byteCount
    var at = 0
    while at < count {
      guard let end = bytes.firstOffset(of: .lineFeed, from: at) else { break }
      endLine(bytes.extracting(at..<end), &context, dispatch)
      at = end + 1
    }
    if at < count { line.append(bytes.extracting(at..<count)) }
  }

  /// The stream has ended: dispatches a last line that had no line feed, and forgets it.
  mutating func finish<Context>(
    _ context: inout Context, _ dispatch: (inout Context, _ payload: RawSpan, EventFlags) -> Void
  ) {
    if !line.bytes.isEmpty, !line.isLost { unsafe dispatch(&context, line.bytes.span.bytes, .unfinished) }
    line.clear()
  }

  private mutating func endLine<Context>(
    _ rest: RawSpan, _ context: inout Context, _ dispatch: (inout Context, _ payload: RawSpan, EventFlags) -> Void
  ) {
    if line.isEmpty, rest.byteCount <= limit { return Self.dispatchLine(rest, [], &context, dispatch) }
    line.append(rest)
    if line.isShortened { hasOverlong = true }
    if !line.isLost {
      unsafe Self.dispatchLine(line.bytes.span.bytes, line.isShortened ? .shortened : [], &context, dispatch)
    }
    line.clear()
  }

  private static func dispatchLine<Context>(
    _ line: RawSpan, _ flags: EventFlags, _ context: inout Context,
    _ dispatch: (inout Context, _ payload: RawSpan, EventFlags) -> Void
  ) {
    let hasReturn = line.byteCount > 0 && line[line.byteCount - 1] == .carriageReturn
    let payload = line.extracting(0..<(line.byteCount - (hasReturn ? 1 : 0)))
    if !payload.isEmpty { dispatch(&context, payload, flags) }
  }
}
