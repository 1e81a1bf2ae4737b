// OpenAI legacy completions: which events carry tokens, and what they and whole bodies say.
import Testing
import TokenWire

@Suite("OpenAI completions")
struct OpenAICompletionsTests {
  private let recipe = Recipe.sse("openai.completions")

  private func chunk(_ choice: String) -> String {
    #"{"id":"cmpl-1","object":"text_completion","created":1795220764,"model":"small","choices":[{\#(choice)}]}"#
  }

  @Test(
    "Text is a token, and the empty text is none",
    arguments: [
      (
        #""index":0,"text":"The","logprobs":null,"finish_reason":null"#,
        [ChoiceOutput(choice: 0, scalars: 3, kinds: .answer)]
      ),
      (#""index":1,"text":"x","finish_reason":"length""#, [ChoiceOutput(choice: 1, scalars: 1, kinds: .answer)]),
      (#""index":0,"text":"","finish_reason":null"#, []),
      (#""index":0,"text":"","finish_reason":"stop""#, []),
      (#""index":0,"text":"","finish_reason":"stop","token_ids":[2]"#, []),
      (
        #""index":0,"text":"ab","logprobs":{"tokens":["a","b"]}"#,
        [ChoiceOutput(choice: 0, scalars: 2, kinds: .answer, tokens: 2)]
      ),
      (#""index":0,"text":null"#, []), (#""index":0"#, []),
    ])
  func tokens(choice: String, outputs: [ChoiceOutput]) throws {
    #expect(try recipe.decodeEveryWay(sse(chunk(choice))).outputs == outputs)
  }

  @Test("A stream of prompts interleaves by index and ends with usage and [DONE]")
  func stream() throws {
    var stream = ""
    for word in ["The", " quick", "", " fox"] {
      for index in [0, 1] { stream += sse(chunk(#""index":\#(index),"text":"\#(word)","finish_reason":null"#)) }
    }
    stream += sse(chunk(#""index":0,"text":"","finish_reason":"length""#))
    stream += sse(#"{"model":"small","choices":[],"usage":{"prompt_tokens":2,"completion_tokens":8}}"#, "[DONE]")
    let decoded = try recipe.decodeEveryWay(stream)
    #expect(decoded.tokenEvents == 6 && decoded.scalars == 26 && decoded.isWhole)
    #expect(decoded.events.last?.isTerminator == true && decoded.events.count == 11)
    #expect(decoded.events.compactMap(\.usage) == [TokenUsage(input: 2, output: 8)])
  }

  @Test("A whole body tells text, finish reason and counts")
  func wholeBody() throws {
    let body =
      #"{"model":"m","choices":[{"index":0,"text":"abc","finish_reason":"stop"}],"usage":{"completion_tokens":1}}"#
    let decoded = try Recipe.json("openai.completions").decodeEveryWay(body)
    #expect(decoded.outputs == [ChoiceOutput(choice: 0, scalars: 3, kinds: .answer)])
    #expect(decoded.events.first?.finishReason == "stop" && decoded.events.first?.usage?.output == 1)
  }
}
