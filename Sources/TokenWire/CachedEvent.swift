// An event known by heart: what it says but for its text and its counts, and how to know it again.
// It must never change what is observed: whatever is not byte for byte as learnt goes to the JSON parser whole.
import Glibc
import JSON

/// The bytes of an event around the places where events of its kind differ, and what such an event says.
///
/// Why this is exact: a dialect reads an event's JSON tree alone. Two payloads whose bytes agree everywhere but inside
/// strings (each well-formed, up to its closing quote), whole numbers and objects (each parsed by itself) have the same
/// tree but for those values. The values of `volatileKeys` are never read; of the text only its scalars count, and that it
/// is not empty; the objects of `usageKeys` are read again, by the dialect, with their numbers filled in or parsed.
struct CachedEvent: ~Copyable {
  /// The most known bytes that a template may hold, and the most slots.
  static let largest = (bytes: 1024, slots: 16)

  /// The dialect that this was learnt from: the same bytes may mean something else in another.
  let dialect: ObjectIdentifier
  /// What the event says, with the text and the counts of the event that was matched last.
  private(set) var observation: Observation
  /// Whether it says a finish reason.
  let finishes: Bool
  /// The template that followed this one last time.
  var successor = 0
  /// When this was matched last, in matches.
  var usedAt = 0
  private let type: any Dialect.Type
  private let shape: EventPattern
  private let hasText: Bool
  private let hasCounts: Bool
  /// For each of `usageKeys` its object, where that differs in whole numbers only; nil where it is parsed, or missing.
  private let forms: [PatchableJSON?]
  private let hasUsage: Bool

  /// Learns from an event that has just been parsed.
  /// - Returns: nil for an event that others will not be like: one with two texts, an error, an end; or counts that
  ///   stand anywhere but under `usageKeys`.
  init?(_ payload: RawSpan, _ root: JSONValue, of dialect: any Dialect.Type, says observation: borrowing Observation) {
    guard Self.isOneOfMany(observation), !dialect.isStateful,
      let varying = Varying(payload, root, dialect, observation),
      Self.countsVary(root, varying, dialect, observation),
      let shape = EventPattern(
        payload, slots: varying.slots, counts: varying.numbers, largest: Self.largest.bytes)
    else { return nil }
    self.shape = shape
    forms = varying.forms
    hasCounts = varying.counts != 0
    self.dialect = ObjectIdentifier(dialect)
    type = dialect
    hasText = observation.textStrings == 1
    hasUsage = observation.usage != nil
    finishes = observation.finishReason != nil
    self.observation = copy observation
  }

  /// Looks whether `front` begins with such an event; if so, `observation` then says what it says.
  /// - Returns: the length of its payload; nil where it does not, or where it does not end inside `front`.
  mutating func match(_ front: RawSpan, _ json: JSONParser) -> Int? {
    var match = EventPattern.Match()
    guard shape.matches(front, &match) else { return nil }
    if hasCounts {
      guard recount(front, match, json) else { return nil }
    }
    if hasText { observation.outputs[0].scalars = match.scalars }
    return match.length
  }

  /// Reads the event's counts anew.
  private mutating func recount(_ front: RawSpan, _ match: EventPattern.Match, _ json: JSONParser) -> Bool {
    observation.usage = nil
    observation.serverCounts = nil
    observation.serverDurations = nil
    for key in forms.indices {
      if let form = forms[key] {
        type.readCounts(key, form.root, into: &observation)
        continue
      }
      let range = match.counts[key]
      guard !range.isEmpty else { continue }
      let parsed: Void? = json.parse(front.extracting(range)) { type.readCounts(key, $0, into: &observation) }
      guard parsed != nil else { return false }
    }
    // `usageChoice` was learnt with a usage there, or with none.
    return (observation.usage != nil) == hasUsage
  }

  /// Errors and ends come once.
  private static func isOneOfMany(_ observation: borrowing Observation) -> Bool {
    observation.textStrings <= 1 && observation.outputs.count <= 1 && observation.errorKind == nil
      && !observation.isTerminator
  }

  /// Whether all that the event says about counts and times comes from what varies.
  private static func countsVary(
    _ root: JSONValue, _ varying: borrowing Varying, _ dialect: any Dialect.Type, _ observation: borrowing Observation
  ) -> Bool {
    var counted = Observation()
    for (place, key) in dialect.usageKeys.enumerated() where varying.counts & 1 << place != 0 {
      if let value = root[key] { dialect.readCounts(place, value, into: &counted) }
    }
    return counted.usage == observation.usage && counted.serverCounts == observation.serverCounts
      && counted.serverDurations == observation.serverDurations
  }
}

/// The places where events like one that has been parsed may differ.
private struct Varying {
  /// In order.
  var slots: [EventPattern.Slot] = []
  /// Of each of the dialect's `usageKeys` the object that stands there, where it differs in whole numbers only.
  var forms: [PatchableJSON?] = Array(repeating: nil, count: EventPattern.mostCounts)
  /// The numbers of `forms`, in the order in which the slots for them say where they are.
  var numbers: [PatchableJSON.Number] = []
  /// One bit for each of the dialect's `usageKeys` whose object may differ.
  var counts = 0

  /// - Returns: nil where they are too many, or where a key of counts stands twice.
  init?(
    _ payload: RawSpan, _ root: JSONValue, _ dialect: any Dialect.Type, _ observation: borrowing Observation
  ) {
    if observation.textStrings == 1 {
      guard let text = Self.text(payload, observation) else { return nil }
      slots.append(text)
    }
    let varying = dialect.volatileKeys
    let counting = dialect.usageKeys.prefix(EventPattern.mostCounts)
    var seen = 0
    var isTwice = false
    root.forEachMember { key, value in
      if varying.contains(where: { key.equals($0) }) {
        if let slot = EventPattern.Slot(varying: value, of: key, payload) { slots.append(slot) }
      } else if let place = counting.firstIndex(where: { key.equals($0) }) {
        isTwice = isTwice || seen & (1 << place) != 0
        seen |= 1 << place
        if value.isObject, let object = EventPattern.Slot.object(of: key, payload) { addCounts(place, object, payload) }
      }
    }
    guard !isTwice, slots.count <= CachedEvent.largest.slots else { return nil }
    slots.sort { $0.range.lowerBound < $1.range.lowerBound }
  }

  /// Where the one text stands, if it is what the event's one output counted.
  private static func text(_ payload: RawSpan, _ observation: borrowing Observation) -> EventPattern.Slot? {
    guard observation.outputs.count == 1,
      let string = StringScan(payload, from: observation.textOffset), string.scalars == observation.outputs[0].scalars
    else { return nil }
    return EventPattern.Slot(range: observation.textOffset..<string.end, kind: .text)
  }

  /// An object of counts: a slot for each of its numbers, or where they are not all whole numbers, one for all of it.
  private mutating func addCounts(_ place: Int, _ object: Range<Int>, _ payload: RawSpan) {
    counts |= 1 << place
    let text = payload.extracting(object)
    guard let numbers = ObjectScan.wholeNumbers(text), let form = PatchableJSON(text),
      form.numbers.count == numbers.count
    else {
      slots.append(EventPattern.Slot(range: object, kind: .counts, place: place))
      return
    }
    forms[place] = form
    for (index, number) in numbers.enumerated() {
      let range = (object.lowerBound + number.lowerBound)..<(object.lowerBound + number.upperBound)
      slots.append(EventPattern.Slot(range: range, kind: .count, place: self.numbers.count + index))
    }
    self.numbers += form.numbers
  }
}
