// OpenAI chat completions, as OpenAI and everyone after it writes them (Documentation.docc/Dialects.md, "OpenAI Chat Completions").
import JSON

/// `POST …/chat/completions`, and Mistral's `…/fim/completions`, which answers in the same shape.
struct OpenAIChat: OpenAIDialect {
  static let name = "openai.chat"
  static var operation: String { "chat" }

  init() {}

  static func matches(method: String, path: String) -> Bool {
    method == "POST"
      && (Dialects.path(path, endsIn: "/chat/completions") || Dialects.path(path, endsIn: "/fim/completions"))
  }

  static func recognizes(_ payload: JSONValue) -> Bool {
    guard let choice = payload["choices"]?.firstElement else {
      return payload["object"]?.equals("chat.completion.chunk") == true
    }
    return choice["delta"]?.isObject == true || choice["message"]?.isObject == true
  }

  static var requestMembers: [[String]] { [["n"], ["echo"]] }

  static func readRequest(_ body: JSONValue, into facts: inout RequestFacts) {
    if let n = body["n"]?.int, n >= 1 { facts.choices = n }
    facts.echo = body["echo"]?.bool
  }

  @inline(__always)
  static func output(_ choice: OpenAIChoice, isBody: Bool) -> ChoiceOutput? {
    guard let value = choice.members.present(isBody ? .message : .delta) else {
      return choice.members.present(.text) == nil ? nil : OpenAICompletions.output(choice, isBody: isBody)
    }
    let message = JSONObject<MessageKey>(value)
    var output = choice.emptyOutput
    readText(message, into: &output)
    // Text is tested before the role: some servers put the role on every token.
    guard !output.kinds.isEmpty || (!isBody && isTokenWithoutText(message)) else { return nil }
    output.tokens = choice.tokens
    return output
  }

  // MARK: A delta or a message

  private enum MessageKey: String, JSONKey {
    case role, content, refusal, reasoning, thinking, audio, images
    case reasoningContent = "reasoning_content"
    case reasoningText = "reasoning_text"
    case summary = "cot_summary"
    case reasoningDetails = "reasoning_details"
    case toolCalls = "tool_calls"
    case functionCall = "function_call"
    static let table = JSONKeys<MessageKey>()
  }

  /// The empty string in a delta that has no role: a token that decodes to nothing (Documentation.docc/Metrics.md, "Token-bearing events").
  private static func isTokenWithoutText(_ delta: JSONObject<MessageKey>) -> Bool {
    guard delta.present(.role) == nil else { return false }
    return delta[.content]?.utf8Count == 0 || delta[.reasoningContent]?.utf8Count == 0
      || delta[.reasoning]?.utf8Count == 0
  }

  /// Counts all generated text.
  @inline(__always)
  private static func readText(_ message: JSONObject<MessageKey>, into output: inout ChoiceOutput) {
    if let content = message[.content] {
      output.add(content, as: .answer)
      if content.isArray { output.add(parts: content) }
      if content.isObject { output.add(wrapped: content, as: .answer) }
    }
    output.add(message[.refusal], as: .answer)
    readReasoning(message, into: &output)
    if let calls = message[.toolCalls] { readToolCalls(calls, into: &output) }
    if let call = message[.functionCall] { readFunction(call, into: &output) }
    if let audio = message.present(.audio) { readAudio(audio, into: &output) }
    // Pictures are output without characters.
    if message[.images]?.listLength != nil { output.kinds.formUnion(.answer) }
  }

  /// Servers give reasoning different names, and some the same text under two of them: the first that has text counts.
  @inline(__always)
  private static func readReasoning(_ message: JSONObject<MessageKey>, into output: inout ChoiceOutput) {
    output.add(wrapped: message[.reasoningContent], as: .reasoning)
    if !output.kinds.contains(.reasoning) { output.add(wrapped: message[.reasoning], as: .reasoning) }
    if !output.kinds.contains(.reasoning) { output.add(wrapped: message[.reasoningText], as: .reasoning) }
    if !output.kinds.contains(.reasoning) { output.add(wrapped: message[.thinking], as: .reasoning) }
    if !output.kinds.contains(.reasoning) { output.add(wrapped: message[.summary], as: .reasoning) }
    // OpenRouter's list; encrypted details carry nothing that can be counted.
    if !output.kinds.contains(.reasoning) { output.add(wrapped: message[.reasoningDetails], as: .reasoning) }
  }

  private static func readToolCalls(_ calls: JSONValue, into output: inout ChoiceOutput) {
    calls.forEachElement { call in
      if let function = call["function"] { readFunction(function, into: &output) }
      guard let custom = call["custom"] else { return }
      output.add(toolName: custom["name"])
      output.add(custom["input"], as: .toolCall)
    }
  }

  private static func readFunction(_ function: JSONValue, into output: inout ChoiceOutput) {
    output.add(toolName: function["name"])
    output.add(compact: function["arguments"], as: .toolCall)
  }

  private static func readAudio(_ audio: JSONValue, into output: inout ChoiceOutput) {
    output.add(audio["transcript"], as: .answer)
    if let sound = audio["data"]?.utf8Count, sound > 0 { output.kinds.formUnion(.answer) }
  }
}
