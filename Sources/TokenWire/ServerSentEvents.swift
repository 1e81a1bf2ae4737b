// Cutting a `text/event-stream` into events by the WHATWG rules (HTML §9.2.5 and 9.2.6), however the reads cut it.

/// Bytes in any split go in, payloads of whole events come out.
///
/// An event that lies whole inside one read is handed on where it lies; only what is unfinished is copied. Memory is
/// bounded: past the limit nothing is read any more.
struct ServerSentEvents {
  /// The most bytes that a line or an event's data may have.
  let limit: Int
  /// A line that has not ended yet.
  private var line: [UInt8] = []
  /// Data of the event's earlier lines, joined by line feeds; empty while the read holds the only one.
  private var data: [UInt8] = []
  private var name: [UInt8] = []
  private var hasData = false
  private var swallowsLineFeed = false
  private var isFirstLine = true
  /// An event or a line was longer than `limit`: nothing is read any more.
  private(set) var isOverfull = false

  /// Makes a machine that stands before a stream's first byte.
  init(limit: Int) { self.limit = limit }

  /// Reads the next bytes of the stream.
  /// - Parameter dispatch: called with each event's name and payload.
  mutating func feed<Context>(
    _ bytes: RawSpan, _ context: inout Context,
    dispatch: (inout Context, _ name: RawSpan, _ payload: RawSpan) -> Void
  ) {
    var read = Read(count: bytes.byteCount)
    while read.at < read.count, !isOverfull {
      if swallowsLineFeed {
        swallowsLineFeed = false
        if bytes[read.at] == .lineFeed {
          read.at += 1
          continue
        }
      }
      if isBetweenEvents, let event = read.wholeEvent(bytes, limit: limit) {
        isFirstLine = false
        read.at = event.end
        dispatch(&context, RawSpan(), bytes.extracting(event.payload))
        continue
      }
      guard let end = read.lineEnd(bytes) else { break }
      endLine(bytes, read.at..<end, &read, &context, dispatch)
      // A CR ends its line at once; the LF that may follow belongs to it, in this read or the next.
      swallowsLineFeed = bytes[end] == .carriageReturn
      read.at = end + 1
    }
    if read.at < read.count || read.dataInRead != nil { keepUnfinished(bytes, &read) }
  }

  /// The stream has ended: dispatches what stood in the last event without its blank line, and forgets it.
  ///
  /// By the rules such an event is discarded; a meter may still look there for a terminator or a usage.
  mutating func finish<Context>(
    _ context: inout Context, _ dispatch: (inout Context, _ name: RawSpan, _ payload: RawSpan) -> Void
  ) {
    if !line.isEmpty {
      let last = line
      line = []
      var read = Read(count: 0)
      unsafe readField(last.span.bytes, at: nil, RawSpan(), &read)
    }
    if hasData { unsafe dispatch(&context, name.span.bytes, data.span.bytes) }
    if !isBetweenEvents { forget() }
  }

  /// Nothing of an event, nor of a line, has been seen since the last event.
  private var isBetweenEvents: Bool { !hasData && line.isEmpty && name.isEmpty }

  /// A line that ends in `bytes`: all of it, or the rest of one that began in earlier reads.
  private mutating func endLine<Context>(
    _ bytes: RawSpan, _ range: Range<Int>, _ read: inout Read, _ context: inout Context,
    _ dispatch: (inout Context, _ name: RawSpan, _ payload: RawSpan) -> Void
  ) {
    guard line.count + range.count <= limit else { return giveUp() }
    var isBlank: Bool
    if line.isEmpty {
      isBlank = readField(bytes.extracting(range), at: range.lowerBound, bytes, &read)
    } else {
      line.append(bytes.extracting(range))
      var whole: [UInt8] = []
      swap(&whole, &line)
      isBlank = unsafe readField(whole.span.bytes, at: nil, bytes, &read)
      whole.clear()
      swap(&whole, &line)
    }
    if isBlank, !isOverfull { endEvent(bytes, &read, &context, dispatch) }
  }

  /// A blank line: the event is whole. One without data is none.
  private mutating func endEvent<Context>(
    _ bytes: RawSpan, _ read: inout Read, _ context: inout Context,
    _ dispatch: (inout Context, _ name: RawSpan, _ payload: RawSpan) -> Void
  ) {
    if let range = read.dataInRead {
      unsafe dispatch(&context, name.span.bytes, bytes.extracting(range))
      read.dataInRead = nil
    } else if hasData {
      unsafe dispatch(&context, name.span.bytes, data.span.bytes)
    }
    hasData = false
    data.clear()
    name.clear()
  }

  /// Only `data` and `event` mean anything to a meter; comments and other fields do not.
  /// - Parameter offset: where in the read the line begins, if it lies there whole.
  /// - Returns: whether the line is blank.
  @discardableResult
  private mutating func readField(
    _ whole: RawSpan, at offset: Int?, _ bytes: RawSpan, _ read: inout Read
  ) -> Bool {
    // Exactly one byte order mark at the stream's start is no part of the stream.
    let mark = isFirstLine && whole.starts(with: "\u{FEFF}") ? 3 : 0
    isFirstLine = false
    let line = whole.extracting(mark..<whole.byteCount)
    if line.isEmpty { return true }
    if let value = Self.value(of: "data", in: line) {
      let start = offset.map { $0 + mark + value.lowerBound }
      addData(line.extracting(value), at: start, bytes, &read)
    } else if let value = Self.value(of: "event", in: line) {
      name.removeAll(keepingCapacity: true)
      // No event name that anyone knows is longer; the memory is what matters.
      name.append(line.extracting(value.lowerBound..<min(value.upperBound, value.lowerBound + 64)))
    }
    return false
  }

  /// Where a field's value stands: after the first colon and at most one space; empty without a colon.
  private static func value(of field: StaticString, in line: RawSpan) -> Range<Int>? {
    let count = field.utf8CodeUnitCount
    guard line.starts(with: field) else { return nil }
    guard line.byteCount > count else { return count..<count }
    guard line[count] == UInt8(ascii: ":") else { return nil }
    let hasSpace = line.byteCount > count + 1 && line[count + 1] == UInt8(ascii: " ")
    return (count + (hasSpace ? 2 : 1))..<line.byteCount
  }

  /// One `data` line: left where it lies while it is the event's only one and lies in this read.
  private mutating func addData(_ value: RawSpan, at offset: Int?, _ bytes: RawSpan, _ read: inout Read) {
    if !hasData, let offset {
      hasData = true
      read.dataInRead = offset..<(offset + value.byteCount)
      return
    }
    copyDataInRead(bytes, &read)
    guard data.count + value.byteCount < limit else { return giveUp() }
    if hasData { data.append(.lineFeed) }
    hasData = true
    data.append(value)
  }

  private mutating func copyDataInRead(_ bytes: RawSpan, _ read: inout Read) {
    guard let range = read.dataInRead else { return }
    data.append(bytes.extracting(range))
    read.dataInRead = nil
  }

  /// At a read's end: copies what is unfinished, for the read's memory is not ours.
  private mutating func keepUnfinished(_ bytes: RawSpan, _ read: inout Read) {
    guard !isOverfull else { return }
    copyDataInRead(bytes, &read)
    guard line.count + read.count - read.at <= limit else { return giveUp() }
    if read.at < read.count { line.append(bytes.extracting(read.at..<read.count)) }
  }

  private mutating func giveUp() {
    forget()
    isOverfull = true
  }

  private mutating func forget() {
    (line, data, name) = ([], [], [])
    hasData = false
  }
}

/// How far one read has been scanned.
private struct Read {
  let count: Int
  var at = 0
  /// The unfinished event's only data so far, where it lies in this read.
  var dataInRead: Range<Int>?
  // Each kind of line end is searched for once over the whole read, however they mix. `count` means that there is none.
  private var nextLineFeed = -1
  private var nextCarriageReturn = -1

  init(count: Int) { self.count = count }

  /// The event that begins at `at`, where it is one `data` line and its blank line, as nearly all are: its payload, and
  /// where it ends; nil for any other.
  @inline(__always)
  mutating func wholeEvent(_ bytes: RawSpan, limit: Int) -> (payload: Range<Int>, end: Int)? {
    guard bytes.extracting(at..<count).starts(with: "data:"), let line = lineEnd(bytes), line - at <= limit else {
      return nil
    }
    let start = bytes[at + 5] == UInt8(ascii: " ") ? at + 6 : at + 5
    let rest = bytes.extracting(line..<count)
    if rest.starts(with: "\n\n") { return (start..<line, line + 2) }
    return rest.starts(with: "\r\n\r\n") ? (start..<line, line + 4) : nil
  }

  /// Where the line that begins at `at` ends; nil where it does not end in this read.
  @inline(__always)
  mutating func lineEnd(_ bytes: RawSpan) -> Int? {
    if nextLineFeed < at { nextLineFeed = bytes.firstOffset(of: .lineFeed, from: at) ?? count }
    if nextCarriageReturn < at { nextCarriageReturn = bytes.firstOffset(of: .carriageReturn, from: at) ?? count }
    let end = min(nextLineFeed, nextCarriageReturn)
    return end < count ? end : nil
  }
}
