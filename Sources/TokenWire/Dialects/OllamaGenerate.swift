// Ollama's generate (Documentation.docc/Dialects.md, "Ollama").
// It must not know about framing or time.
import JSON

/// `POST …/api/generate`.
struct OllamaGenerate: OllamaDialect {
  static let name = "ollama.generate"

  init() {}

  static func claims(method: String, path: String) -> Bool {
    method == "POST" && Dialects.path(path, endsIn: "/api/generate")
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    OllamaShape.readEnvelope(body, into: &observation)
    var output = ChoiceOutput(choice: 0, scalars: 0, kinds: [])
    output.add(body["response"], as: .answer, &observation)
    output.add(body["thinking"], as: .reasoning, &observation)
    guard !output.kinds.isEmpty else { return observation.silentChoices.append(0) }
    output.tokens = OllamaShape.tokens(body)
    observation.outputs.append(output)
  }
}
