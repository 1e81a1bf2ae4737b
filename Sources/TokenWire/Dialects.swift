// The dialects that there are, one line each.
import JSON

/// The dialects that can be measured.
public enum Dialects {
  /// All of them. No request matches two.
  public static let all: [any Dialect.Type] = [
    OpenAIChat.self,
    OpenAICompletions.self,
    OllamaChat.self,
    OllamaGenerate.self,
  ]

  /// The dialect of a request, or nil for one that passes through unmeasured.
  /// - Parameters:
  ///   - method: as the client wrote it.
  ///   - path: without its query.
  public static func matching(method: String, path: String) -> (any Dialect.Type)? {
    all.first { $0.matches(method: method, path: path) }
  }

  /// The dialect whose shape an event or a body has, or nil.
  static func recognizing(_ payload: JSONValue) -> (any Dialect.Type)? { all.first { $0.recognizes(payload) } }

  /// The dialect of that name (Documentation.docc/Record.md, `dialect`), or nil.
  public static func named(_ name: String) -> (any Dialect.Type)? { all.first { $0.name == name } }

  /// Whether `path` is `ending` or ends in it, whatever stands before (`/openai/deployments/x`), one slash at its end
  /// let pass.
  static func path(_ path: String, endsIn ending: String) -> Bool {
    path.hasSuffix(ending) || (path.utf8.last == UInt8(ascii: "/") && path.dropLast().hasSuffix(ending))
  }
}
