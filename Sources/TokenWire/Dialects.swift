// The dialects that there are, one line each.
import JSON

/// The dialect that is spoken on the paths with an ending.
public struct DialectRoute: Sendable {
  let ending: String
  let dialect: any Dialect.Type

  /// Makes the rule of one ending; nil where no dialect has that name.
  public init?(ending: String, dialect name: String) {
    guard let dialect = Dialects.named(name) else { return nil }
    self.ending = ending
    self.dialect = dialect
  }
}

/// The dialects that can be measured.
public enum Dialects {
  /// All of them. No request matches two.
  public static let all: [any Dialect.Type] = [
    OpenAIChat.self,
    OpenAICompletions.self,
    OpenAIResponses.self,
    AnthropicMessages.self,
    OllamaChat.self,
    OllamaGenerate.self,
    LlamaCompletion.self,
    SGLangGenerate.self,
    TGIGenerate.self,
    VLLMGenerate.self,
    GeminiGenerate.self,
    TritonGenerate.self,
    CohereChat.self,
    Embeddings.self,
    Rerank.self,
    OpenAISpeech.self,
    OpenAITranscription.self,
  ]

  /// The dialect of a request, or nil where its path says nothing.
  /// - Parameters:
  ///   - method: as the client wrote it.
  ///   - path: without its query.
  public static func matching(method: String, path: String) -> (any Dialect.Type)? {
    all.first { $0.matches(method: method, path: path) }
  }

  /// The dialect that somebody has given to a path: that of the first ending that fits.
  public static func configured(_ routes: [DialectRoute], path: String) -> (any Dialect.Type)? {
    routes.first { self.path(path, endsIn: $0.ending) }?.dialect
  }

  /// The dialect whose shape an event or a body has, or nil.
  static func recognizing(_ payload: JSONValue) -> (any Dialect.Type)? { all.first { $0.recognizes(payload) } }

  /// The dialect of that name (Documentation.docc/Record.md, `dialect`), or nil.
  public static func named(_ name: String) -> (any Dialect.Type)? { all.first { $0.name == name } }

  /// The model that a path names: `…/models/NAME:generateContent`, `…/models/NAME/generate`, `…/deployments/NAME/…`.
  public static func model(inPath path: String) -> String? {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    for (part, next) in zip(parts, parts.dropFirst()) where part == "models" || part == "deployments" {
      let name = next.prefix { $0 != ":" }
      if !name.isEmpty, name.utf8.count < next.utf8.count || next != parts.last { return String(name) }
    }
    return nil
  }

  /// Whether `path` names a model the way Triton does: `…/v2/models/NAME/…`.
  static func isModelPath(_ path: String) -> Bool { path.contains("/v2/models/") }

  /// Whether `path` is `ending` or ends in it, whatever stands before (`/openai/deployments/x`), one slash at its end
  /// let pass.
  static func path(_ path: String, endsIn ending: String) -> Bool {
    path.hasSuffix(ending) || (path.utf8.last == UInt8(ascii: "/") && path.dropLast().hasSuffix(ending))
  }
}
