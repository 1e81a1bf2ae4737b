// The events that one worker thread knows by heart: a few, learnt as they come, the least used ones forgotten.
// It must not grow with the number of streams, nor with what they send.
import JSON

/// A bounded set of templates, shared by all streams of a thread: streams of one server look alike.
final class EventTemplates {
  /// At most 32 templates of at most about 1.5 KiB each.
  static let capacity = 32
  /// What learning costs, in matches: events that never come again must not be learnt one after the other.
  private static let price = 4
  private static let mostCredit = 128

  private var known: [EventTemplate] = []
  private var matches = 0
  private var misses = 0
  private var credit = EventTemplates.mostCredit
  /// The template that the last new stream began with.
  private var firstOfStream = 0

  /// Tries the template that is expected after the one that this stream's last event matched.
  /// - Parameters:
  ///   - last: the stream's last match, −1 where there is none; set to the new one.
  /// - Returns: the template, with what the event says, and the payload's length.
  func expected(
    _ front: RawSpan, _ dialect: ObjectIdentifier, after last: inout Int
  ) -> (template: EventTemplate, length: Int)? {
    let expected = known.indices.contains(last) ? known[last].successor : firstOfStream
    guard known.indices.contains(expected) else { return nil }
    let template = known[expected]
    guard template.dialect == dialect, let length = template.match(front) else { return nil }
    note(expected, after: &last)
    return (template, length)
  }

  /// Tries every template on a whole payload.
  func any(_ payload: RawSpan, _ dialect: ObjectIdentifier, after last: inout Int) -> EventTemplate? {
    for (index, template) in known.enumerated() where template.dialect == dialect {
      guard template.match(payload) == payload.byteCount else { continue }
      note(index, after: &last)
      return template
    }
    misses &+= 1
    return nil
  }

  /// Learns from an event that no template knew, if it is worth it and affordable.
  func learn(_ payload: RawSpan, _ root: JSONValue, _ dialect: any Dialect.Type, _ observation: borrowing Observation) {
    // Where nothing learnt was of use, an event now and then is still tried: traffic changes.
    guard credit >= Self.price || misses % 64 == 0,
      let template = EventTemplate(payload, root, of: dialect, says: observation)
    else { return }
    credit = max(0, credit - Self.price)
    matches &+= 1
    template.usedAt = matches
    guard known.count >= Self.capacity else { return known.append(template) }
    let oldest = known.indices.min { known[$0].usedAt < known[$1].usedAt }
    if let oldest { known[oldest] = template }
  }

  private func note(_ index: Int, after last: inout Int) {
    matches &+= 1
    credit = min(credit + 1, Self.mostCredit)
    known[index].usedAt = matches
    if known.indices.contains(last) {
      known[last].successor = index
    } else {
      firstOfStream = index
    }
    last = index
  }
}
