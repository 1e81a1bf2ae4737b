// A cache before the JSON parser: events that are like one that was parsed before, but for their text, are not parsed.
import Glibc
import JSON

/// Events that came before, by their bytes. Bounded; shared by all streams of a thread, for streams of one server are alike.
///
/// It never changes an observation. A pattern is the bytes of a parsed event, with gaps where its dialect read nothing (a
/// member of the outermost object such as `id`, `created`) and where it only counted the scalars of a text. Bytes that agree
/// everywhere else, with a well-formed string or number in each gap, are JSON that the same dialect reads alike, but for the
/// number of scalars. Whatever does not agree is parsed.
///
/// Without it everything works the same, and an event costs about 0.2 µs more.
@safe
final class EventCache {
  /// What one stream remembers of its events.
  struct Stream {
    /// The pattern of its last event; `EventCache.mostPatterns` where there is none yet.
    fileprivate var last = EventCache.mostPatterns
    /// Events since the last one that had a pattern.
    fileprivate var misses = 0
    fileprivate let dialect: ObjectIdentifier
    /// An event's meaning depends on the events before it: a reader that keeps something.
    fileprivate let isStateful: Bool

    init<D: Dialect>(_ dialect: D.Type) {
      self.dialect = ObjectIdentifier(dialect)
      isStateful = MemoryLayout<D>.size > 0
    }

    /// Whether its next event is looked up, and inserted where it has no pattern. Not where the last few had none, but for
    /// two in 512: its events may be alike again.
    fileprivate var isTried: Bool { misses < 4 || misses % 512 < 2 }

    /// An insertion costs as much as this many matches gain. Events that never come again must not be inserted one by one,
    /// at the cost of other streams; the few that are tried of a long stream are.
    fileprivate var insertionCost: Int { misses < 4 ? 16 : 0 }
  }

  /// Patterns are at most this many, each of at most 1 KiB.
  fileprivate static let mostPatterns = 16
  private static let maximumBudget = 64

  /// `count` patterns, in memory of its own so that they are matched and lent where they lie.
  private let patterns: UnsafeMutablePointer<EventPattern>
  private let capacity: Int
  @exclusivity(unchecked) private var count = 0
  // Unchecked: one thread uses this, and a check costs as much as a comparison of the event.
  @exclusivity(unchecked) private var budget = EventCache.maximumBudget
  @exclusivity(unchecked) private var lookups = 0
  /// The pattern that last came behind each pattern, and behind a stream's beginning: streams of one server are alike in
  /// their order, too. Only where a search begins depends on it. One more than `mostPatterns`, for the beginning.
  @exclusivity(unchecked) private var successors = InlineArray<17, Int>(repeating: 0)
  /// A pattern's observation is lent to a closure: nothing may move it, even if that closure decodes another stream.
  @exclusivity(unchecked) private var isLending = false

  /// Makes a cache; one that `isNull` never holds anything.
  init(isNull: Bool) {
    capacity = isNull ? 0 : Self.mostPatterns
    unsafe patterns = .allocate(capacity: capacity)
  }

  deinit {
    unsafe patterns.deinitialize(count: count)
    unsafe patterns.deallocate()
  }

  /// Observes an event that has a pattern.
  /// - Returns: whether it has one; if not, parse it.
  func observe(_ payload: RawSpan, of stream: inout Stream, _ observe: (borrowing Observation) -> Void) -> Bool {
    let count = unsafe self.count
    guard unsafe count > 0 && !isLending, stream.isTried else {
      stream.misses &+= 1
      return false
    }
    unsafe lookups &+= 1
    let last = stream.last
    if last < count, lend(last, payload, &stream, observe) { return true }
    let successor = unsafe successors[last]
    if successor != last, successor < count, lend(successor, payload, &stream, observe) { return true }
    for index in 0..<count
    where index != last && index != successor && lend(index, payload, &stream, observe) {
      unsafe successors[last] = index
      return true
    }
    stream.misses &+= 1
    return false
  }

  @inline(__always)
  private func lend(
    _ index: Int, _ payload: RawSpan, _ stream: inout Stream, _ observe: (borrowing Observation) -> Void
  ) -> Bool {
    guard unsafe patterns[index].dialect == stream.dialect, unsafe patterns[index].match(payload) else { return false }
    unsafe patterns[index].usedAt = unsafe lookups
    unsafe budget = unsafe min(budget &+ 1, Self.maximumBudget)
    stream.last = index
    stream.misses = 0
    unsafe isLending = true
    unsafe Self.lend(&patterns[index], to: observe)
    unsafe isLending = false
    return true
  }

  /// Exclusive access for the time of the call is what lets the observation be lent without a copy.
  @inline(__always)
  private static func lend(_ pattern: inout EventPattern, to observe: (borrowing Observation) -> Void) {
    observe(pattern.observation)
  }

  /// Adds an event that has just been read, if others may be like it.
  func insert(
    _ payload: RawSpan, _ root: JSONValue, _ parser: JSONParser, of stream: inout Stream,
    _ observation: borrowing Observation
  ) {
    guard unsafe capacity > 0 && !isLending, !stream.isStateful else { return }
    guard unsafe stream.isTried && budget >= stream.insertionCost, EventPattern.isLikely(payload, observation) else {
      return
    }
    unsafe budget -= stream.insertionCost
    guard
      let pattern = unsafe EventPattern(
        payload, parser.unread(in: root), of: stream.dialect, observation, usedAt: lookups)
    else { return }
    if unsafe count < capacity {
      unsafe (patterns + count).initialize(to: pattern)
      stream.last = unsafe count
      unsafe count += 1
    } else {
      var oldest = 0
      for index in 1..<capacity where unsafe patterns[index].usedAt < patterns[oldest].usedAt { oldest = index }
      unsafe patterns[oldest] = pattern
      stream.last = oldest
    }
  }
}

/// The bytes of an event that never differ, the gaps between them, and what such an event says.
private struct EventPattern {
  static let longest = 1024

  let dialect: ObjectIdentifier
  /// With the scalars of the event that was matched last.
  private(set) var observation: Observation
  /// The lookup that matched this last.
  var usedAt: Int
  /// What never differs, one part behind the other.
  private let bytes: [UInt8]
  /// What stands between the parts.
  private let gaps: [Gap]
  /// Whether the scalars of one text are counted.
  private let hasText: Bool
  /// The gaps before that text. Most of them, such as the answer's id, are the same in all events of one stream:
  private let leadingGaps: Int
  /// the bytes of an event that was matched lately, up to the last of those gaps' end, are compared at once.
  private var prefix: [UInt8] = []
  /// Events since then that began otherwise.
  private var otherPrefixes = 0

  private struct Gap {
    var kind: UnreadJSON.Kind
    /// Where the next part ends in `bytes`.
    var partEnd: Int
  }

  /// Whether other events may be like this one.
  static func isLikely(_ payload: RawSpan, _ observation: borrowing Observation) -> Bool {
    payload.byteCount <= longest && observation.outputs.count <= 1 && !observation.comesOnce
  }

  /// - Returns: nil for an event with several texts, and for one whose gaps hold what is not passed over without a parser.
  init?(
    _ payload: RawSpan, _ unread: [UnreadJSON], of dialect: ObjectIdentifier, _ observation: borrowing Observation,
    usedAt: Int
  ) {
    var ranges: [(kind: UnreadJSON.Kind, range: Range<Int>)] = []
    var texts = 0
    for part in unread {
      guard let (range, scalars) = payload.gap(part) else { return nil }
      // The empty string is no text, and stays as it is.
      if part.kind == .countedString {
        if scalars == 0 { continue }
        guard observation.outputs.count == 1, observation.outputs[0].scalars == scalars else { return nil }
        texts += 1
      }
      ranges.append((part.kind, range))
    }
    guard texts <= 1 else { return nil }
    ranges.sort { $0.range.lowerBound < $1.range.lowerBound }
    var bytes: [UInt8] = []
    var gaps: [Gap] = []
    var at = 0
    for (kind, range) in ranges {
      bytes.append(payload.extracting(at..<range.lowerBound))
      gaps.append(Gap(kind: kind, partEnd: bytes.count))
      at = range.upperBound
    }
    bytes.append(payload.extracting(at..<payload.byteCount))
    self.dialect = dialect
    self.observation = copy observation
    self.usedAt = usedAt
    self.bytes = bytes
    self.gaps = gaps
    hasText = texts == 1
    leadingGaps = gaps.firstIndex { $0.kind == .countedString } ?? 0
  }

  /// Whether `payload` is such an event; if so, `observation` says what it says.
  @inline(__always)
  mutating func match(_ payload: RawSpan) -> Bool {
    let found = unsafe payload.withUnsafeBytes { payload in
      unsafe payload.baseAddress.flatMap { unsafe match($0, payload.count) }
    }
    guard let found else { return false }
    if hasText { observation.outputs[0].scalars = found }
    return true
  }

  /// The scalars of the text of such an event, 0 where none is counted; nil where it is another event.
  @inline(__always)
  private mutating func match(_ start: UnsafeRawPointer, _ limit: Int) -> Int? {
    // The last part first: events of one stream begin alike, and differ in what comes behind the text.
    let lastPart = gaps.last?.partEnd ?? 0
    let end = limit &- (bytes.count &- lastPart)
    guard end >= lastPart, unsafe Self.isEqual(start + end, bytes, lastPart..<bytes.count) else { return nil }
    guard !prefix.isEmpty, prefix.count <= end, unsafe Self.isEqual(start, prefix, 0..<prefix.count) else {
      return unsafe matchWithOtherPrefix(start, end, limit)
    }
    otherPrefixes = 0
    guard let rest = unsafe matchGaps(leadingGaps..<gaps.count, start, from: prefix.count, limit) else { return nil }
    return rest.at == end ? rest.scalars : nil
  }

  private mutating func matchWithOtherPrefix(_ start: UnsafeRawPointer, _ end: Int, _ limit: Int) -> Int? {
    guard let leading = unsafe matchGaps(0..<leadingGaps, start, from: 0, limit),
      let rest = unsafe matchGaps(leadingGaps..<gaps.count, start, from: leading.at, limit), rest.at == end
    else { return nil }
    // Where each event begins otherwise, it would be kept in vain: then only one in sixteen is.
    if leadingGaps > 0, otherPrefixes % 16 == 0 {
      prefix.removeAll(keepingCapacity: true)
      unsafe prefix.append(contentsOf: UnsafeRawBufferPointer(start: start, count: leading.at))
    }
    otherPrefixes &+= 1
    return rest.scalars
  }

  /// Matches some gaps, each with the part before it.
  /// - Returns: where the last of them ends, and the scalars of the text among them; nil where they are not there.
  @inline(__always)
  private func matchGaps(
    _ range: Range<Int>, _ start: UnsafeRawPointer, from offset: Int, _ limit: Int
  ) -> (at: Int, scalars: Int)? {
    var scalars = 0
    var at = offset
    var part = range.lowerBound == 0 ? 0 : gaps[range.lowerBound &- 1].partEnd
    for index in range {
      let gap = gaps[index]
      let length = gap.partEnd &- part
      guard limit &- at >= length, unsafe Self.isEqual(start + at, bytes, part..<gap.partEnd) else { return nil }
      at &+= length
      part = gap.partEnd
      if gap.kind == .number {
        at = unsafe JSONGap.numberEnd(start, from: at, limit)
        guard at > 0 else { return nil }
        continue
      }
      guard let string = unsafe JSONGap.string(start, from: at, limit) else { return nil }
      at = string.end
      guard gap.kind == .countedString else { continue }
      guard string.scalars > 0 else { return nil }
      scalars = string.scalars
    }
    return (at, scalars)
  }

  @inline(__always)
  private static func isEqual(_ place: UnsafeRawPointer, _ known: [UInt8], _ range: Range<Int>) -> Bool {
    unsafe known.withUnsafeBytes { known in
      guard let base = known.baseAddress else { return range.isEmpty }
      return unsafe memcmp(place, base + range.lowerBound, range.count) == 0
    }
  }
}

extension Observation {
  /// Counts and ends differ from event to event, or come once.
  fileprivate var comesOnce: Bool {
    usage != nil || serverCounts != nil || serverDurations != nil || errorKind != nil || isTerminator
      || isWholeMessage || isOfUnknownDialect || isMedia
  }
}

/// Passing over a string or a number without a parser: accepts only what the parser accepts, and not all of that.
enum JSONGap {
  /// Where the string whose inside begins at `start` ends (its closing quote), and how many scalars it decodes to; nil
  /// where it is none, or written with `\u`.
  @inline(__always)
  static func string(_ bytes: UnsafeRawPointer, from start: Int, _ limit: Int) -> (end: Int, scalars: Int)? {
    // Most strings are printable ASCII up to their closing quote.
    let end = unsafe plainEnd(bytes, from: start, limit)
    if end < limit, unsafe bytes.load(fromByteOffset: end, as: UInt8.self) == UInt8(ascii: "\"") {
      return (end, end &- start)
    }
    return unsafe mixedString(bytes, from: start, limit)
  }

  @inline(never)
  private static func mixedString(
    _ bytes: UnsafeRawPointer, from start: Int, _ limit: Int
  ) -> (end: Int, scalars: Int)? {
    var at = start
    var scalars = 0
    var isASCII = true
    while true {
      let plain = unsafe plainEnd(bytes, from: at, limit)
      scalars &+= plain &- at
      at = plain
      guard at < limit else { return nil }
      let byte = unsafe bytes.load(fromByteOffset: at, as: UInt8.self)
      switch byte {
      case UInt8(ascii: "\""):
        guard isASCII || (unsafe isUTF8(bytes + start, at &- start)) else { return nil }
        return (at, scalars)
      case UInt8(ascii: "\\"):
        guard at &+ 1 < limit, unsafe bytes.load(fromByteOffset: at &+ 1, as: UInt8.self).isShortEscape else {
          return nil
        }
        at &+= 2
        scalars &+= 1
      case 0..<0x20: return nil
      default:
        isASCII = isASCII && byte < 0x80
        at &+= 1
        if byte & 0xC0 != 0x80 { scalars &+= 1 }
      }
    }
  }

  private static func isUTF8(_ start: UnsafeRawPointer, _ count: Int) -> Bool {
    let bytes = unsafe Span<UInt8>(_unsafeStart: start.assumingMemoryBound(to: UInt8.self), count: count)
    return (try? UTF8Span(validating: bytes)) != nil
  }

  /// Where printable ASCII ends, or where fewer than eight bytes are left.
  @inline(__always)
  private static func plainEnd(_ bytes: UnsafeRawPointer, from start: Int, _ limit: Int) -> Int {
    var at = start
    while at &+ 8 <= limit {
      let special = specialBytes(unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      if special != 0 { return at &+ (special.trailingZeroBitCount &>> 3) }
      at &+= 8
    }
    return at
  }

  /// A word whose lowest set bit lies in the first byte (in memory order) that is a control, a quote, a backslash or one of
  /// 0x80 and above; zero where there is none. Bits above the lowest one mean nothing.
  private static func specialBytes(_ word: UInt64) -> UInt64 {
    let word = UInt64(littleEndian: word)
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quote = word ^ (ones &* 0x22)
    let backslash = word ^ (ones &* 0x5C)
    let control = word &- (ones &* 0x20)
    return ((quote &- ones) | (backslash &- ones) | control | word) & (ones &* 0x80)
  }

  /// Where the number that begins at `start` ends; 0 where there is none, or one with an exponent or more than 18 digits
  /// before its point (RFC 8259 §6).
  @inline(__always)
  static func numberEnd(_ bytes: UnsafeRawPointer, from start: Int, _ limit: Int) -> Int {
    func byte(_ at: Int) -> UInt8 { at < limit ? unsafe bytes.load(fromByteOffset: at, as: UInt8.self) : 0 }
    var at = byte(start) == UInt8(ascii: "-") ? start &+ 1 : start
    let whole = at
    while byte(at) &- 0x30 < 10 { at &+= 1 }
    guard 1...18 ~= at &- whole, byte(whole) != 0x30 || at &- whole == 1 else { return 0 }
    if byte(at) == UInt8(ascii: ".") {
      let fraction = at &+ 1
      at = fraction
      while byte(at) &- 0x30 < 10 { at &+= 1 }
      guard at > fraction else { return 0 }
    }
    return byte(at) | 0x20 == UInt8(ascii: "e") ? 0 : at
  }
}

extension UInt8 {
  /// Whether a backslash and this decode to one scalar.
  fileprivate var isShortEscape: Bool {
    switch self {
    case UInt8(ascii: "n"), UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "t"), UInt8(ascii: "/"),
      UInt8(ascii: "r"),
      UInt8(ascii: "b"), UInt8(ascii: "f"):
      true
    default: false
    }
  }
}

extension RawSpan {
  /// Where a part of this text that was not read stands, and the scalars of what is a string.
  fileprivate func gap(_ part: UnreadJSON) -> (range: Range<Int>, scalars: Int)? {
    unsafe withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress,
        let string = unsafe JSONGap.string(start, from: part.offset, bytes.count)
      else { return nil }
      guard part.kind == .number else { return (part.offset..<string.end, string.scalars) }
      // Behind the key's closing quote stand a colon and white space.
      var at = string.end + 1
      while unsafe at < bytes.count && (bytes[at].isJSONSpace || bytes[at] == UInt8(ascii: ":")) { at += 1 }
      let end = unsafe JSONGap.numberEnd(start, from: at, bytes.count)
      return end > 0 ? (at..<end, 0) : nil
    }
  }
}
