// OpenAI's chat and legacy completions as vLLM and OpenAI write them
// (Documentation.docc/Dialects.md, "OpenAI Chat Completions" and "OpenAI Completions").

/// Events of `/v1/chat/completions` and `/v1/completions`.
struct OpenAIRendering: Rendering {
  private let isChat: Bool
  private let includesUsage: Bool
  private let promptTokens: Int
  private let choices: Int
  private let counts: EventCounts
  private let statesMetrics: Bool
  /// `"id":…,"created":…,"model":…`: the same in every event, and rendered once.
  private let common: [UInt8]
  private let opening: [UInt8]

  init(_ request: CompletionRequest, _ behaviour: Behaviour, number: Int, createdSeconds: Int64) {
    counts = behaviour.eventCounts
    statesMetrics = behaviour.statesMetrics
    isChat = request.dialect == .openAIChat
    includesUsage = request.includesUsage
    promptTokens = request.promptTokens
    choices = request.choices
    var common: [UInt8] = []
    common.append(isChat ? "\"id\":\"chatcmpl-sim-" : "\"id\":\"cmpl-sim-" as StaticString)
    common.append(decimal: number)
    common.append("\",\"created\":" as StaticString)
    common.append(decimal: createdSeconds)
    common.append(",\"model\":" as StaticString)
    common.append(jsonString: request.model)
    self.common = common
    var opening: [UInt8] = []
    opening.append("data: {\"object\":\"" as StaticString)
    opening.append(isChat ? "chat.completion.chunk" : "text_completion" as StaticString)
    opening.append("\"," as StaticString)
    opening.append(contentsOf: common)
    opening.append(",\"choices\":[" as StaticString)
    self.opening = opening
  }

  var contentType: StaticString { "text/event-stream; charset=utf-8" }

  private func open(_ choice: Int, _ output: inout [UInt8]) {
    output.append(contentsOf: opening)
    output.append("{\"index\":" as StaticString)
    output.append(decimal: choice)
  }

  func appendRole(choice: Int, to output: inout [UInt8]) {
    guard isChat else { return }
    open(choice, &output)
    output.append(
      ",\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"
        as StaticString)
  }

  func appendTokens(
    _ tokens: EventTokens, choice: Int, isReasoning: Bool, paddedTo: Int, to output: inout [UInt8]
  ) {
    let start = output.count
    open(choice, &output)
    if isChat {
      output.append(
        isReasoning ? ",\"delta\":{\"reasoning_content\":\"" : ",\"delta\":{\"content\":\"" as StaticString)
    } else {
      output.append(",\"text\":\"" as StaticString)
    }
    for token in tokens.range { Vocabulary.appendEscaped(token, to: &output) }
    output.append(
      isChat
        ? "\"},\"logprobs\":null,\"finish_reason\":null"
        : "\",\"logprobs\":null,\"finish_reason\":null"
          as StaticString)
    appendCounts(tokens, to: &output)
    output.appendPadding(from: start, upTo: paddedTo, tail: 3, closing: "obfuscation")
    output.append("}\n\n" as StaticString)
  }

  /// Closes the choice and the list of them, with what the event says of its tokens.
  private func appendCounts(_ tokens: EventTokens, to output: inout [UInt8]) {
    if counts == .ids {
      output.append(",\"token_ids\":[" as StaticString)
      for id in 0..<tokens.new {
        if id > 0 { output.append(UInt8(ascii: ",")) }
        output.append(decimal: 100 + id)
      }
      output.append("]" as StaticString)
    }
    output.append("}]" as StaticString)
    if counts == .continuous {
      output.append("," as StaticString)
      appendUsageMember(completionTokens: tokens.total, to: &output)
    }
  }

  func appendSilentTokens(_ tokens: EventTokens, choice: Int, to output: inout [UInt8]) {
    guard counts == .ids else { return }
    open(choice, &output)
    output.append(isChat ? ",\"delta\":{}" : ",\"text\":\"\"" as StaticString)
    output.append(",\"logprobs\":null,\"finish_reason\":null" as StaticString)
    appendCounts(tokens, to: &output)
    output.append("}\n\n" as StaticString)
  }

  func appendFinish(choice: Int, _ totals: ReplyTotals, to output: inout [UInt8]) {
    open(choice, &output)
    output.append(isChat ? ",\"delta\":{}" : ",\"text\":\"\"" as StaticString)
    output.append(",\"logprobs\":null,\"finish_reason\":\"" as StaticString)
    output.append(totals.isCutByLimit ? "length" : "stop" as StaticString)
    output.append("\"}]}\n\n" as StaticString)
  }

  func appendUsage(_ totals: ReplyTotals, to output: inout [UInt8]) {
    guard includesUsage || statesMetrics else { return }
    output.append(contentsOf: opening)
    output.append("]" as StaticString)
    if includesUsage {
      output.append("," as StaticString)
      appendUsageMember(completionTokens: totals.tokens * choices, to: &output)
    }
    if statesMetrics { appendMetrics(totals, to: &output) }
    output.append("}\n\n" as StaticString)
  }

  /// The server's own times, as vLLM states them with `--enable-per-request-metrics`.
  private func appendMetrics(_ totals: ReplyTotals, to output: inout [UInt8]) {
    guard let firstAt = totals.firstAt, let lastAt = totals.lastAt else { return }
    let decode = lastAt.nanoseconds(since: firstAt)
    output.append(",\"metrics\":{\"queue_time_ms\":" as StaticString)
    append(milliseconds: totals.startedAt.nanoseconds(since: totals.receivedAt), to: &output)
    output.append(",\"time_to_first_token_ms\":" as StaticString)
    append(milliseconds: firstAt.nanoseconds(since: totals.startedAt), to: &output)
    output.append(",\"generation_time_ms\":" as StaticString)
    append(milliseconds: decode, to: &output)
    output.append(",\"mean_itl_ms\":" as StaticString)
    append(milliseconds: totals.tokens > 1 ? decode / Int64(totals.tokens - 1) : 0, to: &output)
    output.append(",\"speculative_decoding\":{\"num_draft_tokens\":" as StaticString)
    output.append(decimal: totals.tokens * 2)
    output.append(",\"num_accepted_draft_tokens\":" as StaticString)
    output.append(decimal: totals.tokens - totals.steps)
    output.append("}}" as StaticString)
  }

  private func append(milliseconds nanoseconds: Int64, to output: inout [UInt8]) {
    let microseconds = max(nanoseconds, 0) / 1_000
    output.append(decimal: microseconds / 1_000)
    output.append(UInt8(ascii: "."))
    for divisor: Int64 in [100, 10, 1] { output.append(UInt8(ascii: "0") + UInt8(microseconds / divisor % 10)) }
  }

  private func appendUsageMember(completionTokens: Int, to output: inout [UInt8]) {
    output.append("\"usage\":{\"prompt_tokens\":" as StaticString)
    output.append(decimal: promptTokens)
    output.append(",\"total_tokens\":" as StaticString)
    output.append(decimal: promptTokens + completionTokens)
    output.append(",\"completion_tokens\":" as StaticString)
    output.append(decimal: completionTokens)
    output.append("}" as StaticString)
  }

  func appendTerminator(_ totals: ReplyTotals, to output: inout [UInt8]) {
    output.append("data: [DONE]\n\n" as StaticString)
  }

  func appendError(to output: inout [UInt8]) {
    output.append(
      """
      data: {"error":{"message":"simulated failure","type":"server_error","param":null,"code":500}}\n\n
      """ as StaticString)
  }

  func appendWhole(_ totals: ReplyTotals, reasoningTokens: Int, to output: inout [UInt8]) {
    output.append("{\"object\":\"" as StaticString)
    output.append(isChat ? "chat.completion" : "text_completion" as StaticString)
    output.append("\"," as StaticString)
    output.append(contentsOf: common)
    output.append(",\"choices\":[" as StaticString)
    for choice in 0..<choices {
      if choice > 0 { output.append(UInt8(ascii: ",")) }
      output.append("{\"index\":" as StaticString)
      output.append(decimal: choice)
      appendText(totals, reasoningTokens: min(reasoningTokens, totals.tokens), to: &output)
      output.append(",\"logprobs\":null,\"finish_reason\":\"" as StaticString)
      output.append(totals.isCutByLimit ? "length\"}" : "stop\"}" as StaticString)
    }
    output.append("]," as StaticString)
    appendUsageMember(completionTokens: totals.tokens * choices, to: &output)
    output.append("}" as StaticString)
  }

  private func appendText(_ totals: ReplyTotals, reasoningTokens: Int, to output: inout [UInt8]) {
    guard isChat else {
      output.append(",\"text\":" as StaticString)
      output.append(jsonString: Vocabulary.text(0..<totals.tokens))
      return
    }
    output.append(",\"message\":{\"role\":\"assistant\",\"content\":" as StaticString)
    output.append(jsonString: Vocabulary.text(reasoningTokens..<totals.tokens))
    if reasoningTokens > 0 {
      output.append(",\"reasoning_content\":" as StaticString)
      output.append(jsonString: Vocabulary.text(0..<reasoningTokens))
    }
    output.append("}" as StaticString)
  }
}
