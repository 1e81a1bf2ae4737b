// Caches validated heads, so that a head like one that was read a moment ago need not be parsed and validated again.
import Glibc
import HTTP

/// A few validated heads, each with what its owner derived from it.
///
/// The requests of one program, and the responses of one server, differ in little but an id, a date and a length. Two heads
/// are alike if they differ only in the values of fields that no rule of HTTP and no `fixedFields` entry reads; a
/// Content-Length may differ, too. What was validated of one then holds for the other, and `Payload`, which must depend on
/// nothing that may differ, can be used again.
///
/// A cache belongs to one thread and one configuration: its parsers have the same limits, and its heads passed the same
/// rules. When the configuration changes, call `invalidate()` and make another one. Heads carry credentials, so call
/// `evictIdle(after:)` regularly. Without a cache (`null()`, or `TACHOGRAPH_NULL_CACHES=1` in the environment) every head is
/// read in full, with the same result.
@safe
public final class HeadCache<Head: CacheableHead, Payload> {
  /// A head that was found.
  public struct Found {
    /// The head, with the values that the bytes hold.
    public let head: Head
    /// What its owner derived from the first head like it.
    public let payload: Payload
    /// Indexes of the fields whose values may differ among the heads that are alike, in ascending order.
    public let varying: [Int]

    @usableFromInline
    init(head: Head, payload: Payload, varying: [Int]) {
      self.head = head
      self.payload = payload
      self.varying = varying
    }
  }

  @usableFromInline let patterns: HeadPatterns
  /// What belongs to each slot of `patterns`; in memory of its own, which is not checked for exclusive access at run time.
  @usableFromInline let values: UnsafeMutableBufferPointer<(head: Head, payload: Payload)?>

  /// An empty cache.
  /// - Parameter fixedFields: lower-case names of fields whose values `Payload` depends on: they are the same in all heads
  ///   that are alike.
  public convenience init(fixedFields: [String] = []) {
    self.init(fixedFields, capacity: NullCaches.areRequested ? 0 : HeadPatterns.capacity)
  }

  /// A cache that never finds anything.
  public static func null() -> HeadCache { HeadCache([], capacity: 0) }

  private init(_ fixedFields: [String], capacity: Int) {
    patterns = HeadPatterns(fixedFields: fixedFields, capacity: capacity)
    unsafe values = .allocate(capacity: capacity)
    unsafe values.initialize(repeating: nil)
  }

  deinit {
    unsafe values.deinitialize()
    unsafe values.deallocate()
  }

  /// Heads that are cached.
  public var count: Int { patterns.count }

  /// Looks up the head that `bytes` begin with, if it is whole and `parser` is between two messages.
  ///
  /// `parser` then continues behind the head, which takes `found.head.fields.bytes.count` of the bytes.
  @inlinable
  public func lookup(_ bytes: RawSpan, for parser: MessageParser) -> Found? {
    guard parser.isBetweenMessages,
      let match = patterns.lookup(bytes, answersHead: parser.answersHead, limit: parser.headLimit),
      let value = unsafe values[match.slot]
    else { return nil }
    let head = match.fields.map { Head(value.head, replacing: $0, framing: match.framing) } ?? value.head
    parser.skipHead(framing: head.framing)
    return Found(head: head, payload: value.payload, varying: match.varying)
  }

  /// Inserts a head that `parser` has read and that is valid.
  @inlinable
  public func insert(_ head: Head, _ payload: Payload, from parser: MessageParser) {
    guard !head.namesHopByHopFields,
      let (slot, fields) = patterns.insert(head.fields, head.framing, answersHead: parser.answersHead)
    else { return }
    unsafe values[slot] = (Head(head, replacing: fields, framing: head.framing), payload)
  }

  /// Removes the heads that the last `sweeps` calls of this have seen unused.
  public func evictIdle(after sweeps: Int) {
    for slot in patterns.evictIdle(after: sweeps) { unsafe values[slot] = nil }
  }

  /// Removes all heads, and accepts no more: another configuration is in force.
  public func invalidate() {
    patterns.invalidate()
    for slot in unsafe values.indices { unsafe values[slot] = nil }
  }
}

extension HeadCache where Payload == Void {
  /// Inserts a head that `parser` has read and that is valid.
  @inlinable
  public func insert(_ head: Head, from parser: MessageParser) { insert(head, (), from: parser) }
}

/// A head that can be cached.
public protocol CacheableHead {
  var fields: Fields { get }
  var framing: BodyFraming { get }
  /// Whether Connection names fields of this very head: such a head is not cached.
  var namesHopByHopFields: Bool { get }
  /// A head like `other`, with the fields and the framing of another message. What was validated of `other` holds for it.
  init(_ other: Self, replacing fields: Fields, framing: BodyFraming)
}

extension RequestHead: CacheableHead {}
extension ResponseHead: CacheableHead {}

/// Whether all caches are to be null: for tests that show that a cache changes nothing but the speed.
enum NullCaches {
  /// Read once from `TACHOGRAPH_NULL_CACHES`.
  static let areRequested = unsafe getenv("TACHOGRAPH_NULL_CACHES").map { unsafe strcmp($0, "1") == 0 } ?? false
}
