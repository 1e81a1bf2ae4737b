// An event known by heart: what it says but for its text, and how to know it again without parsing it.
// It must never change what is observed: whatever is not byte for byte as learnt goes to the JSON parser.
import Glibc
import JSON

/// The bytes of an event around the places where events of its kind differ, and what such an event says.
///
/// Why this is exact: a dialect reads an event's JSON tree alone. Two payloads whose bytes agree everywhere but inside
/// strings (each well-formed, up to its closing quote) and inside whole numbers have the same tree but for those values;
/// the values of `varyingKeys` are never read, and of the text only its scalars count, and that it is not empty.
struct EventTemplate: ~Copyable {
  /// What stands between two stretches of known bytes.
  private enum Hole {
    /// Generated text: counted.
    case text
    /// A string that nobody reads.
    case string
    /// A whole number that nobody reads.
    case number
    /// Nothing: the payload is at its end.
    case end
  }

  /// Known bytes, and what follows them.
  private struct Step {
    var count: Int
    var hole: Hole
  }

  /// The most known bytes that a template may hold, and the most holes.
  static let largest = (bytes: 1024, holes: 8)

  /// The dialect that this was learnt from: the same bytes may mean something else in another.
  let dialect: ObjectIdentifier
  /// What the event says, with the scalars of the event that was matched last.
  private(set) var observation: Observation
  /// Whether it says a finish reason.
  let finishes: Bool
  /// The template that followed this one last time.
  var successor = 0
  /// When this was matched last, in matches.
  var usedAt = 0
  private let bytes: [UInt8]
  private let steps: [Step]
  private let hasText: Bool

  /// Learns from an event that has just been parsed.
  /// - Returns: nil for an event that others will not be like: one with counts, with two texts, an error, an end.
  init?(_ payload: RawSpan, _ root: JSONValue, of dialect: any Dialect.Type, says observation: borrowing Observation) {
    guard Self.isOneOfMany(observation), !dialect.remembers else { return nil }
    var holes: [(range: Range<Int>, hole: Hole)] = []
    if observation.textStrings == 1 {
      guard let text = Self.text(payload, observation) else { return nil }
      holes.append((text, .text))
    }
    let varying = dialect.varyingKeys
    root.forEachMember { key, value in
      guard varying.contains(where: { key.equals($0) }),
        let found = Self.varyingValue(payload, key, value)
      else { return }
      holes.append(found)
    }
    holes.sort { $0.range.lowerBound < $1.range.lowerBound }
    let known = payload.byteCount - holes.reduce(0) { $0 + $1.range.count }
    guard holes.count <= Self.largest.holes, known <= Self.largest.bytes else { return nil }

    var bytes: [UInt8] = []
    var steps: [Step] = []
    bytes.reserveCapacity(known)
    steps.reserveCapacity(holes.count + 1)
    var at = 0
    for (range, hole) in holes {
      bytes.append(payload.extracting(at..<range.lowerBound))
      steps.append(Step(count: range.lowerBound - at, hole: hole))
      at = range.upperBound
    }
    bytes.append(payload.extracting(at..<payload.byteCount))
    steps.append(Step(count: payload.byteCount - at, hole: .end))

    self.bytes = bytes
    self.steps = steps
    hasText = observation.textStrings == 1
    self.dialect = ObjectIdentifier(dialect)
    self.finishes = observation.finishReason != nil
    self.observation = copy observation
  }

  /// Looks whether `front` begins with such an event; if so, `observation` then says what it says.
  /// - Returns: the length of its payload; nil where it does not, or where it does not end inside `front`.
  mutating func match(_ front: RawSpan) -> Int? {
    var scalars = 0
    let length = unsafe front.withUnsafeBytes { front in
      unsafe bytes.withUnsafeBytes { known in unsafe run(front, known, &scalars) }
    }
    guard length > 0 else { return nil }
    if hasText { observation.outputs[0].scalars = scalars }
    return length
  }

  /// The length of the payload at `front`, or 0.
  private borrowing func run(_ front: UnsafeRawBufferPointer, _ known: UnsafeRawBufferPointer, _ scalars: inout Int)
    -> Int
  {
    guard let base = front.baseAddress, var expected = known.baseAddress else { return 0 }
    let limit = front.count
    var at = 0
    for step in steps {
      guard limit - at >= step.count, unsafe memcmp(base + at, expected, step.count) == 0 else { return 0 }
      at += step.count
      unsafe expected += step.count
      switch step.hole {
      case .end: return at
      case .number:
        let digits = unsafe Self.wholeNumber(base, at, limit)
        guard digits > 0 else { return 0 }
        at += digits
      case .string:
        guard let string = unsafe StringScan(base, from: at, limit: limit) else { return 0 }
        at = string.end
      case .text:
        guard let string = unsafe StringScan(base, from: at, limit: limit), string.scalars > 0 else { return 0 }
        at = string.end
        scalars = string.scalars
      }
    }
    return 0
  }

  /// The length of a whole number (RFC 8259 §6, without sign) at `start`; 0 where there is none or a very long one.
  private static func wholeNumber(_ bytes: UnsafeRawPointer, _ start: Int, _ limit: Int) -> Int {
    var at = start
    while at < limit, at - start < 18, unsafe bytes.load(fromByteOffset: at, as: UInt8.self) &- 0x30 < 10 { at += 1 }
    guard at > start else { return 0 }
    let leadingZero = unsafe bytes.load(fromByteOffset: start, as: UInt8.self) == UInt8(ascii: "0")
    return leadingZero && at - start > 1 ? 0 : at - start
  }

  /// Counts and times differ from event to event; errors and ends come once.
  private static func isOneOfMany(_ observation: borrowing Observation) -> Bool {
    observation.textStrings <= 1 && observation.outputs.count <= 1 && observation.usage == nil
      && observation.serverCounts == nil && observation.serverDurations == nil && observation.errorKind == nil
      && !observation.isTerminator
  }

  /// Where the one text stands, if it is what the event's one output counted.
  private static func text(_ payload: RawSpan, _ observation: borrowing Observation) -> Range<Int>? {
    let start = observation.textOffset
    guard observation.outputs.count == 1, let string = scan(payload, from: start),
      string.scalars == observation.outputs[0].scalars
    else { return nil }
    return start..<string.end
  }

  /// Where the value of a varying key stands, if it is a plain string or a whole number.
  private static func varyingValue(
    _ payload: RawSpan, _ key: JSONValue, _ value: JSONValue
  ) -> (range: Range<Int>, hole: Hole)? {
    guard let start = key.stringOffset, let quote = scan(payload, from: start) else { return nil }
    if let opening = value.stringOffset {
      guard let string = scan(payload, from: opening) else { return nil }
      return (opening..<string.end, .string)
    }
    guard value.int != nil else { return nil }
    var at = quote.end + 1
    while at < payload.byteCount, payload[at].isJSONSpace || payload[at] == UInt8(ascii: ":") { at += 1 }
    let digits = unsafe payload.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return 0 }
      return unsafe wholeNumber(base, at, bytes.count)
    }
    // Where the number goes on (a fraction, a nineteenth digit) it is not the whole value.
    guard digits > 0, at + digits < payload.byteCount,
      payload[at + digits].isJSONSpace || [UInt8(ascii: ","), UInt8(ascii: "}")].contains(payload[at + digits])
    else { return nil }
    return (at..<(at + digits), .number)
  }

  private static func scan(_ payload: RawSpan, from start: Int) -> StringScan? {
    unsafe payload.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return nil }
      return unsafe StringScan(base, from: start, limit: bytes.count)
    }
  }
}
