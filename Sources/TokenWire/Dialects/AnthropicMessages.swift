// Anthropic Messages, as Anthropic, vLLM, llama.cpp, Ollama and others write them
// (Documentation.docc/Dialects.md, "Anthropic Messages").
import JSON

/// `POST …/messages`: named events from `message_start` to `message_stop`.
struct AnthropicMessages: Dialect {
  static let name = "anthropic.messages"
  static var operation: String { "chat" }
  static var provider: String { "anthropic" }
  static var framing: Framing { .serverSentEvents }
  /// None is promised, but servers that imitate the API send one.
  static var terminator: StaticString? { "[DONE]" }

  private enum EventKey: String, JSONKey {
    case type, message, delta, usage, error
    case block = "content_block"
    static let table = JSONKeys<EventKey>()
  }

  private enum DeltaKey: String, JSONKey {
    case text, thinking, content, delta
    case json = "partial_json"
    case stopReason = "stop_reason"
    static let table = JSONKeys<DeltaKey>()
  }

  private enum MessageKey: String, JSONKey {
    case type, model, content, usage, error
    case stopReason = "stop_reason"
    static let table = JSONKeys<MessageKey>()
  }

  private enum UsageKey: String, JSONKey {
    case input = "input_tokens"
    case cacheWrite = "cache_creation_input_tokens"
    case cacheRead = "cache_read_input_tokens"
    case output = "output_tokens"
    case details = "output_tokens_details"
    static let table = JSONKeys<UsageKey>()
  }

  /// The parts of the prompt as they were last stated: a later usage may state one of them anew.
  private var input: Int?
  private var cacheWrite: Int?
  private var cacheRead: Int?

  init() {}

  static func matches(method: String, path: String) -> Bool {
    method == "POST" && Dialects.path(path, endsIn: "/messages")
  }

  static func recognizes(_ payload: JSONValue) -> Bool {
    guard let type = payload["type"] else { return false }
    return type.equals("message_start") || type.hasPrefix("content_block_")
      || (type.equals("message") && payload["content"]?.isArray == true)
  }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    let event = JSONObject<EventKey>(payload)
    guard let type = event[.type] else {
      observation.errorKind = ErrorReport(error: event[.error]).kind
      return
    }
    if type.equals("content_block_delta") { return Self.readDelta(event[.delta], into: &observation) }
    if let message = event.present(.message), type.equals("message_start") {
      let message = JSONObject<MessageKey>(message)
      observation.readModel(message[.model])
      // Its count of the output is a placeholder.
      if let usage = message.present(.usage) { readUsage(usage, isFinal: false, into: &observation) }
    } else if type.equals("message_delta") {
      if let usage = event.present(.usage) { readUsage(usage, isFinal: true, into: &observation) }
      let delta = JSONObject<DeltaKey>(event[.delta])
      if let reason = delta[.stopReason]?.name { finish(reason, &observation) }
      // A simulator wraps the block's delta in it.
      if let inner = delta.present(.delta) { Self.readDelta(inner, into: &observation) }
    } else if type.equals("content_block_start") {
      if event[.block]?["type"]?.hasSuffix("tool_use") == true { observation.toolCalls = 1 }
    } else if type.equals("message_stop") {
      observation.isTerminator = true
    } else if type.equals("error") {
      observation.errorKind = event[.error].flatMap { ErrorReport.kind(of: $0) } ?? "error"
    }
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    let message = JSONObject<MessageKey>(body)
    observation.readModel(message[.model])
    observation.errorKind =
      message[.error].flatMap { ErrorReport.kind(of: $0) } ?? (message[.type]?.equals("error") == true ? "error" : nil)
    if let usage = message.present(.usage) { readUsage(usage, isFinal: true, into: &observation) }
    if let reason = message[.stopReason]?.name { finish(reason, &observation) }
    var output = ChoiceOutput(choice: 0, scalars: 0, kinds: [])
    message[.content]?.forEachElement { Self.readBlock($0, into: &output) }
    if !output.kinds.isEmpty { observation.outputs.append(output) }
  }

  private func finish(_ reason: String, _ observation: inout Observation) {
    observation.finishReason = reason
    observation.finishedChoices.append(0)
  }

  // MARK: Text

  @inline(__always)
  private static func readDelta(_ value: JSONValue?, into observation: inout Observation) {
    let delta = JSONObject<DeltaKey>(value)
    var output = ChoiceOutput(choice: 0, scalars: 0, kinds: [])
    output.add(delta[.text], as: .answer)
    output.add(delta[.thinking], as: .reasoning)
    output.add(delta[.json], as: .toolCall)
    output.add(delta[.content], as: .answer)
    if output.kinds.isEmpty { observation.silentChoices.append(0) } else { observation.outputs.append(output) }
  }

  private static func readBlock(_ block: JSONValue, into output: inout ChoiceOutput) {
    output.add(block["text"], as: .answer)
    output.add(block["thinking"], as: .reasoning)
    guard block["type"]?.hasSuffix("tool_use") == true else { return }
    output.add(toolName: block["name"])
    output.add(compact: block["input"], as: .toolCall)
  }

  // MARK: Counts

  /// - Parameter isFinal: whether it counts the output so far.
  private mutating func readUsage(_ value: JSONValue, isFinal: Bool, into observation: inout Observation) {
    let usage = JSONObject<UsageKey>(value)
    let isStated = usage[.input] != nil || usage[.cacheWrite] != nil || usage[.cacheRead] != nil
    input = usage[.input]?.tokenCount ?? input
    cacheWrite = usage[.cacheWrite]?.tokenCount ?? cacheWrite
    cacheRead = usage[.cacheRead]?.tokenCount ?? cacheRead
    var counts = TokenUsage()
    if isStated, let input {
      // What is cached is not in `input_tokens` here.
      counts.input = input + (cacheWrite ?? 0) + (cacheRead ?? 0)
      counts.cached = cacheRead
      counts.cacheWrite = cacheWrite
    }
    if isFinal { counts.output = usage[.output]?.tokenCount }
    let details = usage.present(.details)
    counts.reasoning = details?["thinking_tokens"]?.tokenCount ?? details?["reasoning_tokens"]?.tokenCount
    if counts != TokenUsage() { observation.usage = counts }
  }
}
