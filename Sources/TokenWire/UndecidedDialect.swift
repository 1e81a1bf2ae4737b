// What is read of a response before its first event has shown whose format it has.
import JSON

/// Stands for the dialect of a request that no path claims, until an event shows the dialect's shape. Its streams have events,
/// and no tokens.
public struct UndecidedDialect: Dialect {
  public static let name = "undecided"
  public static var operation: String { "" }
  public static var provider: String { "" }
  public static var framing: Framing { .serverSentEvents }
  public static var terminator: StaticString? { "[DONE]" }
  public static var promisesTerminator: Bool { false }

  public init() {}

  public static func matches(method: String, path: String) -> Bool { method == "POST" }

  public static func readRequest(_ body: JSONValue, into facts: inout RequestFacts) {
    OpenAICompletions.readRequest(body, into: &facts)
  }

  public mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    observation.isOfUnknownDialect = true
    if let error = payload["error"] { observation.errorKind = ErrorReport.kind(of: error) }
  }

  public mutating func readBody(_ body: JSONValue, into observation: inout Observation) {}
}
