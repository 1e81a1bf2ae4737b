// OpenAI Responses, as OpenAI, llama.cpp, vLLM and others write them (Documentation.docc/Dialects.md, "OpenAI Responses").
import JSON

/// `POST …/responses`: named events whose `type` says what they are, up to the one that holds the whole response.
struct OpenAIResponses: Dialect {
  static let name = "openai.responses"
  static var operation: String { "chat" }
  static var provider: String { "openai" }
  static var framing: Framing { .serverSentEvents }
  /// None is promised, but some servers send one behind the last event.
  static var terminator: StaticString? { "[DONE]" }

  private enum EventKey: String, JSONKey {
    case type, delta, response, error, code, logprobs, timings, item
    static let table = JSONKeys<EventKey>()
  }

  private enum ResponseKey: String, JSONKey {
    case id, object, model, status, error, usage, output, timings
    case incomplete = "incomplete_details"
    case errorType = "error_type"
    static let table = JSONKeys<ResponseKey>()
  }

  private enum ItemKey: String, JSONKey {
    case type, content, summary, name, arguments, input, result, action
    static let table = JSONKeys<ItemKey>()
  }

  init() {}

  static func matches(method: String, path: String) -> Bool {
    method == "POST" && Dialects.path(path, endsIn: "/responses")
  }

  static func recognizes(_ payload: JSONValue) -> Bool {
    payload["type"]?.hasPrefix("response.") == true || payload["object"]?.equals("response") == true
  }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    let event = JSONObject<EventKey>(payload)
    guard let type = event[.type] else {
      observation.errorKind = ErrorReport(error: event[.error]).kind
      return
    }
    if let kind = Self.kind(ofDelta: type) { return Self.readDelta(event, kind, into: &observation) }
    if let response = event.present(.response) {
      readResponse(response, into: &observation)
      let isEnd =
        type.equals("response.completed") || type.equals("response.incomplete") || type.equals("response.failed")
        || type.equals("response.cancelled")
      if isEnd { observation.isTerminator = true } else { observation.finishReason = nil }
      // llama.cpp has its times beside the response.
      if let timings = event.present(.timings) { Self.readTimings(timings, into: &observation) }
    } else if type.equals("response.output_item.added") {
      if event[.item]?["type"]?.hasSuffix("_call") == true, event[.item]?["name"]?.hasText == true {
        observation.toolCalls = 1
      }
    } else if type.equals("error") {
      observation.errorKind = event[.error].flatMap { ErrorReport.kind(of: $0) } ?? event[.code]?.errorWord ?? "error"
      observation.isTerminator = true
    }
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    readResponse(body, into: &observation)
    let response = JSONObject<ResponseKey>(body)
    var output = ChoiceOutput(choice: 0, scalars: 0, kinds: [])
    response[.output]?.forEachElement { Self.readItem($0, into: &output) }
    if !output.kinds.isEmpty { observation.outputs.append(output) }
    if let timings = response.present(.timings) { Self.readTimings(timings, into: &observation) }
  }

  // MARK: Deltas

  /// The kind of output in an event of that type; nil where it carries none: every `…delta` but a tool's own output does.
  @inline(__always)
  private static func kind(ofDelta type: JSONValue) -> OutputKinds? {
    if type.equals("response.output_text.delta") { return .answer }
    guard type.hasSuffix(".delta"), !type.contains("_output_content") else { return nil }
    if type.contains("reasoning") { return .reasoning }
    let isTool = type.contains("_call") || type.contains("arguments")
    return isTool ? .toolCall : .answer
  }

  private static func readDelta(
    _ event: JSONObject<EventKey>, _ kind: OutputKinds, into observation: inout Observation
  ) {
    var output = ChoiceOutput(choice: 0, scalars: 0, kinds: [])
    if event[.type]?.equals("response.audio.delta") == true {
      // A sound has no characters.
      if event[.delta]?.hasText == true { output.kinds = .answer }
    } else {
      output.add(wrapped: event[.delta], as: kind)
    }
    guard !output.kinds.isEmpty else { return observation.silentChoices.append(0) }
    output.tokens = event[.logprobs]?.listLength
    observation.outputs.append(output)
  }

  // MARK: The response

  private func readResponse(_ value: JSONValue, into observation: inout Observation) {
    let response = JSONObject<ResponseKey>(value)
    observation.readModel(response[.model])
    observation.errorKind =
      ErrorReport(error: response[.error], errorType: response[.errorType], object: response[.object]).kind
    if let usage = response.present(.usage) { observation.usage = OpenAIUsage(usage: usage).counts }
    guard let status = response[.status], status.isString else { return }
    if status.equals("failed"), observation.errorKind == nil { observation.errorKind = "failed" }
    observation.finishReason = response.present(.incomplete)?["reason"]?.name ?? status.name
  }

  private static func readItem(_ value: JSONValue, into output: inout ChoiceOutput) {
    let item = JSONObject<ItemKey>(value)
    let isReasoning = item[.type]?.equals("reasoning") == true
    if isReasoning {
      output.add(wrapped: item[.content], as: .reasoning)
      output.add(wrapped: item[.summary], as: .reasoning)
    } else if let content = item[.content] {
      output.add(parts: content)
    }
    guard item[.type]?.hasSuffix("_call") == true else { return }
    output.add(toolName: item[.name])
    output.add(compact: item[.arguments], as: .toolCall)
    output.add(item[.input], as: .toolCall)
    // A picture that was made.
    if item[.result]?.hasText == true { output.kinds.formUnion(.answer) }
  }

  private static func readTimings(_ value: JSONValue, into observation: inout Observation) {
    let timings = OpenAIUsage(timings: value)
    observation.serverCounts = timings.counts
    observation.serverDurations = timings.durations
  }
}
