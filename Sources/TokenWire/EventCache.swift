// A cache before the JSON parser: events that are like one that was parsed before, but for their text, are not parsed.
import Glibc
import JSON

/// Events that came before, by their bytes. Bounded; shared by all streams of a thread, for streams of one server are alike.
///
/// It never changes an observation. A pattern is an event's name and the bytes of its payload, with gaps where its dialect read
/// nothing (`id`, `created`, all strings and numbers of a member that it does not know, the elements of a list that it only
/// counted) and where it only counted the scalars of a text. Bytes that agree everywhere else, with a well-formed string or
/// number in each gap, are JSON that the same dialect reads alike, but for the number of scalars. Whatever does not agree is parsed.
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
  func observe(
    name: RawSpan, _ payload: RawSpan, of stream: inout Stream, _ observe: (borrowing Observation) -> Void
  ) -> Bool {
    let count = unsafe self.count
    guard unsafe count > 0 && !isLending, stream.isTried else {
      stream.misses &+= 1
      return false
    }
    unsafe lookups &+= 1
    let last = stream.last
    if last < count, lend(last, name, payload, &stream, observe) { return true }
    let successor = unsafe successors[last]
    if successor != last, successor < count, lend(successor, name, payload, &stream, observe) { return true }
    for index in 0..<count
    where index != last && index != successor && lend(index, name, payload, &stream, observe) {
      unsafe successors[last] = index
      return true
    }
    stream.misses &+= 1
    return false
  }

  @inline(__always)
  private func lend(
    _ index: Int, _ name: RawSpan, _ payload: RawSpan, _ stream: inout Stream,
    _ observe: (borrowing Observation) -> Void
  ) -> Bool {
    guard unsafe patterns[index].dialect == stream.dialect, unsafe patterns[index].match(name, payload) else {
      return false
    }
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
    name: RawSpan, _ payload: RawSpan, _ root: JSONValue, of stream: inout Stream, _ observation: borrowing Observation
  ) {
    guard unsafe capacity > 0 && !isLending, !stream.isStateful else { return }
    guard unsafe stream.isTried && budget >= stream.insertionCost, EventPattern.isLikely(payload, observation) else {
      return
    }
    unsafe budget -= stream.insertionCost
    guard let unread = root.unread(of: payload),
      let pattern = unsafe EventPattern(name, payload, unread, of: stream.dialect, observation, usedAt: lookups)
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
  private let name: [UInt8]
  /// What never differs, one part behind the other.
  private let bytes: [UInt8]
  /// What stands between the parts.
  private let gaps: [Gap]
  /// Whether the scalars of a text are counted.
  private let hasText: Bool
  /// The gaps from the first text to the last one; none where no text is counted.
  private let textGaps: Range<Int>
  /// What stands before and behind the texts, such as the answer's id, is mostly the same in all events of one stream: the bytes
  /// of an event that was matched lately up to its first text, and from its last text's end on. Each is compared at once.
  private var prefix: [UInt8] = []
  private var suffix: [UInt8] = []
  /// Events since then that began or ended otherwise.
  private var others = 0

  private struct Gap {
    var kind: UnreadJSON.Kind
    /// Where the next part ends in `bytes`.
    var partEnd: Int
  }

  /// Whether other events may be like this one.
  static func isLikely(_ payload: RawSpan, _ observation: borrowing Observation) -> Bool {
    payload.byteCount <= longest && observation.outputs.count <= 1 && !observation.comesOnce
  }

  /// - Parameter unread: in the order of the text.
  /// - Returns: nil where the texts do not make up the event's output, and where a gap holds what is not passed over without a
  ///   parser.
  init?(
    _ name: RawSpan, _ payload: RawSpan, _ unread: [UnreadJSON], of dialect: ObjectIdentifier,
    _ observation: borrowing Observation, usedAt: Int
  ) {
    var bytes: [UInt8] = []
    var gaps: [Gap] = []
    var at = 0
    var texts = 0
    for part in unread {
      guard let (range, scalars) = payload.gap(part) else { return nil }
      if part.kind == .countedString {
        // The empty string is no text, and stays as it is.
        if scalars == 0 { continue }
        texts += scalars
      }
      bytes.append(payload.extracting(at..<range.lowerBound))
      gaps.append(Gap(kind: part.kind, partEnd: bytes.count))
      at = range.upperBound
    }
    guard texts == (observation.outputs.first?.scalars ?? 0) else { return nil }
    bytes.append(payload.extracting(at..<payload.byteCount))
    self.name = unsafe name.withUnsafeBytes { unsafe Array($0) }
    self.dialect = dialect
    self.observation = copy observation
    self.usedAt = usedAt
    self.bytes = bytes
    self.gaps = gaps
    hasText = texts > 0
    let first = gaps.firstIndex { $0.kind == .countedString } ?? gaps.count
    textGaps = first..<(gaps.lastIndex { $0.kind == .countedString }.map { $0 + 1 } ?? gaps.count)
  }

  /// Whether `payload` is such an event; if so, `observation` says what it says.
  @inline(__always)
  mutating func match(_ eventName: RawSpan, _ payload: RawSpan) -> Bool {
    guard eventName.byteCount == name.count,
      unsafe eventName.withUnsafeBytes({ bytes in
        unsafe bytes.baseAddress.map { unsafe Self.isEqual($0, name, 0..<name.count) } ?? true
      })
    else { return false }
    let found = unsafe payload.withUnsafeBytes { payload in
      unsafe payload.baseAddress.flatMap { unsafe match($0, payload.count) }
    }
    guard let found else { return false }
    if hasText { observation.outputs[0].scalars = found }
    return true
  }

  /// The scalars of the texts of such an event, 0 where none is counted; nil where it is another event.
  @inline(__always)
  private mutating func match(_ start: UnsafeRawPointer, _ limit: Int) -> Int? {
    // The end first: events of one stream begin alike, and differ in what comes behind the text.
    let lastPart = gaps.last?.partEnd ?? 0
    let endsAlike =
      !suffix.isEmpty && suffix.count <= limit
      && (unsafe Self.isEqual(start + (limit &- suffix.count), suffix, 0..<suffix.count))
    let end = limit &- (endsAlike ? suffix.count : bytes.count &- lastPart)
    guard endsAlike || end >= lastPart && (unsafe Self.isEqual(start + end, bytes, lastPart..<bytes.count)) else {
      return nil
    }
    guard endsAlike, !prefix.isEmpty, prefix.count <= end, unsafe Self.isEqual(start, prefix, 0..<prefix.count) else {
      return unsafe matchOther(start, end, limit, endsAlike: endsAlike)
    }
    others = 0
    guard let texts = unsafe matchGaps(textGaps, start, from: prefix.count, limit, isFirstPartKnown: true) else {
      return nil
    }
    return texts.at == end ? texts.scalars : nil
  }

  /// The same for an event that does not begin or end as the last one did.
  private mutating func matchOther(_ start: UnsafeRawPointer, _ end: Int, _ limit: Int, endsAlike: Bool) -> Int? {
    let beginsAlike =
      !prefix.isEmpty && prefix.count <= end && (unsafe Self.isEqual(start, prefix, 0..<prefix.count))
    var textStart = prefix.count
    if !beginsAlike {
      guard let leading = unsafe matchGaps(0..<textGaps.lowerBound, start, from: 0, limit) else { return nil }
      textStart = leading.at
    }
    guard
      let texts = unsafe matchGaps(textGaps, start, from: textStart, limit, isFirstPartKnown: beginsAlike)
    else { return nil }
    if endsAlike {
      guard texts.at == end else { return nil }
    } else {
      let rest = unsafe matchGaps(textGaps.upperBound..<gaps.count, start, from: texts.at, limit)
      guard let rest, rest.at == end else { return nil }
    }
    // Where every event begins or ends otherwise, that would be kept in vain: then only one in sixteen is.
    if hasText, others % 16 == 0 {
      if !beginsAlike { textStart += gaps[textGaps.lowerBound].partEnd - partStart(of: textGaps.lowerBound) }
      prefix.removeAll(keepingCapacity: true)
      unsafe prefix.append(contentsOf: UnsafeRawBufferPointer(start: start, count: textStart))
      suffix.removeAll(keepingCapacity: true)
      unsafe suffix.append(contentsOf: UnsafeRawBufferPointer(start: start + texts.at, count: limit - texts.at))
    }
    others &+= 1
    return texts.scalars
  }

  /// Matches some gaps, each with the part before it.
  /// - Parameter isFirstPartKnown: whether the first part is known to be there; then `offset` is behind it.
  /// - Returns: where the last of them ends, and the scalars of the texts among them; nil where they are not there.
  @inline(__always)
  private func matchGaps(
    _ range: Range<Int>, _ start: UnsafeRawPointer, from offset: Int, _ limit: Int, isFirstPartKnown: Bool = false
  ) -> (at: Int, scalars: Int)? {
    var scalars = 0
    var at = offset
    for index in range {
      let gap = gaps[index]
      if index > range.lowerBound || !isFirstPartKnown {
        let part = partStart(of: index)
        let length = gap.partEnd &- part
        guard limit &- at >= length, unsafe Self.isEqual(start + at, bytes, part..<gap.partEnd) else { return nil }
        at &+= length
      }
      if gap.kind == .number {
        at = unsafe JSONGap.numberEnd(start, from: at, limit)
        guard at > 0 else { return nil }
        continue
      }
      guard let string = unsafe JSONGap.string(start, from: at, limit) else { return nil }
      at = string.end
      guard gap.kind == .countedString else { continue }
      guard string.scalars > 0 else { return nil }
      scalars &+= string.scalars
    }
    return (at, scalars)
  }

  /// Where the part before a gap begins in `bytes`.
  @inline(__always)
  private func partStart(of gap: Int) -> Int { gap == 0 ? 0 : gaps[gap &- 1].partEnd }

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

extension RawSpan {
  /// Where a part of this text that was not read stands, and the scalars of what is a string.
  fileprivate func gap(_ part: UnreadJSON) -> (range: Range<Int>, scalars: Int)? {
    unsafe withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return nil }
      if part.kind == .number {
        let end = unsafe JSONGap.numberEnd(start, from: part.offset, bytes.count)
        return end > 0 ? (part.offset..<end, 0) : nil
      }
      guard let string = unsafe JSONGap.string(start, from: part.offset, bytes.count) else { return nil }
      return (part.offset..<string.end, string.scalars)
    }
  }
}
