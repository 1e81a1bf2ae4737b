// What a dialect defines: which requests are its own, and what its events and bodies say.
import JSON

/// One server API's way of writing requests, events and bodies (Documentation.docc/Dialects.md).
///
/// Adding a dialect is one new file in `Dialects/` and one line in `Dialects.all`.
public protocol Dialect: Sendable {
  /// The record's `dialect` (Documentation.docc/Record.md).
  static var name: String { get }

  /// What the API does, as OpenTelemetry names it (`gen_ai.operation.name`): `chat` or `text_completion`.
  static var operation: String { get }

  /// Whose format it is, as OpenTelemetry names providers (`gen_ai.provider.name`): all that a proxy can know of it.
  static var provider: String { get }

  /// Whether a request is this dialect's. No two dialects may match the same request.
  /// - Parameters:
  ///   - method: as the client wrote it.
  ///   - path: without its query.
  static func matches(method: String, path: String) -> Bool

  /// Whether a path that matches can be no other dialect's. Where it can, the first event or the body shows whose it is.
  static func settles(path: String) -> Bool

  /// Whether an answer may be sound or pictures, which have times and no tokens.
  static var answersInMedia: Bool { get }

  /// How its streams are framed, if nothing else is said.
  static var framing: Framing { get }

  /// Whether a request that does not say `stream` gets one.
  static var streamsByDefault: Bool { get }

  /// The payload, not JSON, that ends a stream: `[DONE]`; nil where events say it themselves.
  static var terminator: StaticString? { get }

  /// Whether every whole stream ends with a terminator (an event that `isTerminator`): one that does not was cut.
  static var promisesTerminator: Bool { get }

  /// Whether an event or a body has this dialect's shape, where neither method nor path tells whose it is.
  static func recognizes(_ payload: JSONValue) -> Bool

  /// The members that `readRequest` looks up, as paths from the request's outermost object.
  static var requestMembers: [[String]] { get }

  /// Finds what only this dialect's requests say (`n`, `echo`); model, `stream`, user and session are read for it.
  /// - Parameters:
  ///   - body: an object; of a long one it has the members of `requestMembers` only, and of an array's elements only their kinds.
  ///   - facts: `choices` is 1.
  static func readRequest(_ body: JSONValue, into facts: inout RequestFacts)

  /// A reader of one response. What an event means may depend on the events before it: the reader may keep a few words
  /// of them, never text.
  init()

  /// Reads one event of a stream.
  /// - Parameters:
  ///   - name: the event's `event:` name, empty where it has none.
  ///   - payload: its JSON, an object.
  ///   - observation: says nothing yet.
  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation)

  /// Reads a whole, non-streamed body, an object.
  /// - Parameter observation: says nothing yet.
  mutating func readBody(_ body: JSONValue, into observation: inout Observation)
}

extension Dialect {
  /// Streams are asked for.
  public static var streamsByDefault: Bool { false }
  /// Events say themselves where the stream ends.
  public static var terminator: StaticString? { nil }
  /// A path is one dialect's.
  public static func settles(path: String) -> Bool { true }
  /// Answers are JSON.
  public static var answersInMedia: Bool { false }
  /// A whole stream says so.
  public static var promisesTerminator: Bool { true }
  /// Its shape is not its own.
  public static func recognizes(_ payload: JSONValue) -> Bool { false }
  /// None.
  public static var requestMembers: [[String]] { [] }
  /// There is nothing to find.
  public static func readRequest(_ body: JSONValue, into facts: inout RequestFacts) {}
}
