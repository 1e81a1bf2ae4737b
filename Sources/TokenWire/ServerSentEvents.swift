// Cutting a `text/event-stream` into events by the WHATWG rules (HTML §9.2.5 and 9.2.6), however the reads cut it; and by two
// rules of our own where servers break those.

/// Bytes in any split go in, payloads of whole events come out.
///
/// An event that lies whole inside one read is handed on where it lies; only what is unfinished is copied. Memory is bounded.
///
/// Where lines of data follow one another without a blank line and each is a whole JSON object, each is an event: no JSON has
/// an object behind another. A line `error: …` is an event of that name.
struct ServerSentEvents {
  /// No event name that anyone knows is longer; the memory is what matters.
  fileprivate static let longestName = 64

  /// The most bytes that a line or an event's data may have.
  let limit: Int
  /// A line that has not ended yet.
  private var line: BoundedText
  /// Data of the event's earlier lines, joined by line feeds; empty while the read holds the only one.
  private var data: [UInt8] = []
  private var name: [UInt8] = []
  /// The name that stood behind the event's data: the next event's, where no blank line comes first.
  private var nextName: [UInt8]?
  private var hasData = false
  private var flags: EventFlags = []
  /// The event's data is longer than `limit`, and not kept.
  private var isLost = false
  /// The event before this one ended without a blank line.
  private var isChained = false
  private var swallowsLineFeed = false
  private var isFirstLine = true
  /// An event or a line was longer than `limit`.
  private(set) var hasOverlong = false
  /// A line of data ended in the last read, and its event has not ended.
  private(set) var hasPendingEvent = false

  /// Makes a machine that stands before a stream's first byte.
  init(limit: Int) {
    self.limit = limit
    line = BoundedText(limit: limit)
  }

  /// Reads the next bytes of the stream.
  /// - Parameter dispatch: called with each event's name and payload.
  mutating func feed<Context>(
    _ bytes: RawSpan, _ context: inout Context,
    dispatch: (inout Context, _ name: RawSpan, _ payload: RawSpan, EventFlags) -> Void
  ) {
    var read = Read(count: bytes.byteCount)
    while read.at < read.count {
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
        dispatch(&context, bytes.extracting(event.name), bytes.extracting(event.payload), [])
        continue
      }
      guard let end = read.lineEnd(bytes) else { break }
      endLine(bytes, read.at..<end, &read, &context, dispatch)
      // A CR ends its line at once; the LF that may follow belongs to it, in this read or the next.
      swallowsLineFeed = bytes[end] == .carriageReturn
      read.at = end + 1
    }
    hasPendingEvent = hasData && read.hasDataLine
    if read.at < read.count || read.dataInRead != nil { keepUnfinished(bytes, &read) }
  }

  /// The stream has ended: dispatches what stood in the last event without its blank line, and forgets it.
  ///
  /// By the rules such an event is discarded; a meter may still look there for a terminator or a usage. It is whole where
  /// the event before it ended without a blank line too.
  mutating func finish<Context>(
    _ context: inout Context, _ dispatch: (inout Context, _ name: RawSpan, _ payload: RawSpan, EventFlags) -> Void
  ) {
    var isWhole = true
    if !line.isEmpty {
      let last = line
      line.clear()
      isWhole = false
      var read = Read(count: 0)
      unsafe readField(last.bytes.span.bytes, at: nil, RawSpan(), &read, &context, dispatch)
    }
    if hasData, !isLost {
      let isEvent = isChained && isWhole
      unsafe dispatch(
        &context, name.span.bytes, data.span.bytes, flags.union(isEvent ? .endedEarlier : .unfinished))
    }
    if !isBetweenEvents { forget() }
  }

  /// Nothing of an event, nor of a line, has been seen since the last event.
  private var isBetweenEvents: Bool { !hasData && line.isEmpty && name.isEmpty }

  /// A line that ends in `bytes`: all of it, or the rest of one that began in earlier reads.
  private mutating func endLine<Context>(
    _ bytes: RawSpan, _ range: Range<Int>, _ read: inout Read, _ context: inout Context,
    _ dispatch: (inout Context, _ name: RawSpan, _ payload: RawSpan, EventFlags) -> Void
  ) {
    var isBlank = false
    if line.isEmpty, range.count <= limit {
      isBlank = readField(bytes.extracting(range), at: range.lowerBound, bytes, &read, &context, dispatch)
    } else {
      line.append(bytes.extracting(range))
      var whole = BoundedText(limit: limit)
      swap(&whole, &line)
      if whole.isShortened { hasOverlong = true }
      if whole.isLost {
        (hasData, isLost, read.dataInRead) = (true, true, nil)
      } else {
        isBlank = unsafe readField(whole.bytes.span.bytes, at: nil, bytes, &read, &context, dispatch)
        if hasData, whole.isShortened { flags.insert(.shortened) }
      }
      whole.clear()
      swap(&whole, &line)
    }
    if isBlank { endEvent(bytes, &read, &context, dispatch) }
  }

  /// The event is whole. One without data is none.
  private mutating func endEvent<Context>(
    _ bytes: RawSpan, _ read: inout Read, _ context: inout Context,
    _ dispatch: (inout Context, _ name: RawSpan, _ payload: RawSpan, EventFlags) -> Void
  ) {
    if let nextName { name = nextName }
    dispatchPending(bytes, &read, &context, flags, dispatch)
    name.clear()
    nextName = nil
    isChained = false
  }

  private mutating func dispatchPending<Context>(
    _ bytes: RawSpan, _ read: inout Read, _ context: inout Context, _ flags: EventFlags,
    _ dispatch: (inout Context, _ name: RawSpan, _ payload: RawSpan, EventFlags) -> Void
  ) {
    if let range = read.dataInRead {
      unsafe dispatch(&context, name.span.bytes, bytes.extracting(range), flags)
      read.dataInRead = nil
    } else if hasData, !isLost {
      unsafe dispatch(&context, name.span.bytes, data.span.bytes, flags)
    }
    (hasData, isLost) = (false, false)
    self.flags = []
    data.clear()
  }

  /// Only `data`, `event` and `error` mean anything to a meter; comments and other fields do not.
  /// - Parameter offset: where in the read the line begins, if it lies there whole.
  /// - Returns: whether the line is blank.
  @discardableResult
  private mutating func readField<Context>(
    _ whole: RawSpan, at offset: Int?, _ bytes: RawSpan, _ read: inout Read, _ context: inout Context,
    _ dispatch: (inout Context, _ name: RawSpan, _ payload: RawSpan, EventFlags) -> Void
  ) -> Bool {
    // Exactly one byte order mark at the stream's start is no part of the stream.
    let mark = isFirstLine && whole.starts(with: "\u{FEFF}") ? 3 : 0
    isFirstLine = false
    let line = whole.extracting(mark..<whole.byteCount)
    if line.isEmpty { return true }
    if let value = Self.value(of: "data", in: line) {
      let start = offset.map { $0 + mark + value.lowerBound }
      addData(line.extracting(value), at: start, bytes, &read, &context, dispatch)
    } else if let value = Self.value(of: "event", in: line) {
      setName(line.extracting(value.prefix(Self.longestName)), bytes, read)
    } else if let value = Self.value(of: "error", in: line), line.extracting(value).startsJSON {
      addData(line.extracting(value), at: nil, bytes, &read, &context, dispatch)
      name = Array("error".utf8)
    }
    return false
  }

  private mutating func setName(_ value: RawSpan, _ bytes: RawSpan, _ read: Read) {
    if hasData, isPendingWhole(bytes, read) {
      nextName = []
      nextName?.append(value)
    } else {
      name.removeAll(keepingCapacity: true)
      name.append(value)
    }
  }

  /// Where a field's value stands: after the first colon and at most one space; empty without a colon.
  fileprivate static func value(of field: StaticString, in line: RawSpan) -> Range<Int>? {
    let count = field.utf8CodeUnitCount
    guard line.starts(with: field) else { return nil }
    guard line.byteCount > count else { return count..<count }
    guard line[count] == UInt8(ascii: ":") else { return nil }
    let hasSpace = line.byteCount > count + 1 && line[count + 1] == UInt8(ascii: " ")
    return (count + (hasSpace ? 2 : 1))..<line.byteCount
  }

  /// One `data` line: left where it lies while it is the event's only one and lies in this read.
  private mutating func addData<Context>(
    _ value: RawSpan, at offset: Int?, _ bytes: RawSpan, _ read: inout Read, _ context: inout Context,
    _ dispatch: (inout Context, _ name: RawSpan, _ payload: RawSpan, EventFlags) -> Void
  ) {
    if hasData, value.startsJSON, isPendingWhole(bytes, read) {
      dispatchPending(bytes, &read, &context, read.hasDataLine ? flags : flags.union(.endedEarlier), dispatch)
      if let nextName { name = nextName }
      nextName = nil
      isChained = true
    }
    read.hasDataLine = true
    if !hasData, let offset {
      hasData = true
      read.dataInRead = offset..<(offset + value.byteCount)
      return
    }
    copyDataInRead(bytes, &read)
    if data.count + value.byteCount > limit {
      data = []
      hasOverlong = true
      isLost = true
    }
    if !isLost {
      if hasData { data.append(.lineFeed) }
      data.append(value)
    }
    hasData = true
  }

  /// Whether the data so far can only be a whole JSON object, if it is JSON and an object or a list follows.
  private func isPendingWhole(_ bytes: RawSpan, _ read: Read) -> Bool {
    if let range = read.dataInRead { return bytes.extracting(range).isBraced }
    return unsafe data.span.bytes.isBraced
  }

  private mutating func copyDataInRead(_ bytes: RawSpan, _ read: inout Read) {
    guard let range = read.dataInRead else { return }
    data.append(bytes.extracting(range))
    read.dataInRead = nil
  }

  /// At a read's end: copies what is unfinished, for the read's memory is not ours.
  private mutating func keepUnfinished(_ bytes: RawSpan, _ read: inout Read) {
    copyDataInRead(bytes, &read)
    if read.at < read.count { line.append(bytes.extracting(read.at..<read.count)) }
  }

  private mutating func forget() {
    line.clear()
    (data, name, nextName) = ([], [], nil)
    (hasData, isLost, isChained, flags) = (false, false, false, [])
  }
}

extension RawSpan {
  /// Whether an object or a list begins here.
  fileprivate var startsJSON: Bool {
    let start = trimmed.lowerBound
    return start < byteCount && (self[start] == UInt8(ascii: "{") || self[start] == UInt8(ascii: "["))
  }

}

/// How far one read has been scanned.
private struct Read {
  let count: Int
  var at = 0
  /// The unfinished event's only data so far, where it lies in this read.
  var dataInRead: Range<Int>?
  /// A line of data has ended in this read.
  var hasDataLine = false
  // Each kind of line end is searched for once over the whole read, however they mix. `count` means that there is none.
  private var nextLineFeed = -1
  private var nextCarriageReturn = -1

  init(count: Int) { self.count = count }

  /// An event of one `data` line, and of one `event` line before it if it has a name.
  typealias WholeEvent = (name: Range<Int>, payload: Range<Int>, end: Int)

  /// The event that begins at `at`, where it is such a one and stands here to its end, as nearly all do; nil for any other.
  @inline(__always)
  mutating func wholeEvent(_ bytes: RawSpan, limit: Int) -> WholeEvent? {
    let rest = bytes.extracting(at..<count)
    guard rest.starts(with: "data:") else {
      return rest.starts(with: "event:") ? wholeNamedEvent(bytes, limit: limit) : nil
    }
    guard let line = lineEnd(bytes), line - at <= limit, let end = Self.blankLineEnd(bytes.extracting(line..<count))
    else { return nil }
    return (at..<at, (bytes[at + 5] == UInt8(ascii: " ") ? at + 6 : at + 5)..<line, line + end)
  }

  private mutating func wholeNamedEvent(_ bytes: RawSpan, limit: Int) -> WholeEvent? {
    guard let nameEnd = lineEnd(bytes), bytes[nameEnd] == .lineFeed, nameEnd - at <= limit else { return nil }
    let data = bytes.extracting((nameEnd + 1)..<count)
    // Lines that end in CR are read one by one.
    guard data.starts(with: "data:"), let line = data.firstOffset(of: .lineFeed, from: 5), line <= limit,
      nextCarriageReturn > nameEnd + line, let end = Self.blankLineEnd(data.extracting(line..<data.byteCount)),
      let name = ServerSentEvents.value(of: "event", in: bytes.extracting(at..<nameEnd)),
      let payload = ServerSentEvents.value(of: "data", in: data.extracting(0..<line))
    else { return nil }
    let (nameStart, start) = (at + name.lowerBound, nameEnd + 1)
    return (
      nameStart..<nameStart + min(name.count, ServerSentEvents.longestName),
      start + payload.lowerBound..<start + line, start + line + end
    )
  }

  /// How long the end of a line and the blank line behind it are; nil where neither begins here.
  @inline(__always)
  private static func blankLineEnd(_ rest: RawSpan) -> Int? {
    if rest.starts(with: "\n\n") { return 2 }
    return rest.starts(with: "\r\n\r\n") ? 4 : nil
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
