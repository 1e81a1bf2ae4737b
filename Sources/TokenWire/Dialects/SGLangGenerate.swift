// SGLang's native API, and LMDeploy's of the same shape (Documentation.docc/Dialects.md, "SGLang").
import JSON

/// `POST …/generate`: `data:` events up to `[DONE]`, with the text so far or the new text, and counts in `meta_info`.
struct SGLangGenerate: Dialect {
  static let name = "sglang.generate"
  static var operation: String { "text_completion" }
  static var provider: String { "sglang" }
  static var framing: Framing { .serverSentEvents }
  static var terminator: StaticString? { "[DONE]" }

  private enum EventKey: String, JSONKey {
    case text, index, error, object, code, model
    case ids = "output_ids"
    case meta = "meta_info"
    static let table = JSONKeys<EventKey>()
  }

  private enum MetaKey: String, JSONKey {
    case finish = "finish_reason"
    case input = "prompt_tokens"
    case output = "completion_tokens"
    case cached = "cached_tokens"
    case reasoning = "reasoning_tokens"
    case total = "e2e_latency"
    case queue = "queue_time"
    case drafted = "spec_draft_token_num"
    case accepted = "spec_accept_token_num"
    case acceptanceRate = "spec_accept_rate"
    case acceptanceLength = "spec_accept_length"
    static let table = JSONKeys<MetaKey>()
  }

  /// What is known of one prompt of a batch.
  private struct Progress {
    var index: Int
    var tokens = 0
    var scalars = 0
  }

  /// Whether an event has the text so far, rather than the new text; nil before a second event shows it.
  private var isCumulative: Bool?
  private var first: Progress?
  private var others: [Progress] = []

  init() {}

  static func matches(method: String, path: String) -> Bool {
    (method == "POST" || method == "PUT") && Dialects.path(path, endsIn: "/generate")
      && !Dialects.isModelPath(path) && !Dialects.path(path, endsIn: "/api/generate")
      && !Dialects.path(path, endsIn: "/inference/v1/generate")
  }

  /// Others serve the same path.
  static func settles(path: String) -> Bool { false }

  static func recognizes(_ payload: JSONValue) -> Bool {
    guard payload["meta_info"]?.isObject == true else { return false }
    return payload["text"]?.isString == true || payload["output_ids"]?.isArray == true
  }

  static var requestMembers: [[String]] { [["text"]] }

  static func readRequest(_ body: JSONValue, into facts: inout RequestFacts) {
    if let count = body["text"]?.listLength { facts.choices = count }
  }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    read(payload, into: &observation)
    if observation.serverCounts != nil { observation.countedChoice = payload["index"]?.tokenCount ?? 0 }
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) { read(body, into: &observation) }

  private mutating func read(_ payload: JSONValue, into observation: inout Observation) {
    let event = JSONObject<EventKey>(payload)
    observation.readModel(event[.model])
    observation.errorKind = ErrorReport(error: event[.error], object: event[.object], code: event[.code]).kind
    let meta = JSONObject<MetaKey>(event[.meta])
    let index = event[.index]?.tokenCount ?? 0
    var counts = TokenUsage(
      input: meta[.input]?.tokenCount, cached: meta[.cached]?.tokenCount, output: meta[.output]?.tokenCount)
    counts.reasoning = meta[.reasoning]?.tokenCount
    if counts != TokenUsage() { observation.serverCounts = counts }
    readFinish(meta[.finish], index, into: &observation)
    readDurations(meta, into: &observation)
    guard event[.text]?.isString == true || event[.ids] != nil else { return }
    let output = output(of: event, index, counts.output)
    if output.kinds.isEmpty, output.tokens ?? 0 == 0 {
      observation.silentChoices.append(SilentChoice(choice: index))
    } else {
      observation.outputs.append(output)
    }
  }

  private func readFinish(_ value: JSONValue?, _ index: Int, into observation: inout Observation) {
    guard let value, let reason = value.name ?? value["type"]?.name, reason != "null" else { return }
    observation.finishReason = reason
    observation.finishedChoices.append(index)
    // An abort that the server gives a status is a failure.
    if let status = value["status_code"]?.int, status >= 400 { observation.errorKind = String(status) }
  }

  private func readDurations(_ meta: JSONObject<MetaKey>, into observation: inout Observation) {
    var durations = ServerDurations()
    durations.totalMilliseconds = meta[.total]?.double.map { $0 * 1000 }
    durations.queueMilliseconds = meta[.queue]?.double.map { $0 * 1000 }
    durations.draftTokens = meta[.drafted]?.tokenCount
    durations.acceptedTokens = meta[.accepted]?.tokenCount
    durations.acceptanceRate = meta[.acceptanceRate]?.double
    durations.acceptanceLength = meta[.acceptanceLength]?.double
    if durations != ServerDurations() { observation.serverDurations = durations }
  }

  /// What an event brings that those before it did not.
  private mutating func output(of event: JSONObject<EventKey>, _ index: Int, _ counted: Int?) -> ChoiceOutput {
    var output = ChoiceOutput(choice: index, scalars: 0, kinds: [])
    output.add(event[.text], as: .answer)
    let ids = event[.ids]?.listLength
    withProgress(of: index) { progress, isCumulative in
      let growth = counted.map { $0 - progress.tokens }
      if progress.tokens > 0 || progress.scalars > 0 {
        // Lists of ids tell whether texts are so far or new; a text so far never becomes shorter.
        if let ids, let counted, let growth, counted != growth {
          if ids == counted { isCumulative = true } else if ids == growth { isCumulative = false }
        }
        if isCumulative == nil, output.scalars < progress.scalars { isCumulative = false }
        if isCumulative != false {
          let new = max(output.scalars - progress.scalars, 0)
          progress.scalars = max(output.scalars, progress.scalars)
          output.scalars = new
          if new == 0 { output.kinds = [] }
        }
      } else {
        progress.scalars = output.scalars
      }
      output.tokens = growth.flatMap { $0 >= 0 ? $0 : nil } ?? (isCumulative == false ? ids : nil)
      progress.tokens = counted ?? progress.tokens
    }
    return output
  }

  private mutating func withProgress(of index: Int, _ body: (inout Progress, inout Bool?) -> Void) {
    var known = first ?? Progress(index: index)
    if known.index == index {
      body(&known, &isCumulative)
      first = known
    } else if let place = others.firstIndex(where: { $0.index == index }) {
      body(&others[place], &isCumulative)
    } else {
      var progress = Progress(index: index)
      body(&progress, &isCumulative)
      // As many as Measurement tells apart.
      if others.count < 128 { others.append(progress) }
    }
  }
}
