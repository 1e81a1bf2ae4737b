// An event known by heart: what it says but for its text and its counts, and how to know it again.
// It must never change what is observed: whatever is not byte for byte as learnt goes to the JSON parser whole.
import Glibc
import JSON

/// The bytes of an event around the places where events of its kind differ, and what such an event says.
///
/// Why this is exact: a dialect reads an event's JSON tree alone. Two payloads whose bytes agree everywhere but inside
/// strings (each well-formed, up to its closing quote), whole numbers and objects (each parsed by itself) have the same
/// tree but for those values. The values of `varyingKeys` are never read; of the text only its scalars count, and that it
/// is not empty; the objects of `countingKeys` are read again, by the dialect.
struct EventTemplate: ~Copyable {
  /// The most known bytes that a template may hold, and the most holes.
  static let largest = (bytes: 1024, holes: 8)

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
  private let shape: EventShape
  private let hasText: Bool
  private let hasUsage: Bool

  /// Learns from an event that has just been parsed.
  /// - Returns: nil for an event that others will not be like: one with two texts, an error, an end; or counts that
  ///   stand anywhere but under `countingKeys`.
  init?(_ payload: RawSpan, _ root: JSONValue, of dialect: any Dialect.Type, says observation: borrowing Observation) {
    guard Self.isOneOfMany(observation), !dialect.remembers,
      let holes = Self.holes(payload, root, dialect, observation),
      Self.countsAreHoles(root, holes, dialect, observation),
      let shape = EventShape(payload, holes: holes, largest: Self.largest.bytes)
    else { return nil }
    self.shape = shape
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
    guard let match = shape.match(front) else { return nil }
    if match.hasCounts {
      guard recount(front, match, json) else { return nil }
    }
    if hasText { observation.outputs[0].scalars = match.scalars }
    return match.length
  }

  /// Reads the event's counts anew.
  private mutating func recount(_ front: RawSpan, _ match: EventShape.Match, _ json: JSONParser) -> Bool {
    observation.usage = nil
    observation.serverCounts = nil
    observation.serverDurations = nil
    for key in 0..<EventShape.mostCounts {
      let range = match.counts(key)
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

  /// The places where other events may differ; nil where they are too many, or where a key of counts
  /// stands twice.
  private static func holes(
    _ payload: RawSpan, _ root: JSONValue, _ dialect: any Dialect.Type, _ observation: borrowing Observation
  ) -> [EventShape.Hole]? {
    var holes: [EventShape.Hole] = []
    if observation.textStrings == 1 {
      guard let text = text(payload, observation) else { return nil }
      holes.append(text)
    }
    let varying = dialect.varyingKeys
    let counting = dialect.countingKeys.prefix(EventShape.mostCounts)
    var seen = 0
    var isTwice = false
    root.forEachMember { key, value in
      if varying.contains(where: { key.equals($0) }) {
        if let hole = EventShape.Hole(varying: value, of: key, payload) { holes.append(hole) }
      } else if let place = counting.firstIndex(where: { key.equals($0) }) {
        isTwice = isTwice || seen & (1 << place) != 0
        seen |= 1 << place
        if value.isObject, let hole = EventShape.Hole(counts: place, of: key, payload) { holes.append(hole) }
      }
    }
    guard !isTwice, holes.count <= largest.holes else { return nil }
    return holes.sorted { $0.range.lowerBound < $1.range.lowerBound }
  }

  /// Where the one text stands, if it is what the event's one output counted.
  private static func text(_ payload: RawSpan, _ observation: borrowing Observation) -> EventShape.Hole? {
    guard observation.outputs.count == 1,
      let string = StringScan(payload, from: observation.textOffset), string.scalars == observation.outputs[0].scalars
    else { return nil }
    return EventShape.Hole(range: observation.textOffset..<string.end, kind: .text)
  }

  /// Whether all that the event says about counts and times comes from the holes for it.
  private static func countsAreHoles(
    _ root: JSONValue, _ holes: [EventShape.Hole], _ dialect: any Dialect.Type, _ observation: borrowing Observation
  ) -> Bool {
    var counted = Observation()
    for (place, key) in dialect.countingKeys.enumerated() where holes.contains(where: { $0.countsPlace == place }) {
      if let value = root[key] { dialect.readCounts(place, value, into: &counted) }
    }
    return counted.usage == observation.usage && counted.serverCounts == observation.serverCounts
      && counted.serverDurations == observation.serverDurations
  }
}
