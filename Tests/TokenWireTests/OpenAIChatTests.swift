// OpenAI chat: which events carry tokens, and what they and whole bodies say.
import Testing
import TokenWire

/// A chat chunk with one choice.
func chatChunk(_ delta: String, _ more: String = "", index: Int = 0) -> String {
  let head = #"{"id":"chatcmpl-b40b9f7c","object":"chat.completion.chunk","created":1795220763,"model":"small","#
  return head + #""choices":[{"index":\#(index),"delta":\#(delta),"logprobs":null,"finish_reason":null\#(more)}]}"#
}

/// Frames payloads as events.
func sse(_ payloads: String...) -> String { payloads.map { "data: \($0)\n\n" }.joined() }

private let bearing: [(String, Int, OutputKinds)] = [
  (#"{"content":"Hi"}"#, 2, OutputKinds.answer),
  (#"{"content":"\u00e9\n"}"#, 2, .answer),
  (#"{"content":"你好"}"#, 2, .answer),
  (#"{"role":"assistant","content":"Hi"}"#, 2, .answer),
  (#"{"role":"assistant","content":"","reasoning_content":"First"}"#, 5, .reasoning),
  (#"{"reasoning_content":"First","role":"assistant"}"#, 5, .reasoning),
  (#"{"content":null,"reasoning":"We"}"#, 2, .reasoning),
  (#"{"thinking":"We"}"#, 2, .reasoning),
  (#"{"reasoning":"We","reasoning_content":"We"}"#, 2, .reasoning),
  (#"{"reasoning":"We","reasoning_details":[{"type":"reasoning.text","text":"We"}]}"#, 2, .reasoning),
  (#"{"reasoning_details":[{"type":"reasoning.text","text":"We"}]}"#, 2, .reasoning),
  (#"{"refusal":"No"}"#, 2, .answer),
  (
    #"{"role":"assistant","content":null,"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]}"#, 1,
    .toolCall
  ),
  (#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}"#, 5, .toolCall),
  (#"{"tool_calls":[{"custom":{"name":"sh","input":"ls"}}]}"#, 4, .toolCall),
  (#"{"function_call":{"name":"f","arguments":"{}"}}"#, 3, .toolCall),
  (#"{"content":[{"type":"text","text":"Hi"}]}"#, 2, .answer),
  (#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm"}]}]}"#, 2, .reasoning),
  (#"{"content":"a","reasoning_content":"b"}"#, 2, [.answer, .reasoning]),
  (#"{"audio":{"transcript":"Hi"}}"#, 2, .answer),
  (#"{"audio":{"data":"AAAA"}}"#, 0, .answer),
]

@Suite("OpenAI chat")
struct OpenAIChatTests {
  private let recipe = Recipe.sse("openai.chat")

  /// The outputs of one chunk with that delta.
  private func outputs(_ delta: String, _ more: String = "") throws -> [ChoiceOutput] {
    try recipe.decodeEveryWay(sse(chatChunk(delta, more))).outputs
  }

  @Test(
    "Generated output of any kind makes an event token-bearing",
    arguments: bearing)
  func bears(delta: String, scalars: Int, kinds: OutputKinds) throws {
    // A call begins with its name.
    let calls = delta.contains("\"name\"") ? 1 : 0
    #expect(try outputs(delta) == [ChoiceOutput(choice: 0, scalars: scalars, kinds: kinds, toolCalls: calls)])
  }

  @Test(
    "The empty string without a role is a token that decodes to nothing",
    arguments: [#"{"content":""}"#, #"{"role":null,"content":""}"#, #"{"content":"","tool_calls":null}"#])
  func emptyToken(delta: String) throws {
    #expect(try outputs(delta) == [ChoiceOutput(choice: 0, scalars: 0, kinds: [])])
  }

  @Test(
    "Roles, empty deltas, usage and progress are no tokens",
    arguments: [
      chatChunk(#"{"role":"assistant","content":""}"#), chatChunk(#"{"role":"assistant","content":null}"#),
      chatChunk(#"{"role":"assistant"}"#), chatChunk(#"{"role":"assistant","content":"","reasoning_content":""}"#),
      chatChunk("{}"), chatChunk(#"{"content":null}"#), chatChunk(#"{"annotations":[]}"#), chatChunk("null"),
      chatChunk(#"{"tool_calls":[]}"#), chatChunk(#"{"role":"assistant","content":null}"#, #","prompt_progress":{}"#),
      #"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
      #"{"choices":[],"prompt_filter_results":[]}"#,
      #"{"choices":null}"#, "{}", "[]", "1",
    ])
  func bearsNothing(payload: String) throws {
    let decoded = try recipe.decodeEveryWay(sse(payload))
    #expect(decoded.events.count == 1)
    #expect(decoded.tokenEvents == 0 && decoded.malformed == 0)
  }

  @Test("The closing chunk may carry the last token, or the empty one")
  func closingChunk() throws {
    let last = chatChunk(#"{"reasoning":"STATE"}"#).replacing(
      "\"finish_reason\":null", with: "\"finish_reason\":\"length\"")
    let decoded = try recipe.decodeEveryWay(sse(last))
    #expect(decoded.events.first?.finishReason == "length")
    #expect(decoded.scalars == 5)
    let empty = last.replacing("STATE", with: "")
    #expect(try recipe.decodeEveryWay(sse(empty)).tokenEvents == 1)
  }

  @Test(
    "Tokens are counted where the event names them",
    arguments: [
      (#","token_ids":[1,2,3]"#, 3), (#","token_ids":null"#, nil), (#","token_ids":[]"#, nil),
      (#","output_ids":[7]"#, 1), (#","logprobs":{"content":[{"token":"H"},{"token":"i"}],"refusal":null}"#, 2),
    ])
  func tokenCounts(more: String, tokens: Int?) throws {
    let chunk = chatChunk(#"{"content":"Hi"}"#).replacing(#","logprobs":null"#, with: more)
    let outputs = try recipe.decodeEveryWay(sse(chunk)).outputs
    #expect(outputs == [ChoiceOutput(choice: 0, scalars: 2, kinds: .answer, tokens: tokens)])
  }

  @Test("Choices interleave by index")
  func severalChoices() throws {
    var stream = ""
    for round in 0..<6 {
      for index in 0..<3 { stream += sse(chatChunk(#"{"content":"w\#(round)"}"#, index: index)) }
    }
    let decoded = try recipe.decodeEveryWay(stream + sse("[DONE]"))
    #expect(decoded.outputs.map(\.choice) == (0..<18).map { $0 % 3 })
    #expect(decoded.scalars == 36 && decoded.isWhole)
  }

  @Test("A choice without output is seen: its role, its finish, its empty message")
  func silentChoices() throws {
    let events = [
      chatChunk(#"{"role":"assistant","content":""}"#, index: 1), chatChunk(#"{"content":"a"}"#),
      #"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"},{"index":1,"delta":{},"finish_reason":"stop"}]}"#,
      #"{"choices":[],"usage":{"completion_tokens":2}}"#,
    ]
    let decoded = try recipe.decodeEveryWay(events.map { sse($0) }.joined() + sse("[DONE]"))
    #expect(decoded.events.map { $0.silentChoices } == [[1], [], [0, 1], [], []])
    let body = #"{"choices":[{"index":0,"message":{"role":"assistant","content":""}}]}"#
    #expect(try Recipe.json("openai.chat").decodeEveryWay(body).events.map { $0.silentChoices } == [[0]])
  }

  @Test("One event may carry several choices")
  func choicesInOneEvent() throws {
    let payload =
      #"{"choices":[{"index":1,"delta":{"content":"a"}},{"index":0,"delta":{"content":"bc"}}],"usage":{"completion_tokens":3}}"#
    let event = try #require(try recipe.decodeEveryWay(sse(payload)).events.first)
    #expect(event.outputs.map(\.choice) == [1, 0] && event.outputs.map(\.scalars) == [1, 2])
    #expect(event.usage?.output == 3 && event.countedChoice == nil)
  }

  @Test(
    "Usage is read under all its names",
    arguments: [
      (
        #"{"prompt_tokens":12,"completion_tokens":100,"total_tokens":112,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":60}}"#,
        TokenUsage(input: 12, cached: 3, output: 100, reasoning: 60)
      ),
      (
        #"{"prompt_tokens":5,"completion_tokens":2,"reasoning_tokens":1}"#,
        TokenUsage(input: 5, output: 2, reasoning: 1)
      ),
      (
        #"{"prompt_tokens":5,"completion_tokens":2,"prompt_cache_hit_tokens":4}"#,
        TokenUsage(input: 5, cached: 4, output: 2)
      ),
      (#"{"prompt_tokens":5,"prompt_tokens_details":null,"completion_tokens":0}"#, TokenUsage(input: 5, output: 0)),
      (
        #"{"prompt_tokens":12,"completion_tokens":1,"total_tokens":303,"completion_tokens_details":{"reasoning_tokens":290}}"#,
        TokenUsage(input: 12, output: 291, reasoning: 290)
      ),
      (
        #"{"prompt_tokens":9223372036854775807,"completion_tokens":9223372036854775807,"total_tokens":-9223372036854775808,"reasoning_tokens":7}"#,
        TokenUsage(reasoning: 7)
      ),
      (#"{"prompt_tokens":-1,"completion_tokens":2.5}"#, nil), ("{}", nil), ("null", nil),
    ])
  func usage(usage: String, expected: TokenUsage?) throws {
    let event = try #require(try recipe.decodeEveryWay(sse(#"{"choices":[],"usage":\#(usage)}"#)).events.first)
    #expect(event.usage == expected && event.countedChoice == nil)
  }

  @Test("Continuous usage belongs to the event's choice")
  func continuousUsage() throws {
    let chunk = chatChunk(#"{"content":"x"}"#, index: 2)
    let payload = chunk.dropLast() + #","usage":{"prompt_tokens":4,"completion_tokens":7}}"#
    let event = try #require(try recipe.decodeEveryWay(sse(String(payload))).events.first)
    #expect(event.usage == TokenUsage(input: 4, output: 7) && event.countedChoice == 2)
  }

  @Test("llama.cpp's timings count the cached part of the prompt on top")
  func timings() throws {
    let payload =
      #"{"choices":[],"timings":{"cache_n":9,"prompt_n":13,"prompt_ms":9.5,"predicted_n":24,"predicted_ms":5.75}}"#
    let event = try #require(try recipe.decodeEveryWay(sse(payload)).events.first)
    #expect(event.serverCounts == TokenUsage(input: 22, cached: 9, output: 24))
    #expect(event.serverDurations?.prefillMilliseconds == 9.5 && event.serverDurations?.decodeMilliseconds == 5.75)
    let older = try recipe.decodeEveryWay(sse(payload.replacing(#""cache_n":9,"#, with: "")))
    #expect(older.events.first?.serverCounts == TokenUsage(output: 24))
  }

  @Test("Groq's usage stands beside, with times in seconds")
  func groq() throws {
    let payload =
      #"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"req_1","usage":{"queue_time":0.5,"prompt_tokens":20,"prompt_time":0.25,"completion_tokens":6,"completion_time":0.125,"total_time":0.375}}}"#
    let event = try #require(try recipe.decodeEveryWay(sse(payload)).events.first)
    #expect(event.usage == TokenUsage(input: 20, output: 6))
    #expect(event.serverDurations?.queueMilliseconds == 500 && event.serverDurations?.prefillMilliseconds == 250)
    #expect(event.serverDurations?.decodeMilliseconds == 125 && event.serverDurations?.totalMilliseconds == 375)
  }

  @Test("A usage in its usual place counts, whatever Groq's says; one that is null does not hide Groq's")
  func usageBesideGroqs() throws {
    let groq = #""choices":[],"x_groq":{"usage":{"prompt_tokens":20,"completion_tokens":6}}"#
    let both = try recipe.decodeEveryWay(sse("{\(groq),\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}"))
    #expect(both.events.map(\.usage) == [TokenUsage(input: 1, output: 2)])
    let null = try recipe.decodeEveryWay(sse("{\(groq),\"usage\":null}"))
    #expect(null.events.map(\.usage) == [TokenUsage(input: 20, output: 6)])
  }

  @Test(
    "An error in the stream is its type or code, never its message",
    arguments: [
      (#"{"error":{"message":"secret","type":"server_error","code":500}}"#, "server_error"),
      (#"{"error":{"message":"secret","type":null,"code":429}}"#, "429"),
      (#"{"error":{"message":"secret","http_status_code":422}}"#, "422"),
      (#"{"error":{"message":"secret","type":"what you said: secret"}}"#, "error"),
      (#"{"error":"secret","error_type":"overloaded"}"#, "overloaded"), (#"{"error":"secret"}"#, "error"),
      (#"{"object":"error","message":"secret","type":"BadRequestError","code":400}"#, "BadRequestError"),
      (#"{"error":null,"choices":[]}"#, nil),
    ])
  func errors(payload: String, kind: String?) throws {
    let decoded = try recipe.decodeEveryWay(sse(payload))
    #expect(decoded.events.map(\.errorKind) == [kind])
    #expect(!decoded.isWhole && !"\(decoded)".contains("secret"))
  }

  @Test("A named event among the chunks is no token; one named error is an error")
  func namedEvents() throws {
    let named = "event: sglext_ids\ndata: \(chatChunk(#"{"content":"x"}"#))\n\n"
    let error = "event: error\ndata: {\"error\":{\"type\":\"overloaded_error\"}}\n\n"
    let decoded = try recipe.decodeEveryWay(sse(chatChunk(#"{"content":"a"}"#)) + named + error + named)
    #expect(decoded.events.map { $0.outputs.count } == [1, 0, 0, 0])
    #expect(decoded.events[2].errorKind == "overloaded_error")
  }

  @Test("A whole body tells text, finish reason, model and counts")
  func wholeBody() throws {
    let body = """
      {"id":"x","object":"chat.completion","model":"m-1","choices":[
       {"index":0,"message":{"role":"assistant","content":"Hello","reasoning_content":"Hm"},"finish_reason":"stop"},
       {"index":1,"message":{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},
        "finish_reason":"tool_calls"}],
       "usage":{"prompt_tokens":3,"completion_tokens":9}}
      """
    let decoded = try Recipe.json("openai.chat").decodeEveryWay(body)
    let event = try #require(decoded.events.first)
    #expect(
      event.outputs == [
        ChoiceOutput(choice: 0, scalars: 7, kinds: [.answer, .reasoning]),
        ChoiceOutput(choice: 1, scalars: 3, kinds: .toolCall, toolCalls: 1),
      ])
    #expect(
      event.responseModel == "m-1" && event.usage == TokenUsage(input: 3, output: 9) && event.countedChoice == nil)
    #expect(decoded.isWhole && decoded.isStream == false && decoded.events.count == 1)
  }
}
