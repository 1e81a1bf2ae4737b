// OpenAI's chat and legacy completions as vLLM and OpenAI write them
// (Documentation.docc/Dialects.md, "OpenAI Chat Completions" and "OpenAI Completions").

/// Events of `/v1/chat/completions` and `/v1/completions`.
struct OpenAIRendering: Rendering {
  private let isChat: Bool
  private let includesUsage: Bool
  private let promptTokens: Int
  private let choices: Int
  /// `"id":…,"created":…,"model":…`: the same in every event, and rendered once.
  private let common: [UInt8]
  private let opening: [UInt8]

  init(_ request: CompletionRequest, number: Int, createdSeconds: Int64) {
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
    _ tokens: Range<Int>, choice: Int, isReasoning: Bool, paddedTo: Int, to output: inout [UInt8]
  ) {
    let start = output.count
    open(choice, &output)
    if isChat {
      output.append(
        isReasoning ? ",\"delta\":{\"reasoning_content\":\"" : ",\"delta\":{\"content\":\"" as StaticString)
    } else {
      output.append(",\"text\":\"" as StaticString)
    }
    for token in tokens { Vocabulary.appendEscaped(token, to: &output) }
    output.append(
      isChat
        ? "\"},\"logprobs\":null,\"finish_reason\":null}]"
        : "\",\"logprobs\":null,\"finish_reason\":null}]"
          as StaticString)
    output.appendPadding(from: start, upTo: paddedTo, tail: 3, closing: "obfuscation")
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
    guard includesUsage else { return }
    output.append(contentsOf: opening)
    output.append("]," as StaticString)
    appendUsageMember(totals, to: &output)
    output.append("}\n\n" as StaticString)
  }

  private func appendUsageMember(_ totals: ReplyTotals, to output: inout [UInt8]) {
    let completionTokens = totals.tokens * choices
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
    appendUsageMember(totals, to: &output)
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
