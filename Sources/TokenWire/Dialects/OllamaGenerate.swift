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

  @inline(__always)
  static func readText(_ line: JSONObject<OllamaKey>, into output: inout ChoiceOutput) -> Bool {
    output.add(line[.response], as: .answer)
    output.add(line[.thinking], as: .reasoning)
    return true
  }
}
