// What a dialect has to tell: which requests are its own, and what its events and bodies say.
// It must not know about framing bytes or time.
import JSON

/// One server's way of writing requests, events and bodies (Documentation.docc/Dialects.md).
///
/// Adding a dialect is one new file in `Dialects/` and one line in `Dialects.all`.
public protocol Dialect: Sendable {
  /// The record's `dialect` (Documentation.docc/Record.md, "Request and outcome").
  static var name: String { get }

  /// Whether a request is this dialect's.
  /// - Parameters:
  ///   - method: as the client wrote it.
  ///   - path: without its query.
  static func claims(method: String, path: String) -> Bool

  /// How its streams are framed.
  static var framing: Framing { get }

  /// Whether a request that does not say `stream` gets one.
  static var streamsByDefault: Bool { get }

  /// The payload, not JSON, that ends a stream: `[DONE]`; nil where events say it themselves.
  static var terminator: StaticString? { get }

  /// Keys of an event's outermost object that `readEvent` never looks at and that differ from event to event or from
  /// stream to stream; what makes events alike but for their text (CachedEvent).
  static var volatileKeys: [StaticString] { get }

  /// Keys of an event's outermost object whose objects say nothing but counts and times, in the order in which
  /// `readEvent` reads them. It must read them by `readCounts` alone, and nothing else may depend on them but
  /// `usageChoice` on there being a usage.
  static var usageKeys: [StaticString] { get }

  /// Reads the object of one of `usageKeys`.
  /// - Parameter key: its place in `usageKeys`.
  static func readCounts(_ key: Int, _ value: JSONValue, into observation: inout Observation)

  /// Whether what an event means depends on the events before it. Such a dialect's events are never known by heart.
  static var isStateful: Bool { get }

  /// Finds the few facts that measuring needs in a request's body.
  static func readRequest(_ body: JSONValue, into facts: inout RequestFacts)

  /// Whether `readRequest` looks at the body's member of that name, which is none of `model`, `stream` and `user`: those
  /// are read for it. In a body without such a member it finds nothing.
  static func readsFromRequest(_ key: RawSpan) -> Bool

  /// A reader of one response.
  init()

  /// Reads one event of a stream.
  /// - Parameters:
  ///   - name: the event's `event:` name, empty where it has none.
  ///   - payload: its JSON.
  ///   - observation: fresh; every string of generated text must go into it by `ChoiceOutput.add`.
  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation)

  /// Reads a whole, non-streamed body.
  mutating func readBody(_ body: JSONValue, into observation: inout Observation)
}

extension Dialect {
  /// Streams are asked for.
  public static var streamsByDefault: Bool { false }
  /// Events say themselves where the stream ends.
  public static var terminator: StaticString? { nil }
  /// No key is known to vary without a meaning.
  public static var volatileKeys: [StaticString] { [] }
  /// Counts stand among everything else.
  public static var usageKeys: [StaticString] { [] }
  /// There is nothing to read.
  public static func readCounts(_ key: Int, _ value: JSONValue, into observation: inout Observation) {}
  /// It may look at any.
  public static func readsFromRequest(_ key: RawSpan) -> Bool { true }
  /// Each event stands for itself.
  public static var isStateful: Bool { false }
}
