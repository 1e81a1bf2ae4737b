// What one event, or one whole body, says about tokens: what the dialects find and Measurement measures. Holds no time and
// no text.
import JSON

/// What kind of generated output an event carried.
public struct OutputKinds: OptionSet, Hashable, Sendable {
  /// One bit a kind.
  public let rawValue: UInt8

  /// Makes a set of kinds of their bits.
  @inlinable
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// What a person can read: content, legacy completion text, a refusal.
  @inlinable
  public static var answer: OutputKinds { OutputKinds(rawValue: 1) }
  /// Reasoning ("thinking") text.
  @inlinable
  public static var reasoning: OutputKinds { OutputKinds(rawValue: 2) }
  /// A tool call's name or arguments.
  @inlinable
  public static var toolCall: OutputKinds { OutputKinds(rawValue: 4) }
}

/// Generated output that one event carried for one choice: what makes the event token-bearing (Documentation.docc/Metrics.md, "Token-bearing events").
public struct ChoiceOutput: Hashable, Sendable {
  /// The choice's index as the server numbers it.
  public var choice: Int
  /// Unicode scalars of generated text in the event: content, reasoning, refusal, tool-call names and arguments.
  public var scalars: Int
  /// The kinds of output seen; empty where the output was a token that decodes to nothing.
  public var kinds: OutputKinds
  /// Tokens in this event where the event itself says (`token_ids`, logprobs lengths); nil where it does not.
  public var tokens: Int?
  /// Tool calls that begin in the event.
  public var toolCalls: Int

  /// Makes the output of one choice.
  @inlinable
  public init(choice: Int, scalars: Int, kinds: OutputKinds, tokens: Int? = nil, toolCalls: Int = 0) {
    self.choice = choice
    self.scalars = scalars
    self.kinds = kinds
    self.tokens = tokens
    self.toolCalls = toolCalls
  }
}

/// A choice that is in an event without output: its role, its finish, or tokens whose text a parser swallowed.
public struct SilentChoice: Hashable, Sendable, ExpressibleByIntegerLiteral {
  /// The choice's index as the server numbers it.
  public var choice: Int
  /// Tokens that the event names all the same (`token_ids`, logprobs lengths); nil where it names none.
  public var tokens: Int?

  /// Makes a choice without output.
  @inlinable
  public init(choice: Int, tokens: Int? = nil) {
    self.choice = choice
    self.tokens = tokens
  }

  /// Makes a choice that names no tokens.
  @inlinable
  public init(integerLiteral choice: Int) { self.init(choice: choice) }
}

/// Token counts as a server reported them; nil where it did not.
public struct TokenUsage: Hashable, Sendable {
  /// Prompt tokens, cached ones included.
  public var input: Int?
  /// Those of the prompt that came from a cache.
  public var cached: Int?
  /// Those of the prompt that were written to a cache.
  public var cacheWrite: Int?
  /// Generated tokens, reasoning included.
  public var output: Int?
  /// Those of the output that were reasoning.
  public var reasoning: Int?

  /// Makes counts, all unknown but those given.
  @inlinable
  public init(
    input: Int? = nil, cached: Int? = nil, cacheWrite: Int? = nil, output: Int? = nil, reasoning: Int? = nil
  ) {
    self.input = input
    self.cached = cached
    self.cacheWrite = cacheWrite
    self.output = output
    self.reasoning = reasoning
  }
}

/// What the server says of its own work: times in milliseconds, and how speculative decoding went; nil where it does not say.
public struct ServerDurations: Hashable, Sendable {
  /// Waiting for a slot.
  public var queueMilliseconds: Double?
  /// Loading the model.
  public var loadMilliseconds: Double?
  /// Reading the prompt.
  public var prefillMilliseconds: Double?
  /// Generating.
  public var decodeMilliseconds: Double?
  /// All of it.
  public var totalMilliseconds: Double?
  /// The time to the first token.
  public var ttftMilliseconds: Double?
  /// The mean time from one token to the next.
  public var itlMilliseconds: Double?
  /// Tokens that speculative decoding drafted.
  public var draftTokens: Int?
  /// Those of the drafted tokens that were accepted.
  public var acceptedTokens: Int?
  /// The part of the drafted tokens that was accepted.
  public var acceptanceRate: Double?
  /// The mean number of tokens of one decoding step.
  public var acceptanceLength: Double?

  /// Makes durations of which none is known.
  @inlinable
  public init() {}

  /// Takes over what `other` says.
  public mutating func merge(_ other: ServerDurations) {
    queueMilliseconds = other.queueMilliseconds ?? queueMilliseconds
    loadMilliseconds = other.loadMilliseconds ?? loadMilliseconds
    prefillMilliseconds = other.prefillMilliseconds ?? prefillMilliseconds
    decodeMilliseconds = other.decodeMilliseconds ?? decodeMilliseconds
    totalMilliseconds = other.totalMilliseconds ?? totalMilliseconds
    ttftMilliseconds = other.ttftMilliseconds ?? ttftMilliseconds
    itlMilliseconds = other.itlMilliseconds ?? itlMilliseconds
    draftTokens = other.draftTokens ?? draftTokens
    acceptedTokens = other.acceptedTokens ?? acceptedTokens
    acceptanceRate = other.acceptanceRate ?? acceptanceRate
    acceptanceLength = other.acceptanceLength ?? acceptanceLength
  }
}

/// All that one event, or one non-streamed body, says. Reset and re-used from event to event by the decoder.
public struct Observation: Sendable {
  /// One entry a choice that carried output in this event; empty for an event that bears no token.
  public var outputs: [ChoiceOutput] = []
  /// The choices that are in this event without output: their role, their finish.
  public var silentChoices: [SilentChoice] = []
  /// The choices that finish with this event.
  public var finishedChoices: [Int] = []
  /// Tool calls that begin in this event without output of their own.
  public var toolCalls = 0
  /// `usage` as this event states it.
  public var usage: TokenUsage?
  /// The only choice of an event that also has counts: `usage` and `serverCounts` may speak of it alone (continuous usage
  /// and llama.cpp's `timings` do); nil for an event without choices or with several, and for a whole body.
  public var countedChoice: Int?
  /// Counts by the server's other reports (llama.cpp `timings`, Ollama `eval_count`): cumulative.
  public var serverCounts: TokenUsage?
  /// The server's own durations.
  public var serverDurations: ServerDurations? {
    get { durations.first }
    set { durations = newValue.map { [$0] } ?? [] }
  }
  /// The finish reason, as the server said it.
  public var finishReason: String?
  /// The model that answers, as the server said it.
  public var responseModel: String?
  /// An in-band error: its type or code, one short word; never its message, which may quote the prompt.
  public var errorKind: String?
  /// The dialect's terminator was seen (`[DONE]`, `done:true`): the stream is whole.
  public var isTerminator = false
  /// The output stands where a whole answer stands (`message` in place of `delta`): behind deltas it repeats them.
  var isWholeMessage = false
  /// The event is sound or a picture: output that has a time, and neither characters nor a known number of tokens.
  public internal(set) var isMedia = false
  /// The event is one of a stream whose dialect is not known: it has a time, and nothing else that is known.
  public internal(set) var isOfUnknownDialect = false
  /// The event was longer than its bound: long strings in it are cut to `EventShortener.kept` scalars.
  public internal(set) var isShortened = false
  /// The event was complete with an earlier read: the one after which `ResponseDecoder.hasPendingEvent` was last true.
  public internal(set) var endedEarlier = false

  /// None or one. An array, because few events have any, and an observation is handed on for each token.
  @usableFromInline var durations: [ServerDurations] = []
  /// The model named last, over all events that this was used for: nearly always the next one's, and then nothing is
  /// allocated for it.
  private var lastModel: String?

  /// The scalars that are left of a string in an event that `isShortened`.
  public static var keptScalars: Int { EventShortener.kept }

  /// Makes an observation that says nothing.
  public init() {}

  /// Whether the server states counts or durations.
  @inlinable
  public var hasCounts: Bool { usage != nil || serverCounts != nil || !durations.isEmpty }

  /// Forgets everything, keeping storage.
  public mutating func reset() {
    // Mostly there is one, or none: to remove the last one costs a tenth of removing all.
    if outputs.count == 1 { outputs.removeLast() } else if !outputs.isEmpty { outputs.removeAll(keepingCapacity: true) }
    if !silentChoices.isEmpty { silentChoices.removeAll(keepingCapacity: true) }
    if !finishedChoices.isEmpty { finishedChoices.removeAll(keepingCapacity: true) }
    toolCalls = 0
    if hasCounts {
      usage = nil
      serverCounts = nil
      serverDurations = nil
    }
    countedChoice = nil
    if finishReason != nil { finishReason = nil }
    if responseModel != nil { responseModel = nil }
    if errorKind != nil { errorKind = nil }
    isTerminator = false
    isWholeMessage = false
    endedEarlier = false
    isShortened = false
    isOfUnknownDialect = false
    isMedia = false
  }

  /// Takes over what the server says of its work, beside what it has said in this event already.
  mutating func state(_ durations: ServerDurations) {
    if serverDurations == nil { serverDurations = durations } else { serverDurations?.merge(durations) }
  }

  /// No output is in this after all: its choices are silent.
  mutating func silenceOutputs(where isNone: (ChoiceOutput) -> Bool) {
    guard outputs.contains(where: isNone) else { return }
    for output in outputs where isNone(output) {
      silentChoices.append(SilentChoice(choice: output.choice, tokens: output.tokens))
    }
    outputs.removeAll(where: isNone)
  }

  /// Takes over the model that answers, where `value` names one.
  mutating func readModel(_ value: JSONValue?) {
    guard let value, value.isString else { return }
    if let lastModel, value.equals(string: lastModel) {
      responseModel = lastModel
    } else if let name = value.name {
      lastModel = name
      responseModel = name
    }
  }
}
