// The events that one worker thread knows by heart: a few, learnt as they come, the least used ones forgotten.
// It must not grow with the number of streams, nor with what they send.
import JSON

/// A bounded set of templates, shared by all streams of a thread: streams of one server look alike.
@safe
final class EventCache {
  /// At most this many templates, each of at most about 1.5 KiB.
  static let capacity = 32
  /// What learning costs, in matches: events that never come again must not be learnt one after the other.
  private static let cost = 4
  private static let mostCredit = 128

  /// `count` templates, in memory of ours so that they are matched where they lie.
  private let known = UnsafeMutablePointer<CachedEvent>.allocate(capacity: EventCache.capacity)
  private var count = 0
  private let learns: Bool
  private let json: JSONParser
  /// A template is lent: it must stay where and as it is, even if the closure feeds another decoder.
  private var isLending = false
  private var matches = 0
  private var misses = 0
  private var budget = EventCache.mostCredit
  /// The template that the last new stream began with.
  private var firstOfStream = 0

  /// Makes an empty set; one that does not learn stays so.
  /// - Parameter json: reads the counts of events that are known but for them.
  init(learns: Bool, json: JSONParser) {
    self.learns = learns
    self.json = json
  }

  deinit {
    unsafe known.deinitialize(count: count)
    unsafe known.deallocate()
  }

  /// Tries, at the front of some bytes, the template that is expected after the one this stream's last event matched.
  /// - Parameters:
  ///   - last: the stream's last match, −1 where there is none; set to the new one.
  ///   - ending: given the payload's length, the length of the line ends behind it; 0 where the event is not whole.
  /// - Returns: the event's length with its line ends, and whether it says a finish reason; nil where it is not the
  ///   expected one.
  func observeExpected(
    _ front: RawSpan, _ dialect: ObjectIdentifier, after last: inout Int, ending: (Int) -> Int,
    _ observe: (borrowing Observation) -> Void
  ) -> (length: Int, finishes: Bool)? {
    let expected = last >= 0 && last < count ? unsafe known[last].successor : firstOfStream
    guard !isLending, expected < count, unsafe known[expected].dialect == dialect,
      let length = unsafe known[expected].match(front, json)
    else { return nil }
    let end = ending(length)
    guard end > 0 else { return nil }
    note(expected, after: &last)
    isLending = true
    unsafe Self.lend(&known[expected], to: observe)
    isLending = false
    return (length + end, unsafe known[expected].finishes)
  }

  /// Tries every template on a whole payload.
  /// - Returns: whether the event says a finish reason; nil where no template knows it.
  func observeAny(
    _ payload: RawSpan, _ dialect: ObjectIdentifier, after last: inout Int, _ observe: (borrowing Observation) -> Void
  ) -> Bool? {
    guard !isLending else { return nil }
    for index in 0..<count where unsafe known[index].dialect == dialect {
      guard unsafe known[index].match(payload, json) == payload.byteCount else { continue }
      note(index, after: &last)
      isLending = true
      unsafe Self.lend(&known[index], to: observe)
      isLending = false
      return unsafe known[index].finishes
    }
    misses &+= 1
    return nil
  }

  /// Learns from an event that no template knew, if it is worth it and affordable.
  func insert(_ payload: RawSpan, _ root: JSONValue, _ dialect: any Dialect.Type, _ observation: borrowing Observation)
  {
    // Where nothing learnt was of use, an event now and then is still tried: traffic changes.
    guard learns, !isLending, budget >= Self.cost || misses % 64 == 0,
      var template = CachedEvent(payload, root, of: dialect, says: observation)
    else { return }
    budget = max(0, budget - Self.cost)
    matches &+= 1
    template.usedAt = matches
    if count < Self.capacity {
      unsafe (known + count).initialize(to: template)
      count += 1
    } else {
      unsafe known[leastUsed()] = template
    }
  }

  private func leastUsed() -> Int {
    var least = 0
    for index in 1..<count where unsafe known[index].usedAt < known[least].usedAt { least = index }
    return least
  }

  private func note(_ index: Int, after last: inout Int) {
    matches &+= 1
    budget = min(budget + 1, Self.mostCredit)
    unsafe known[index].usedAt = matches
    if last >= 0, last < count {
      unsafe known[last].successor = index
    } else {
      firstOfStream = index
    }
    last = index
  }

  /// Exclusive access for the time of the call is what lets the observation be lent without a copy.
  private static func lend(_ template: inout CachedEvent, to observe: (borrowing Observation) -> Void) {
    observe(template.observation)
  }
}
