// Calls that a chat front end makes for itself, told by how their prompts begin.
import JSON
import Testing

@testable import TokenWire

@Suite("A front end's own calls")
struct FrontEndTaskTests {
  private func task(_ prompts: String...) -> String? {
    let messages = prompts.map { #"{"role":"user","content":"\#($0)"}"# }.joined(separator: ",")
    var facts = RequestFacts()
    let body = Array(#"{"model":"m","messages":[\#(messages)]}"#.utf8)
    let isRead = facts.read(body.span.bytes, OpenAIChat.self, DecodingContext())
    #expect(isRead)
    return facts.task
  }

  @Test(
    "Each of Open WebUI's default prompts is told by its words",
    arguments: [
      (
        #"### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history."#,
        "title_generation"
      ),
      (#"### Task:\nGenerate 1-3 broad tags categorizing the main themes"#, "tags_generation"),
      (#"### Task:\nSuggest 3-5 relevant follow-up questions or prompts"#, "follow_up_generation"),
      (
        #"### Task:\nAnalyze the chat history to determine the necessity of generating search queries, in"#,
        "query_generation"
      ),
      (#"### Task:\nGenerate a detailed prompt for am image generation task"#, "image_prompt_generation"),
      (#"### Task:\nYou are an autocompletion system. Continue the text"#, "autocomplete_generation"),
    ])
  func told(_ prompt: String, _ expected: String) {
    #expect(task(prompt) == expected)
    // It is the one message of its request.
    #expect(task("hello", prompt) == nil)
  }

  @Test(
    "A person's own prompt is none, also one that begins alike",
    arguments: [
      "hello", #"### Task:\nWrite a poem"#, "### Task: Generate a concise title ",
      #"Do this\n### Task:\nGenerate 1-3 broad tags"#,
    ])
  func own(_ prompt: String) { #expect(task(prompt) == nil) }
}
