// What is read of a response before its first event has shown whose format it has.
import JSON

/// Stands for the dialect of a request that no path claims, until an event shows the dialect's shape. Its streams have events,
/// and no tokens.
public struct UndecidedDialect: Dialect {
  /// It stands in no record.
  public static let name = "undecided"
  /// Not known.
  public static var operation: String { "" }
  /// Not known.
  public static var provider: String { "" }
  /// Not known, and so what most have.
  public static var framing: Framing { .serverSentEvents }
  /// What many end with.
  public static var terminator: StaticString? { "[DONE]" }
  /// Nobody knows what it ends with.
  public static var promisesTerminator: Bool { false }

  /// Makes a reader of one response.
  public init() {}

  /// Whether an answer to such a request may be generated.
  public static func matches(method: String, path: String) -> Bool { method == "POST" }

  /// What most formats have.
  public static var requestMembers: [[String]] { OpenAICompletions.requestMembers }

  /// Reads what most formats have.
  public static func readRequest(_ body: JSONValue, into facts: inout RequestFacts) {
    OpenAICompletions.readRequest(body, into: &facts)
  }

  /// Finds an error where most formats have it.
  public mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    observation.isOfUnknownDialect = true
    if let error = payload["error"] { observation.errorKind = ErrorReport.kind(of: error) }
  }

  /// Finds nothing.
  public mutating func readBody(_ body: JSONValue, into observation: inout Observation) {}
}
