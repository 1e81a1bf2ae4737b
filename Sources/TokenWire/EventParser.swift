// What the decoders of one worker thread share: the JSON parser, the events known by heart, memory for an observation.
// It must not know any one stream.
import JSON

/// The parser that all decoders of one thread share. Not `Sendable`; make one a worker.
public final class EventParser {
  let json: JSONParser
  let templates: EventTemplates
  private var observation = Observation()

  /// Makes a parser.
  /// - Parameters:
  ///   - retainedBytes: memory kept from text to text (JSONParser).
  ///   - knowsByHeart: whether events that are alike but for their text are recognised without parsing. It changes no
  ///     observation, only the time they take.
  public init(retainedBytes: Int = 64 * 1024, knowsByHeart: Bool = true) {
    json = JSONParser(retainedBytes: retainedBytes)
    templates = EventTemplates(learns: knowsByHeart)
  }

  /// Lends the shared observation, empty, with its storage.
  func withObservation(_ body: (inout Observation) -> Void) {
    var lent = Observation()
    swap(&lent, &observation)
    lent.reset()
    body(&lent)
    swap(&lent, &observation)
  }
}
