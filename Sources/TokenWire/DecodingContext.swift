// What the decoders of one worker thread share: the JSON parser, the event cache, memory for an observation.
import Glibc
import JSON

/// The memory that all decoders of one thread share. Not `Sendable`: make one a worker.
@safe
public final class DecodingContext {
  let json: JSONParser
  let cache: EventCache
  /// What a terminator says.
  let end: Observation
  /// Owned; behind a pointer so that it is lent where it lies.
  private let observation: UnsafeMutablePointer<Observation>
  @exclusivity(unchecked) private var isLent = false

  /// `TACHOGRAPH_NULL_CACHES=1`: every cache is a null one. Read once.
  private static let cachesAreNull = unsafe getenv("TACHOGRAPH_NULL_CACHES").map { unsafe String(cString: $0) } == "1"

  /// Makes a context.
  /// - Parameters:
  ///   - retainedBytes: memory kept from text to text (JSONParser).
  ///   - usesCache: whether events that differ in their text only are recognised without parsing. It changes no
  ///     observation, only the time they take.
  public init(retainedBytes: Int = 64 * 1024, usesCache: Bool = true) {
    json = JSONParser(retainedBytes: retainedBytes)
    cache = EventCache(isNull: !usesCache || Self.cachesAreNull)
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
  @inline(__always)
  func withObservation(_ body: (inout Observation) -> Void) {
    guard unsafe !isLent else {
      var another = Observation()
      return body(&another)
    }
    unsafe isLent = true
    unsafe observation.pointee.reset()
    unsafe body(&observation.pointee)
    unsafe isLent = false
  }
}
