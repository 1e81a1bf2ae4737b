// Ollama's chat (dialects.md §2.9).
// It must not know about framing or time.
import JSON

/// `POST …/api/chat`: one JSON object a line, streamed unless `stream` is false; a body has the same shape.
struct OllamaChat: Dialect {
  static let name = "ollama.chat"
  static let framing = Framing.newlineDelimitedJSON
  static var streamsByDefault: Bool { true }
  static var varyingKeys: [StaticString] { ["created_at"] }

  init() {}

  static func claims(method: String, path: String) -> Bool {
    method == "POST" && Dialects.path(path, endsIn: "/api/chat")
  }

  static func readRequest(_ body: JSONValue, into facts: inout RequestFacts) {}

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    readBody(payload, into: &observation)
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
    guard !output.kinds.isEmpty else { return }
    output.tokens = OllamaShape.tokens(body)
    observation.outputs.append(output)
  }
}
