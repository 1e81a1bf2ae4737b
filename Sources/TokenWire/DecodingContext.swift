// What the decoders of one worker thread share: the JSON parser, the events known by heart, memory for an observation.
// It must not know any one stream.
import JSON

/// The parser that all decoders of one thread share. Not `Sendable`; make one a worker.
@safe
public final class DecodingContext {
  let json: JSONParser
  let templates: EventCache
  /// What a terminator says.
  let end: Observation
  /// Owned; behind a pointer so that it is lent where it lies.
  private let observation: UnsafeMutablePointer<Observation>
  private var isLent = false

  /// Makes a parser.
  /// - Parameters:
  ///   - retainedBytes: memory kept from text to text (JSONParser).
  ///   - usesCache: whether events that are alike but for their text are recognised without parsing. It changes no
  ///     observation, only the time they take.
  public init(retainedBytes: Int = 64 * 1024, usesCache: Bool = true) {
    json = JSONParser(retainedBytes: retainedBytes)
    templates = EventCache(learns: usesCache, json: json)
    var end = Observation()
    end.isTerminator = true
    self.end = end
    unsafe observation = .allocate(capacity: 1)
    unsafe observation.initialize(to: Observation())
  }

  deinit {
    unsafe observation.deinitialize(count: 1)
    unsafe observation.deallocate()
  }

  /// Lends an empty observation: the shared one with its storage, or a new one while that is lent.
  func withObservation(_ body: (inout Observation) -> Void) {
    guard !isLent else {
      var another = Observation()
      return body(&another)
    }
    isLent = true
    unsafe observation.pointee.reset()
    unsafe body(&observation.pointee)
    isLent = false
  }
}
