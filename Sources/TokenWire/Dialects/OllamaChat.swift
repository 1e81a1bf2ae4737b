// Ollama's chat (Documentation.docc/Dialects.md, "Ollama").
import JSON

/// `POST …/api/chat`.
struct OllamaChat: OllamaDialect {
  static let name = "ollama.chat"
  static var operation: String { "chat" }

  init() {}

  static func matches(method: String, path: String) -> Bool {
    method == "POST" && Dialects.path(path, endsIn: "/api/chat")
  }

  static func recognizes(_ payload: JSONValue) -> Bool {
    payload["done"]?.bool != nil && payload["message"]?.isObject == true
  }
}
