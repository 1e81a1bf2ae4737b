// Ollama's generate (Documentation.docc/Dialects.md, "Ollama").
import JSON

/// `POST …/api/generate`.
struct OllamaGenerate: OllamaDialect {
  static let name = "ollama.generate"
  static var operation: String { "text_completion" }

  init() {}

  static func matches(method: String, path: String) -> Bool {
    method == "POST" && Dialects.path(path, endsIn: "/api/generate")
  }

  static func recognizes(_ payload: JSONValue) -> Bool {
    payload["done"]?.bool != nil && payload["response"]?.isString == true
  }
}
