// Ollama's chat (Documentation.docc/Dialects.md, "Ollama").
// It must not know about framing or time.
import JSON

/// `POST …/api/chat`.
struct OllamaChat: OllamaDialect {
  static let name = "ollama.chat"

  init() {}

  static func claims(method: String, path: String) -> Bool {
    method == "POST" && Dialects.path(path, endsIn: "/api/chat")
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    OllamaShape.readEnvelope(body, into: &observation)
    guard let message = body.present("message") else { return }
    var output = ChoiceOutput(choice: 0, scalars: 0, kinds: [])
    output.add(message["content"], as: .answer, &observation)
    output.add(message["thinking"], as: .reasoning, &observation)
    message["tool_calls"]?.forEachElement { call in
      output.add(call["function"]?["name"], as: .toolCall, &observation)
      // An object here, not a string.
      output.add(compact: call["function"]?["arguments"], as: .toolCall, &observation)
    }
    guard !output.kinds.isEmpty else { return observation.silentChoices.append(0) }
    output.tokens = OllamaShape.tokens(body)
    observation.outputs.append(output)
  }
}
