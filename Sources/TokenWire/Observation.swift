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

  /// Makes the output of one choice.
  @inlinable
  public init(choice: Int, scalars: Int, kinds: OutputKinds, tokens: Int? = nil) {
    self.choice = choice
    self.scalars = scalars
    self.kinds = kinds
    self.tokens = tokens
  }
}

/// Token counts as a server reported them; nil where it did not.
public struct TokenUsage: Hashable, Sendable {
  /// Prompt tokens, cached ones included.
  public var input: Int?
  /// Those of the prompt that came from a cache.
  public var cached: Int?
  /// Generated tokens, reasoning included.
  public var output: Int?
  /// Those of the output that were reasoning.
  public var reasoning: Int?

  /// Makes counts, all unknown but those given.
  @inlinable
  public init(input: Int? = nil, cached: Int? = nil, output: Int? = nil, reasoning: Int? = nil) {
    self.input = input
    self.cached = cached
    self.output = output
    self.reasoning = reasoning
  }
}

/// What the server says it spent, in milliseconds; nil where it does not say.
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

  /// Makes durations of which none is known.
  @inlinable
  public init() {}
}

/// All that one event, or one non-streamed body, says. Reset and re-used from event to event by the decoder.
public struct Observation: Sendable {
  /// One entry a choice that carried output in this event; empty for an event that bears no token.
  public var outputs: [ChoiceOutput] = []
  /// The choices that are in this event without output: their role, their finish.
  public var silentChoices: [Int] = []
  /// `usage` as this event states it.
  public var usage: TokenUsage?
  /// The choice that `usage` speaks of where the event also has choices (continuous usage is counted per choice);
  /// nil for a usage of the whole exchange (a usage-only event, a whole body).
  public var usageChoice: Int?
  /// Counts by the server's other reports (llama.cpp `timings`, Ollama `eval_count`): cumulative, for the exchange.
  public var serverCounts: TokenUsage?
  /// The server's own durations.
  public var serverDurations: ServerDurations?
  /// The finish reason, as the server said it.
  public var finishReason: String?
  /// The model that answers, as the server said it.
  public var responseModel: String?
  /// An in-band error: its type or code, one short word; never its message, which may quote the prompt.
  public var errorKind: String?
  /// The dialect's terminator was seen (`[DONE]`, `done:true`): the stream is whole.
  public var isTerminator = false

  /// The model named last, over all events that this was used for: nearly always the next one's, and then nothing is
  /// allocated for it.
  private var lastModel: String?

  /// Makes an observation that says nothing.
  public init() {}

  /// Forgets everything, keeping storage.
  public mutating func reset() {
    if !outputs.isEmpty { outputs.removeAll(keepingCapacity: true) }
    if !silentChoices.isEmpty { silentChoices.removeAll(keepingCapacity: true) }
    usage = nil
    usageChoice = nil
    serverCounts = nil
    serverDurations = nil
    finishReason = nil
    responseModel = nil
    errorKind = nil
    isTerminator = false
  }

  /// Takes over the model that answers, where `value` names one.
  mutating func readModel(_ value: JSONValue?) {
    guard let value, value.isString else { return }
    if let lastModel, value.equals(lastModel) {
      responseModel = lastModel
    } else if let name = value.name {
      lastModel = name
      responseModel = name
    }
  }
}
