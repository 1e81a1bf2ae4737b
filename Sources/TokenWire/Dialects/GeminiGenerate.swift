// Google's generateContent, of the Gemini API and of Vertex AI (Documentation.docc/Dialects.md, "Gemini").
import JSON

/// `POST …:streamGenerateContent` and `…:generateContent`: a stream is `data:` events with `?alt=sse`, else one JSON array.
struct GeminiGenerate: Dialect {
  static let name = "gemini.generate"
  static var operation: String { "generate_content" }
  static var provider: String { "gcp.gemini" }
  static var framing: Framing { .jsonArray }
  /// The body's end is the stream's.
  static var promisesTerminator: Bool { false }

  private enum Key: String, JSONKey {
    case candidates, error
    case usage = "usageMetadata"
    case model = "modelVersion"
    case feedback = "promptFeedback"
    static let table = JSONKeys<Key>()
  }

  private enum CandidateKey: String, JSONKey {
    case index, content
    case finish = "finishReason"
    static let table = JSONKeys<CandidateKey>()
  }

  private enum PartKey: String, JSONKey {
    case text, thought
    case call = "functionCall"
    case code = "executableCode"
    case media = "inlineData"
    static let table = JSONKeys<PartKey>()
  }

  private enum UsageKey: String, JSONKey {
    case prompt = "promptTokenCount"
    case candidates = "candidatesTokenCount"
    case thoughts = "thoughtsTokenCount"
    case cached = "cachedContentTokenCount"
    case tools = "toolUsePromptTokenCount"
    static let table = JSONKeys<UsageKey>()
  }

  /// The output so far as last stated.
  private var counted: Int? = 0

  init() {}

  static func matches(method: String, path: String) -> Bool {
    method == "POST" && (path.hasSuffix(":streamGenerateContent") || path.hasSuffix(":generateContent"))
  }

  static func recognizes(_ payload: JSONValue) -> Bool {
    payload["candidates"]?.isArray == true || payload["usageMetadata"]?.isObject == true
  }

  static var requestMembers: [[String]] { [["generationConfig", "candidateCount"]] }

  static func readRequest(_ body: JSONValue, into facts: inout RequestFacts) {
    if let count = body["generationConfig"]?["candidateCount"]?.int, count >= 1 { facts.choices = count }
  }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    read(payload, into: &observation)
    let stated = observation.usage?.output
    if observation.outputs.count == 1, let counted, let stated, stated >= counted {
      observation.outputs[0].tokens = stated - counted
    }
    if observation.usage != nil { counted = stated }
    // Counts so far, of a stream that may be cut; with the finish they are those of the exchange.
    if observation.finishedChoices.isEmpty, observation.usage != nil {
      observation.countedChoice = observation.outputs.first?.choice ?? observation.silentChoices.first?.choice
    }
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) { read(body, into: &observation) }

  private func read(_ payload: JSONValue, into observation: inout Observation) {
    let event = JSONObject<Key>(payload)
    observation.readModel(event[.model])
    observation.errorKind = event[.error].flatMap { ErrorReport.kind(of: $0) }
    if let usage = event.present(.usage) { observation.usage = Self.counts(usage) }
    if let feedback = event.present(.feedback), let reason = feedback["blockReason"]?.name {
      observation.finishReason = reason
    }
    event[.candidates]?.forEachElement { Self.readCandidate($0, into: &observation) }
  }

  private static func readCandidate(_ value: JSONValue, into observation: inout Observation) {
    let candidate = JSONObject<CandidateKey>(value)
    let index = candidate[.index]?.tokenCount ?? 0
    if let reason = candidate[.finish]?.name {
      observation.finishReason = reason
      observation.finishedChoices.append(index)
    }
    var output = ChoiceOutput(choice: index, scalars: 0, kinds: [])
    candidate.present(.content)?["parts"]?.forEachElement { readPart($0, into: &output) }
    if output.kinds.isEmpty {
      observation.silentChoices.append(SilentChoice(choice: index))
    } else {
      observation.outputs.append(output)
    }
  }

  private static func readPart(_ value: JSONValue, into output: inout ChoiceOutput) {
    let part = JSONObject<PartKey>(value)
    output.add(part[.text], as: part[.thought]?.bool == true ? .reasoning : .answer)
    if let call = part.present(.call) {
      output.add(toolName: call["name"])
      output.add(compact: call["args"], as: .toolCall)
    }
    if let code = part.present(.code) { output.add(code["code"], as: .toolCall) }
    if part.present(.media) != nil { output.kinds.formUnion(.answer) }
  }

  /// Thoughts stand beside the candidates' tokens, cached tokens are among the prompt's.
  private static func counts(_ value: JSONValue) -> TokenUsage? {
    let usage = JSONObject<UsageKey>(value)
    var counts = TokenUsage(cached: usage[.cached]?.tokenCount)
    counts.input = usage[.prompt]?.tokenCount.map { $0 + (usage[.tools]?.tokenCount ?? 0) }
    counts.reasoning = usage[.thoughts]?.tokenCount
    if let candidates = usage[.candidates]?.tokenCount {
      counts.output = candidates + (counts.reasoning ?? 0)
    } else {
      counts.output = counts.reasoning
    }
    return counts == TokenUsage() ? nil : counts
  }
}
