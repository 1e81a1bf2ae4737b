// What Ollama's two endpoints share: the last line with its counts and durations, errors (Documentation.docc/Dialects.md, "Ollama").
import JSON

/// One of Ollama's endpoints: one JSON object a line, streamed unless `stream` is false; a body has a line's shape.
protocol OllamaDialect: Dialect {}

/// The members of a line. Servers that imitate Ollama give either endpoint's text under the other's name.
private enum OllamaKey: String, JSONKey {
  case model, error, object, type, code, message, response, thinking, logprobs, done
  case errorType = "error_type"
  static let table = JSONKeys<OllamaKey>()
}

private enum MessageKey: String, JSONKey {
  case content, thinking, images
  case toolCalls = "tool_calls"
  static let table = JSONKeys<MessageKey>()
}

/// Those of the last line that say how it went.
private enum DoneKey: String, JSONKey {
  case reason = "done_reason"
  case inputTokens = "prompt_eval_count"
  case outputTokens = "eval_count"
  case load = "load_duration"
  case prefill = "prompt_eval_duration"
  case decode = "eval_duration"
  case total = "total_duration"
  static let table = JSONKeys<DoneKey>()
}

extension OllamaDialect {
  static var provider: String { "ollama" }
  static var framing: Framing { .newlineDelimitedJSON }
  static var streamsByDefault: Bool { true }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    readBody(payload, into: &observation)
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    let line = JSONObject<OllamaKey>(body)
    observation.readModel(line[.model])
    observation.errorKind =
      ErrorReport(
        error: line[.error], errorType: line[.errorType], object: line[.object], type: line[.type], code: line[.code]
      ).kind
    if line[.done]?.bool == true { Self.readEnd(body, into: &observation) }
    var output = ChoiceOutput(choice: 0, scalars: 0, kinds: [])
    guard Self.readText(line, into: &output) else { return }
    // The length of `logprobs`, where they were asked for.
    let tokens = line[.logprobs]?.listLength
    guard !output.kinds.isEmpty else {
      return observation.silentChoices.append(SilentChoice(choice: 0, tokens: tokens))
    }
    output.tokens = tokens
    observation.outputs.append(output)
  }

  /// Counts the generated text of a line.
  /// - Returns: whether the line has a place for text at all.
  @inline(__always)
  private static func readText(_ line: JSONObject<OllamaKey>, into output: inout ChoiceOutput) -> Bool {
    output.add(line[.response], as: .answer)
    output.add(line[.thinking], as: .reasoning)
    guard let value = line.present(.message) else { return line[.response] != nil || line[.thinking] != nil }
    let message = JSONObject<MessageKey>(value)
    output.add(message[.content], as: .answer)
    output.add(message[.thinking], as: .reasoning)
    if let calls = message[.toolCalls] { readToolCalls(calls, into: &output) }
    if message[.images]?.listLength != nil { output.kinds.formUnion(.answer) }
    return true
  }

  private static func readToolCalls(_ calls: JSONValue, into output: inout ChoiceOutput) {
    calls.forEachElement { call in
      guard let function = call["function"] else { return }
      output.add(toolName: function["name"])
      // An object here, not a string.
      output.add(compact: function["arguments"], as: .toolCall)
    }
  }

  private static func readEnd(_ body: JSONValue, into observation: inout Observation) {
    let end = JSONObject<DoneKey>(body)
    observation.isTerminator = true
    // `load` and `unload` answer empty prompts: no inference, no counts, no text.
    observation.finishReason = end[.reason]?.name
    let counts = TokenUsage(input: end[.inputTokens]?.tokenCount, output: end[.outputTokens]?.tokenCount)
    if counts != TokenUsage() { observation.serverCounts = counts }
    func milliseconds(_ key: DoneKey) -> Double? { end[key]?.tokenCount.map { Double($0) / 1e6 } }
    var durations = ServerDurations()
    durations.loadMilliseconds = milliseconds(.load)
    durations.prefillMilliseconds = milliseconds(.prefill)
    durations.decodeMilliseconds = milliseconds(.decode)
    durations.totalMilliseconds = milliseconds(.total)
    if durations != ServerDurations() { observation.serverDurations = durations }
  }
}
