// Ollama's /api/chat and /api/generate: NDJSON, or one object (Documentation.docc/Dialects.md, "Ollama").
import Clocks

/// Lines of Ollama's native API.
struct OllamaRendering: Rendering {
  private let isChat: Bool
  private let isStreamed: Bool
  private let promptTokens: Int
  private let opening: [UInt8]
  private let anchor: WallAnchor

  init(_ request: CompletionRequest, anchor: WallAnchor) {
    isChat = request.dialect == .ollamaChat
    isStreamed = request.isStreamed
    promptTokens = request.promptTokens
    self.anchor = anchor
    var opening: [UInt8] = []
    opening.append("{\"model\":" as StaticString)
    opening.append(jsonString: request.model)
    opening.append(",\"created_at\":\"" as StaticString)
    self.opening = opening
  }

  var contentType: StaticString { isStreamed ? "application/x-ndjson" : "application/json; charset=utf-8" }

  private func open(_ output: inout [UInt8]) {
    output.append(contentsOf: opening)
    output.append(utc: anchor.realtimeNanoseconds(at: .now()))
    output.append(
      isChat ? "\",\"message\":{\"role\":\"assistant\"," : "\"," as StaticString)
  }

  func appendRole(choice: Int, to output: inout [UInt8]) {}

  func appendTokens(
    _ tokens: EventTokens, choice: Int, isReasoning: Bool, paddedTo: Int, to output: inout [UInt8]
  ) {
    let start = output.count
    open(&output)
    let key: StaticString = isChat ? "\"content\":\"" : "\"response\":\""
    output.append(key)
    if isReasoning { output.append("\",\"thinking\":\"" as StaticString) }
    for token in tokens.range { Vocabulary.appendEscaped(token, to: &output) }
    output.append(isChat ? "\"},\"done\":false" : "\",\"done\":false" as StaticString)
    output.appendPadding(from: start, upTo: paddedTo, tail: 2, closing: "padding")
    output.append("}\n" as StaticString)
  }

  func appendSilentTokens(_ tokens: EventTokens, choice: Int, to output: inout [UInt8]) {}
  func appendFinish(choice: Int, _ totals: ReplyTotals, to output: inout [UInt8]) {}
  func appendUsage(_ totals: ReplyTotals, to output: inout [UInt8]) {}

  func appendTerminator(_ totals: ReplyTotals, to output: inout [UInt8]) {
    open(&output)
    output.append(isChat ? "\"content\":\"\"}" : "\"response\":\"\"" as StaticString)
    appendDone(totals, to: &output)
    output.append("\n" as StaticString)
  }

  private func appendDone(_ totals: ReplyTotals, to output: inout [UInt8]) {
    let endAt = Instant.now()
    let firstAt = totals.firstAt ?? endAt
    let lastAt = totals.lastAt ?? firstAt
    output.append(",\"done\":true,\"done_reason\":\"" as StaticString)
    output.append(totals.isCutByLimit ? "length" : "stop" as StaticString)
    output.append("\",\"total_duration\":" as StaticString)
    output.append(decimal: endAt.nanoseconds(since: totals.startedAt))
    output.append(",\"load_duration\":0,\"prompt_eval_count\":" as StaticString)
    output.append(decimal: promptTokens)
    output.append(",\"prompt_eval_duration\":" as StaticString)
    output.append(decimal: firstAt.nanoseconds(since: totals.startedAt))
    output.append(",\"eval_count\":" as StaticString)
    output.append(decimal: totals.tokens)
    output.append(",\"eval_duration\":" as StaticString)
    output.append(decimal: lastAt.nanoseconds(since: firstAt))
    output.append("}" as StaticString)
  }

  func appendError(to output: inout [UInt8]) { output.append("{\"error\":\"simulated failure\"}\n" as StaticString) }

  func appendWhole(_ totals: ReplyTotals, reasoningTokens: Int, to output: inout [UInt8]) {
    let reasoning = min(reasoningTokens, totals.tokens)
    open(&output)
    output.append(isChat ? "\"content\":" : "\"response\":" as StaticString)
    output.append(jsonString: Vocabulary.text(reasoning..<totals.tokens))
    if reasoning > 0 {
      output.append(",\"thinking\":" as StaticString)
      output.append(jsonString: Vocabulary.text(0..<reasoning))
    }
    if isChat { output.append("}" as StaticString) }
    appendDone(totals, to: &output)
  }
}

extension [UInt8] {
  /// An instant as RFC 3339 in UTC with nine decimals, from nanoseconds since 1970 (not negative).
  mutating func append(utc nanoseconds: Int64) {
    let seconds = nanoseconds / 1_000_000_000
    let day = seconds / 86_400
    // Howard Hinnant's civil_from_days, for days since 1970-01-01.
    let shifted = day + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    append(decimal: yearOfEra + era * 400 + (month <= 2 ? 1 : 0))
    append(separator: "-", month)
    append(separator: "-", dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    append(separator: "T", seconds % 86_400 / 3_600)
    append(separator: ":", seconds % 3_600 / 60)
    append(separator: ":", seconds % 60)
    append(UInt8(ascii: "."))
    var divisor: Int64 = 100_000_000
    while divisor > 0 {
      append(UInt8(ascii: "0") + UInt8(nanoseconds / divisor % 10))
      divisor /= 10
    }
    append(UInt8(ascii: "Z"))
  }

  private mutating func append(separator: Unicode.Scalar, _ twoDigits: Int64) {
    append(UInt8(ascii: separator))
    append(UInt8(ascii: "0") + UInt8(twoDigits / 10))
    append(UInt8(ascii: "0") + UInt8(twoDigits % 10))
  }
}
