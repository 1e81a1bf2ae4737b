// Ollama's chat (Documentation.docc/Dialects.md, "Ollama").
import JSON

/// `POST …/api/chat`.
struct OllamaChat: OllamaDialect {
  static let name = "ollama.chat"
  static var operation: String { "chat" }

  private enum MessageKey: String, JSONKey {
    case content, thinking
    case toolCalls = "tool_calls"
    static let table = JSONKeys<MessageKey>()
  }

  init() {}

  static func matches(method: String, path: String) -> Bool {
    method == "POST" && Dialects.path(path, endsIn: "/api/chat")
  }

  @inline(__always)
  static func readText(_ line: JSONObject<OllamaKey>, into output: inout ChoiceOutput) -> Bool {
    guard let value = line.present(.message) else { return false }
    let message = JSONObject<MessageKey>(value)
    output.add(message[.content], as: .answer)
    output.add(message[.thinking], as: .reasoning)
    if let calls = message[.toolCalls] { readToolCalls(calls, into: &output) }
    return true
  }

  private static func readToolCalls(_ calls: JSONValue, into output: inout ChoiceOutput) {
    calls.forEachElement { call in
      guard let function = call["function"] else { return }
      output.add(function["name"], as: .toolCall)
      // An object here, not a string.
      output.add(compact: function["arguments"], as: .toolCall)
    }
  }
}
