// OpenAI chat completions, as OpenAI and everyone after it writes them
// (Documentation.docc/Dialects.md, "OpenAI Chat Completions" and "Servers").
// It must not know about framing or time.
import JSON

/// `POST …/chat/completions`.
struct OpenAIChat: OpenAIDialect {
  static let name = "openai.chat"

  init() {}

  static func claims(method: String, path: String) -> Bool {
    method == "POST" && Dialects.path(path, endsIn: "/chat/completions")
  }

  static func readRequest(_ body: JSONValue, into facts: inout RequestFacts) {
    if let n = body["n"]?.int, n >= 1 { facts.choices = n }
  }

  static func readsFromRequest(_ key: RawSpan) -> Bool { key.equals("n") }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    guard OpenAIShape.speaks(name) else { return }
    OpenAIShape.readEnvelope(payload, into: &observation)
    OpenAIShape.forEachChoice(payload, into: &observation) { choice, observation in
      guard let delta = choice.present("delta") else { return }
      var output = ChoiceOutput(choice: OpenAIShape.index(choice), scalars: 0, kinds: [])
      Self.readMessage(delta, into: &output, &observation)
      // Text first, role second: some servers put the role on every token.
      guard !output.kinds.isEmpty || Self.isTokenWithoutText(delta) else { return }
      output.tokens = OpenAIShape.tokens(choice)
      observation.outputs.append(output)
    }
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    OpenAIShape.readEnvelope(body, into: &observation)
    OpenAIShape.forEachChoice(body, into: &observation) { choice, observation in
      guard let message = choice.present("message") else { return }
      var output = ChoiceOutput(choice: OpenAIShape.index(choice), scalars: 0, kinds: [])
      Self.readMessage(message, into: &output, &observation)
      guard !output.kinds.isEmpty else { return }
      output.tokens = OpenAIShape.tokens(choice)
      observation.outputs.append(output)
    }
    // A body's usage speaks of the whole exchange.
    observation.usageChoice = nil
  }

  /// The empty string in a delta that has no role: a token that decodes to nothing
  /// (Documentation.docc/Metrics.md, "Token-bearing events").
  private static func isTokenWithoutText(_ delta: JSONValue) -> Bool {
    guard delta.present("role") == nil else { return false }
    return delta["content"]?.utf8Count == 0 || delta["reasoning_content"]?.utf8Count == 0
      || delta["reasoning"]?.utf8Count == 0
  }

  /// Counts all generated text of a delta or a message.
  private static func readMessage(
    _ message: JSONValue, into output: inout ChoiceOutput, _ observation: inout Observation
  ) {
    readContent(message["content"], into: &output, &observation)
    output.add(message["refusal"], as: .answer, &observation)
    readReasoning(message, into: &output, &observation)
    readToolCalls(message, into: &output, &observation)
    if let audio = message.present("audio") {
      output.add(audio["transcript"], as: .answer, &observation)
      if let sound = audio["data"]?.utf8Count, sound > 0 { output.kinds.formUnion(.answer) }
    }
  }

  /// A string, or Mistral's list of parts: `{"type":"text","text"}`, `{"type":"thinking","thinking":[parts]}`.
  private static func readContent(
    _ content: JSONValue?, into output: inout ChoiceOutput, _ observation: inout Observation
  ) {
    guard let content else { return }
    output.add(content, as: .answer, &observation)
    content.forEachElement { part in
      output.add(part["text"], as: .answer, &observation)
      output.add(part["refusal"], as: .answer, &observation)
      guard let thinking = part["thinking"] else { return }
      output.add(thinking, as: .reasoning, &observation)
      thinking.forEachElement { output.add($0["text"], as: .reasoning, &observation) }
    }
  }

  /// Servers give reasoning different names, and some the same text under two of them: the first that has text counts.
  private static func readReasoning(
    _ message: JSONValue, into output: inout ChoiceOutput, _ observation: inout Observation
  ) {
    let before = output.scalars
    output.add(message["reasoning_content"], as: .reasoning, &observation)
    if output.scalars == before { output.add(message["reasoning"], as: .reasoning, &observation) }
    if output.scalars == before { output.add(message["thinking"], as: .reasoning, &observation) }
    guard output.scalars == before else { return }
    // OpenRouter's list; encrypted details carry nothing that can be counted.
    message["reasoning_details"]?.forEachElement { detail in
      output.add(detail["text"], as: .reasoning, &observation)
      output.add(detail["summary"], as: .reasoning, &observation)
    }
  }

  private static func readToolCalls(
    _ message: JSONValue, into output: inout ChoiceOutput, _ observation: inout Observation
  ) {
    message["tool_calls"]?.forEachElement { call in
      readFunction(call["function"], into: &output, &observation)
      output.add(call["custom"]?["name"], as: .toolCall, &observation)
      output.add(call["custom"]?["input"], as: .toolCall, &observation)
    }
    readFunction(message["function_call"], into: &output, &observation)
  }

  private static func readFunction(
    _ function: JSONValue?, into output: inout ChoiceOutput, _ observation: inout Observation
  ) {
    output.add(function?["name"], as: .toolCall, &observation)
    output.add(compact: function?["arguments"], as: .toolCall, &observation)
  }
}
