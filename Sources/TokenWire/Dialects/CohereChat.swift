// Cohere's chat, version 2 (Documentation.docc/Dialects.md, "Cohere").
import JSON

/// `POST …/v2/chat`: events whose `type` says what they are, up to `message-end`.
struct CohereChat: Dialect {
  static let name = "cohere.chat"
  static var operation: String { "chat" }
  static var provider: String { "cohere" }
  static var framing: Framing { .serverSentEvents }
  static var terminator: StaticString? { "[DONE]" }

  private enum EventKey: String, JSONKey {
    case type, delta, error, message, usage
    case finish = "finish_reason"
    static let table = JSONKeys<EventKey>()
  }

  private enum MessageKey: String, JSONKey {
    case content
    case plan = "tool_plan"
    case calls = "tool_calls"
    static let table = JSONKeys<MessageKey>()
  }

  private enum UsageKey: String, JSONKey {
    case tokens
    case billed = "billed_units"
    case cached = "cached_tokens"
    static let table = JSONKeys<UsageKey>()
  }

  init() {}

  static func matches(method: String, path: String) -> Bool {
    method == "POST" && Dialects.path(path, endsIn: "/v2/chat")
  }

  static func recognizes(_ payload: JSONValue) -> Bool {
    guard let type = payload["type"] else { return payload["usage"]?["billed_units"] != nil }
    return type.equals("message-start") || type.equals("content-delta") || type.equals("content-start")
  }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    let event = JSONObject<EventKey>(payload)
    observation.errorKind = event[.error].flatMap { ErrorReport.kind(of: $0) }
    guard let type = event[.type], let delta = event.present(.delta) else { return }
    if type.equals("message-end") {
      let end = JSONObject<EventKey>(delta)
      Self.readEnd(end, into: &observation)
      if let error = end.present(.error), observation.errorKind == nil {
        observation.errorKind = error.errorWord ?? "error"
      }
      observation.isTerminator = true
      return
    }
    guard type.hasSuffix("-delta") || type.equals("tool-call-start"),
      let message = JSONObject<EventKey>(delta).present(.message)
    else { return }
    var output = ChoiceOutput(choice: 0, scalars: 0, kinds: [])
    Self.readMessage(message, into: &output)
    if output.kinds.isEmpty { observation.silentChoices.append(0) } else { observation.outputs.append(output) }
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    let answer = JSONObject<EventKey>(body)
    observation.errorKind = answer[.error].flatMap { ErrorReport.kind(of: $0) }
    Self.readEnd(answer, into: &observation)
    var output = ChoiceOutput(choice: 0, scalars: 0, kinds: [])
    if let message = answer.present(.message) { Self.readMessage(message, into: &output) }
    if !output.kinds.isEmpty { observation.outputs.append(output) }
  }

  @inline(__always)
  private static func readMessage(_ value: JSONValue, into output: inout ChoiceOutput) {
    let message = JSONObject<MessageKey>(value)
    if let content = message.present(.content) {
      if content.isArray {
        output.add(parts: content)
      } else {
        output.add(content["text"], as: .answer)
        output.add(content["thinking"], as: .reasoning)
      }
    }
    output.add(message[.plan], as: .reasoning)
    guard let calls = message.present(.calls) else { return }
    if calls.isArray { calls.forEachElement { readCall($0, into: &output) } } else { readCall(calls, into: &output) }
  }

  private static func readCall(_ call: JSONValue, into output: inout ChoiceOutput) {
    guard let function = call["function"] else { return }
    output.add(toolName: function["name"])
    output.add(compact: function["arguments"], as: .toolCall)
  }

  private static func readEnd(_ end: JSONObject<EventKey>, into observation: inout Observation) {
    if let reason = end[.finish]?.name {
      observation.finishReason = reason
      observation.finishedChoices.append(0)
      if reason.hasPrefix("ERROR") { observation.errorKind = reason }
    }
    guard let value = end.present(.usage) else { return }
    let usage = JSONObject<UsageKey>(value)
    // What is billed leaves out what Cohere adds to a prompt.
    guard let tokens = usage.present(.tokens) ?? usage.present(.billed) else { return }
    let counts = TokenUsage(
      input: tokens["input_tokens"]?.tokenCount, cached: usage[.cached]?.tokenCount,
      output: tokens["output_tokens"]?.tokenCount)
    if counts != TokenUsage() { observation.usage = counts }
  }
}
