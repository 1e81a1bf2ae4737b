// vLLM's API of token ids without text (Documentation.docc/Dialects.md, "Servers").
import JSON

/// `POST …/inference/v1/generate`: the shape of completions, with `token_ids` in the place of text.
struct VLLMGenerate: OpenAIDialect {
  static let name = "vllm.generate"
  static var operation: String { "text_completion" }
  static var provider: String { "vllm" }

  init() {}

  static func matches(method: String, path: String) -> Bool {
    method == "POST" && Dialects.path(path, endsIn: "/inference/v1/generate")
  }

  static func output(_ choice: OpenAIChoice, isBody: Bool) -> ChoiceOutput? {
    guard let tokens = choice.tokens else { return nil }
    var output = choice.emptyOutput
    output.kinds = .answer
    output.tokens = tokens
    return output
  }
}
