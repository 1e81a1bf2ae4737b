// Ollama's generate (dialects.md §2.9).
// It must not know about framing or time.
import JSON

/// `POST …/api/generate`: one JSON object a line, streamed unless `stream` is false; a body has the same shape.
struct OllamaGenerate: Dialect {
  static let name = "ollama.generate"
  static let framing = Framing.newlineDelimitedJSON
  static var streamsByDefault: Bool { true }
  static var varyingKeys: [StaticString] { ["created_at"] }

  init() {}

  static func claims(method: String, path: String) -> Bool {
    method == "POST" && Dialects.path(path, endsIn: "/api/generate")
  }

  static func readRequest(_ body: JSONValue, into facts: inout RequestFacts) {}

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    readBody(payload, into: &observation)
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    OllamaShape.readEnvelope(body, into: &observation)
    var output = ChoiceOutput(choice: 0, scalars: 0, kinds: [])
    output.add(body["response"], as: .answer, &observation)
    output.add(body["thinking"], as: .reasoning, &observation)
    guard !output.kinds.isEmpty else { return }
    output.tokens = OllamaShape.tokens(body)
    observation.outputs.append(output)
  }
}
