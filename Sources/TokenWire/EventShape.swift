// The bytes of an event that never differ, and what may stand between them.
// It must not know what an event says, nor take anything that a JSON parser would not.
import Glibc
import JSON

/// Known bytes with holes between them: a payload of this shape has the same JSON tree as the one it was learnt from, but
/// for the values in its holes.
struct EventShape {
  /// Objects with counts that an event may have.
  static let mostCounts = 2

  /// A place where payloads of one shape differ.
  struct Hole {
    /// What stands there.
    enum Kind: Equatable {
      /// The inside of a string that is generated text: not empty, and counted.
      case text
      /// The inside of a string that nobody reads.
      case string
      /// A whole number that nobody reads.
      case number
      /// An object of counts: its place among the dialect's `countingKeys`.
      case counts(Int)
      /// Nothing: the payload is at its end.
      case end
    }

    var range: Range<Int>
    var kind: Kind
  }

  /// A payload that has the shape.
  struct Match {
    var length = 0
    /// Scalars of the generated text.
    var scalars = 0
    var hasCounts = false
    private var first = 0..<0
    private var second = 0..<0

    /// Where the object of that place stands; empty where the shape has none.
    func counts(_ place: Int) -> Range<Int> { place == 0 ? first : second }

    fileprivate mutating func note(_ place: Int, _ range: Range<Int>) {
      if place == 0 { first = range } else { second = range }
      hasCounts = true
    }
  }

  /// Known bytes, and what follows them.
  private struct Step {
    var count: Int
    var kind: Hole.Kind
  }

  private let bytes: [UInt8]
  private let steps: [Step]

  /// Learns the shape of a payload.
  /// - Parameters:
  ///   - holes: in order, none touching another.
  ///   - largest: the most known bytes that are kept.
  init?(_ payload: RawSpan, holes: [Hole], largest: Int) {
    let known = payload.byteCount - holes.reduce(0) { $0 + $1.range.count }
    guard known <= largest else { return nil }
    var bytes: [UInt8] = []
    var steps: [Step] = []
    bytes.reserveCapacity(known)
    steps.reserveCapacity(holes.count + 1)
    var at = 0
    for hole in holes {
      guard hole.range.lowerBound > at else { return nil }
      bytes.append(payload.extracting(at..<hole.range.lowerBound))
      steps.append(Step(count: hole.range.lowerBound - at, kind: hole.kind))
      at = hole.range.upperBound
    }
    bytes.append(payload.extracting(at..<payload.byteCount))
    steps.append(Step(count: payload.byteCount - at, kind: .end))
    self.bytes = bytes
    self.steps = steps
  }

  /// Looks whether `front` begins with a payload of this shape.
  func match(_ front: RawSpan) -> Match? {
    unsafe front.withUnsafeBytes { front in
      unsafe bytes.withUnsafeBytes { known in unsafe run(front, known) }
    }
  }

  private func run(_ front: UnsafeRawBufferPointer, _ known: UnsafeRawBufferPointer) -> Match? {
    guard let base = front.baseAddress, var expected = known.baseAddress else { return nil }
    let limit = front.count
    var match = Match()
    var at = 0
    for step in steps {
      guard limit - at >= step.count, unsafe memcmp(base + at, expected, step.count) == 0 else { return nil }
      at &+= step.count
      unsafe expected += step.count
      switch step.kind {
      case .end:
        match.length = at
        return match
      case .number:
        let digits = unsafe WholeNumber.length(base, from: at, limit: limit)
        guard digits > 0 else { return nil }
        at &+= digits
      case .string:
        guard let string = unsafe StringScan(base, from: at, limit: limit) else { return nil }
        at = string.end
      case .text:
        guard let string = unsafe StringScan(base, from: at, limit: limit), string.scalars > 0 else { return nil }
        at = string.end
        match.scalars = string.scalars
      case .counts(let place):
        guard let end = unsafe ObjectScan.end(base, from: at, limit: limit) else { return nil }
        match.note(place, at..<end)
        at = end
      }
    }
    return nil
  }
}

extension EventShape.Hole {
  /// Which of the objects with counts this is; nil for any other hole.
  var countsPlace: Int? {
    if case .counts(let place) = kind { return place }
    return nil
  }

  /// Where the value of a varying key stands, if it is a plain string or a whole number.
  init?(varying value: JSONValue, of key: JSONValue, _ payload: RawSpan) {
    if let start = value.stringOffset {
      guard let string = StringScan(payload, from: start) else { return nil }
      self.init(range: start..<string.end, kind: .string)
      return
    }
    guard value.int != nil, let start = Self.valueStart(key, payload) else { return nil }
    let digits = WholeNumber.length(payload, from: start)
    // Where the number goes on (a fraction, a nineteenth digit) it is not the whole value.
    guard digits > 0, start + digits < payload.byteCount else { return nil }
    let next = payload[start + digits]
    guard next == UInt8(ascii: ",") || next == UInt8(ascii: "}") || next.isJSONSpace else { return nil }
    self.init(range: start..<(start + digits), kind: .number)
  }

  /// Where an object of counts stands.
  init?(counts place: Int, of key: JSONValue, _ payload: RawSpan) {
    guard let start = Self.valueStart(key, payload), let end = ObjectScan.end(payload, from: start) else { return nil }
    self.init(range: start..<end, kind: .counts(place))
  }

  /// The first byte of a member's value: behind the key's closing quote, a colon and white space.
  private static func valueStart(_ key: JSONValue, _ payload: RawSpan) -> Int? {
    guard let start = key.stringOffset, let name = StringScan(payload, from: start) else { return nil }
    var at = name.end + 1
    while at < payload.byteCount, payload[at].isJSONSpace || payload[at] == UInt8(ascii: ":") { at += 1 }
    return at
  }
}
