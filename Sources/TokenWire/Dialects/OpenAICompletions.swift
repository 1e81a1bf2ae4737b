// OpenAI legacy completions (Documentation.docc/Dialects.md, "OpenAI Completions").
import JSON

/// `POST …/completions`, except llama.cpp's own `/completions`, whose events have another shape.
struct OpenAICompletions: OpenAIDialect {
  static let name = "openai.completions"
  static var operation: String { "text_completion" }

  init() {}

  static func matches(method: String, path: String) -> Bool {
    guard method == "POST", Dialects.path(path, endsIn: "/completions") else { return false }
    // Bare `/completions` is llama.cpp's native API; Mistral's `fim` answers in chat's shape.
    let isOther = ["/chat/completions", "/fim/completions"].contains { Dialects.path(path, endsIn: $0) }
    return !isOther && path != "/completions" && path != "/completions/"
  }

  static func recognizes(_ payload: JSONValue) -> Bool {
    payload["choices"]?.firstElement?["text"]?.isString == true || payload["object"]?.equals("text_completion") == true
  }

  static var requestMembers: [[String]] { [["n"], ["prompt"], ["echo"]] }

  static func readRequest(_ body: JSONValue, into facts: inout RequestFacts) {
    var prompts = 1
    // A list of prompts, as strings or as lists of token ids; a list of numbers is one prompt.
    if let list = body["prompt"], list.isArray {
      var batch = 0
      list.forEachElement { if $0.isString || $0.isArray { batch += 1 } }
      prompts = max(1, batch)
    }
    let n = max(1, body["n"]?.int ?? 1)
    let (product, overflows) = n.multipliedReportingOverflow(by: prompts)
    facts.choices = overflows ? nil : product
    facts.echo = body["echo"]?.bool
  }

  @inline(__always)
  static func output(_ choice: OpenAIChoice, isBody: Bool) -> ChoiceOutput? {
    var output = choice.emptyOutput
    output.add(choice.members[.text], as: .answer)
    // Some servers open with an empty text before they generate: it is no token here.
    guard !output.kinds.isEmpty else {
      return choice.members.present(.text) == nil ? OpenAIChat.output(choice, isBody: isBody) : nil
    }
    output.tokens = choice.tokens
    return output
  }
}
