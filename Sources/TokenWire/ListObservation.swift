// What a list of whole answers says together (Documentation.docc/Metrics.md, "Lists of answers").

/// The sum of the observations of several whole answers. What one of them does not say is not known of all.
struct ListObservation {
  private(set) var observation = Observation()
  /// Choices of the answers so far: each answer numbers its own from 0, or all of them through.
  private var choices: Set<Int> = []

  /// Adds what the next answer says.
  mutating func add(_ answer: borrowing Observation, isFirst: Bool) {
    let offset = answer.outputs.contains { choices.contains($0.choice) } ? (choices.max() ?? -1) + 1 : 0
    for var output in answer.outputs {
      output.choice &+= offset
      choices.insert(output.choice)
      observation.outputs.append(output)
    }
    for var choice in answer.silentChoices {
      choice.choice &+= offset
      choices.insert(choice.choice)
      observation.silentChoices.append(choice)
    }
    observation.toolCalls &+= answer.toolCalls
    if observation.errorKind == nil { observation.errorKind = answer.errorKind }
    if observation.responseModel == nil { observation.responseModel = answer.responseModel }
    if let reason = answer.finishReason { observation.finishReason = reason }
    guard !isFirst else {
      observation.usage = answer.usage
      observation.serverCounts = answer.serverCounts
      return
    }
    observation.usage = Self.sum(observation.usage, answer.usage)
    observation.serverCounts = Self.sum(observation.serverCounts, answer.serverCounts)
  }

  private static func sum(_ one: TokenUsage?, _ other: TokenUsage?) -> TokenUsage? {
    guard let one, let other else { return nil }
    return TokenUsage(
      input: sum(one.input, other.input), cached: sum(one.cached, other.cached),
      cacheWrite: sum(one.cacheWrite, other.cacheWrite), output: sum(one.output, other.output),
      reasoning: sum(one.reasoning, other.reasoning))
  }

  private static func sum(_ one: Int?, _ other: Int?) -> Int? {
    guard let one, let other else { return nil }
    return one &+ other
  }
}
