// The bytes of an event that never differ, and what may stand between them.
// It must not know what an event says, nor take anything that a JSON parser would not.
import Glibc
import JSON

/// Known bytes with slots between them: a payload of this shape has the same JSON tree as the one it was learnt from, but
/// for the values in its slots.
struct EventPattern {
  /// Objects with counts that an event may have.
  static let mostCounts = 2

  /// A place where payloads of one shape differ.
  struct Slot {
    /// What stands there.
    enum Kind: UInt8 {
      /// The inside of a string that is generated text: not empty, and counted.
      case text
      /// The inside of a string that nobody reads.
      case string
      /// A whole number that nobody reads.
      case number
      /// A whole number that is filled in where the event's counts are read.
      case count
      /// An object of counts.
      case counts
      /// Nothing: the payload is at its end.
      case end
    }

    var range: Range<Int>
    var kind: Kind
    /// Of an object of counts: its place among the dialect's `usageKeys`; of a count: that among the counts.
    var place = 0
  }

  /// A payload that has the shape.
  struct Match {
    var length = 0
    /// Scalars of the generated text.
    var scalars = 0
    /// Where the object of each place stands; empty where the shape has none.
    var counts = InlineArray<2, Range<Int>>(repeating: 0..<0)
  }

  /// Known bytes, and what follows them.
  private struct Step {
    var count: UInt16
    var place: UInt8 = 0
    var kind: Slot.Kind
  }

  private let bytes: [UInt8]
  private let steps: [Step]
  /// Where counts are filled in.
  private let counts: [PatchableJSON.Number]

  /// Learns the shape of a payload.
  /// - Parameters:
  ///   - slots: in order, none touching another.
  ///   - counts: where counts are filled in; theirs must outlive the shape.
  ///   - largest: the most known bytes that are kept, 65,535 at most.
  init?(_ payload: RawSpan, slots: [Slot], counts: [PatchableJSON.Number], largest: Int) {
    let known = payload.byteCount - slots.reduce(0) { $0 + $1.range.count }
    guard known <= largest else { return nil }
    var bytes: [UInt8] = []
    var steps: [Step] = []
    bytes.reserveCapacity(known)
    steps.reserveCapacity(slots.count + 1)
    var at = 0
    for slot in slots {
      guard slot.range.lowerBound > at else { return nil }
      bytes.append(payload.extracting(at..<slot.range.lowerBound))
      let count = UInt16(slot.range.lowerBound - at)
      steps.append(Step(count: count, place: UInt8(slot.place), kind: slot.kind))
      at = slot.range.upperBound
    }
    bytes.append(payload.extracting(at..<payload.byteCount))
    steps.append(Step(count: UInt16(payload.byteCount - at), kind: .end))
    self.bytes = bytes
    self.steps = steps
    self.counts = counts
  }

  /// Looks whether `front` begins with a payload of this shape.
  /// - Parameter match: says where, if so; else it says nothing, nor do the counts that were filled in.
  @inline(__always)
  func matches(_ front: RawSpan, _ match: inout Match) -> Bool {
    unsafe front.withUnsafeBytes { front in
      unsafe bytes.withUnsafeBufferPointer { known in
        unsafe steps.withUnsafeBufferPointer { steps in
          guard let base = front.baseAddress, let known = known.baseAddress, let steps = steps.baseAddress else {
            return false
          }
          return unsafe run(base, front.count, known, steps, &match)
        }
      }
    }
  }

  @inline(__always)
  private func run(
    _ base: UnsafeRawPointer, _ limit: Int, _ known: UnsafePointer<UInt8>, _ steps: UnsafePointer<Step>,
    _ match: inout Match
  ) -> Bool {
    var expected = unsafe known
    var step = unsafe steps
    var at = 0
    while true {
      let count = unsafe Int(step.pointee.count)
      guard limit &- at >= count, unsafe memcmp(base + at, expected, count) == 0 else { return false }
      at &+= count
      switch unsafe step.pointee.kind {
      case .end:
        match.length = at
        return true
      case .number:
        let digits = unsafe WholeNumber.length(base, from: at, limit: limit)
        guard digits > 0 else { return false }
        at &+= digits
      case .string:
        guard let string = unsafe StringScan(base, from: at, limit: limit) else { return false }
        at = string.end
      case .text:
        guard let string = unsafe StringScan(base, from: at, limit: limit), string.scalars > 0 else { return false }
        at = string.end
        match.scalars = string.scalars
      case .count:
        let number = unsafe WholeNumber.read(base, from: at, limit: limit)
        guard number.length > 0 else { return false }
        at &+= number.length
        counts[unsafe Int(step.pointee.place)].patch(number.value)
      case .counts:
        guard let end = unsafe ObjectScan.end(base, from: at, limit: limit) else { return false }
        match.counts[unsafe Int(step.pointee.place)] = at..<end
        at = end
      }
      unsafe expected += count
      unsafe step += 1
    }
  }
}

extension EventPattern.Slot {
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

  /// Where the object that is the value of `key` stands.
  static func object(of key: JSONValue, _ payload: RawSpan) -> Range<Int>? {
    guard let start = valueStart(key, payload), let end = ObjectScan.end(payload, from: start) else { return nil }
    return start..<end
  }

  /// The first byte of a member's value: behind the key's closing quote, a colon and white space.
  private static func valueStart(_ key: JSONValue, _ payload: RawSpan) -> Int? {
    guard let start = key.stringOffset, let name = StringScan(payload, from: start) else { return nil }
    var at = name.end + 1
    while at < payload.byteCount, payload[at].isJSONSpace || payload[at] == UInt8(ascii: ":") { at += 1 }
    return at
  }
}
