// What chat and legacy completions share: everything of an event or a body that stands outside a choice's text.
import JSON

/// One of OpenAI's streaming endpoints: `data:` events up to `[DONE]`, each with `choices[]`.
protocol OpenAIDialect: Dialect {
  /// Reads the output of one choice of an event (or of a body, where `isBody`).
  /// - Returns: nil where it carries none.
  static func output(_ choice: OpenAIChoice, isBody: Bool) -> ChoiceOutput?
}

extension OpenAIDialect {
  static var provider: String { "openai" }
  static var framing: Framing { .serverSentEvents }
  static var terminator: StaticString? { "[DONE]" }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    // SGLang sends `event: sglext_ids` among a chat's events; its payload is no chunk.
    guard name.isEmpty || name.equals("message") || name.equals("error") else { return }
    let root = OpenAIRoot(payload, into: &observation)
    root.readChoices(isBody: false, into: &observation) { Self.output($0, isBody: $1) }
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    let root = OpenAIRoot(body, into: &observation)
    root.readChoices(isBody: true, into: &observation) { Self.output($0, isBody: $1) }
    // A body's counts speak of the whole exchange.
    observation.countedChoice = nil
  }
}

/// The outermost object of an event or of a body.
struct OpenAIRoot {
  private enum Key: String, JSONKey {
    case model, error, object, type, code, usage, timings, choices, metrics
    case errorType = "error_type"
    case errorCode = "error_code"
    case baseResponse = "base_resp"
    case groq = "x_groq"
    static let table = JSONKeys<Key>()
  }

  private let choices: JSONValue?

  /// Reads all but the choices.
  @inline(__always)
  init(_ value: JSONValue, into observation: inout Observation) {
    let root = JSONObject<Key>(value)
    choices = root[.choices]
    observation.readModel(root[.model])
    observation.errorKind =
      ErrorReport(
        error: root[.error], errorType: root[.errorType], object: root[.object], type: root[.type], code: root[.code],
        errorCode: root[.errorCode], baseResponse: root[.baseResponse]
      ).kind ?? root[.groq]?["error"].flatMap { ErrorReport.kind(of: $0) }
    // Groq has a usage of its own beside a missing one.
    if let usage = root.present(.usage) ?? root[.groq]?.present("usage") {
      let usage = OpenAIUsage(usage: usage)
      observation.usage = usage.counts
      observation.serverDurations = usage.durations
    }
    if let timings = root.present(.timings) {
      let timings = OpenAIUsage(timings: timings)
      observation.serverCounts = timings.counts
      if let durations = timings.durations { observation.state(durations) }
    }
    if let metrics = root.present(.metrics), let durations = OpenAIUsage(metrics: metrics).durations {
      observation.state(durations)
    }
  }

  /// Reads each choice, notes those without output and, where there is exactly one, says that the event's counts may be
  /// its own.
  @inline(__always)
  func readChoices(
    isBody: Bool, into observation: inout Observation, _ output: (OpenAIChoice, _ isBody: Bool) -> ChoiceOutput?
  ) {
    guard let choices, choices.isArray else { return }
    var count = 0
    var first = 0
    choices.forEachElement { value in
      let choice = OpenAIChoice(value)
      if count == 0 { first = choice.index }
      count += 1
      if choice.members.present(.finishReason) != nil { choice.readFinish(into: &observation) }
      if let error = choice.members[.error], let kind = ErrorReport.kind(of: error) { observation.errorKind = kind }
      // Without a delta the answer may stand where a body has it.
      let isMessage = !isBody && choice.members.present(.delta) == nil && choice.members.present(.message) != nil
      if isMessage { observation.isWholeMessage = true }
      if let output = output(choice, isBody || isMessage) {
        observation.outputs.append(output)
      } else {
        observation.silentChoices.append(SilentChoice(choice: choice.index, tokens: choice.tokens))
      }
    }
    if count == 1, observation.usage != nil || observation.serverCounts != nil { observation.countedChoice = first }
    // A failure may come as a chunk with an empty delta: that is no token.
    if observation.errorKind != nil { observation.silenceOutputs { $0.kinds.isEmpty } }
  }
}

/// One element of `choices[]`.
struct OpenAIChoice {
  enum Key: String, JSONKey {
    case index, delta, message, text, logprobs, error
    case finishReason = "finish_reason"
    case tokenIDs = "token_ids"
    case outputIDs = "output_ids"
    static let table = JSONKeys<Key>()
  }

  private enum LogprobsKey: String, JSONKey {
    case tokens, content, refusal
    static let table = JSONKeys<LogprobsKey>()
  }

  let members: JSONObject<Key>

  @inline(__always)
  init(_ value: JSONValue) { members = JSONObject(value) }

  /// The choice's number; 0 where it has none.
  @inline(__always)
  var index: Int { members[.index]?.tokenCount ?? 0 }

  /// The reason why the choice ended, where one is given. `"null"` and the empty string are none; `error` is a failure.
  func readFinish(into observation: inout Observation) {
    guard let value = members[.finishReason], let reason = value.name, !value.equals("null") else { return }
    observation.finishReason = reason
    observation.finishedChoices.append(index)
    if value.equals("error"), observation.errorKind == nil { observation.errorKind = "error" }
  }

  /// An output of this choice that says nothing yet.
  @inline(__always)
  var emptyOutput: ChoiceOutput { ChoiceOutput(choice: index, scalars: 0, kinds: []) }

  /// Tokens that the choice says it carries: vLLM's `token_ids`, LMDeploy's `output_ids`, else the lengths of logprobs.
  @inline(__always)
  var tokens: Int? {
    if let count = members[.tokenIDs]?.listLength ?? members[.outputIDs]?.listLength { return count }
    guard let logprobs = members.present(.logprobs) else { return nil }
    return Self.tokens(logprobs)
  }

  private static func tokens(_ logprobs: JSONValue) -> Int? {
    let lists = JSONObject<LogprobsKey>(logprobs)
    if let count = lists[.tokens]?.listLength { return count }
    // Chat has these two; legacy completions has `tokens`.
    let count = (lists[.content]?.listLength ?? 0) + (lists[.refusal]?.listLength ?? 0)
    return count > 0 ? count : nil
  }
}
