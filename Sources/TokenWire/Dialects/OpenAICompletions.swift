// OpenAI legacy completions (Documentation.docc/Dialects.md, "OpenAI Completions").
// It must not know about framing or time.
import JSON

/// `POST …/completions`, except llama.cpp's own `/completions`, whose events have another shape.
struct OpenAICompletions: OpenAIDialect {
  static let name = "openai.completions"

  init() {}

  static func claims(method: String, path: String) -> Bool {
    guard method == "POST", Dialects.path(path, endsIn: "/completions") else { return false }
    // Bare `/completions` is llama.cpp's native API; Mistral's `fim` answers in chat's shape.
    let isOther = ["/chat/completions", "/fim/completions"].contains { Dialects.path(path, endsIn: $0) }
    return !isOther && path != "/completions" && path != "/completions/"
  }

  static func readRequest(_ body: JSONValue, into facts: inout RequestFacts) {
    var prompts = 1
    // A list of prompts, as strings or as lists of token ids; a list of numbers is one prompt.
    if let list = body["prompt"], list.isArray {
      var batch = 0
      list.forEachElement { if $0.isString || $0.isArray { batch += 1 } }
      prompts = max(1, batch)
    }
    let n = max(1, body["n"]?.int ?? 1)
    let (product, overflows) = n.multipliedReportingOverflow(by: prompts)
    facts.choices = overflows ? nil : product
    facts.echo = body["echo"]?.bool
  }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    guard OpenAIShape.speaks(name) else { return }
    OpenAIShape.readEnvelope(payload, into: &observation)
    OpenAIShape.forEachChoice(payload, into: &observation) { choice, observation in
      var output = ChoiceOutput(choice: OpenAIShape.index(choice), scalars: 0, kinds: [])
      output.add(choice["text"], as: .answer, &observation)
      output.tokens = OpenAIShape.tokens(choice)
      guard !output.kinds.isEmpty || Self.isTokenWithoutText(choice, output) else { return }
      observation.outputs.append(output)
    }
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    OpenAIShape.readEnvelope(body, into: &observation)
    OpenAIShape.forEachChoice(body, into: &observation) { choice, observation in
      var output = ChoiceOutput(choice: OpenAIShape.index(choice), scalars: 0, kinds: [])
      output.add(choice["text"], as: .answer, &observation)
      guard !output.kinds.isEmpty else { return }
      output.tokens = OpenAIShape.tokens(choice)
      observation.outputs.append(output)
    }
    observation.usageChoice = nil
  }

  /// There is no role chunk here, so an empty text is a token that decodes to nothing, as it is in chat; but where it
  /// comes with the finish reason it is the closing chunk (llama.cpp), unless the chunk itself names tokens.
  private static func isTokenWithoutText(_ choice: JSONValue, _ output: ChoiceOutput) -> Bool {
    guard choice["text"]?.utf8Count == 0 else { return false }
    return choice.present("finish_reason") == nil || output.tokens != nil
  }
}
