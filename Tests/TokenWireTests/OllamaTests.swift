// Ollama's chat and generate: which lines carry tokens, and what the done record and whole bodies say.
import Testing
import TokenWire

@Suite("Ollama")
struct OllamaTests {
  private let done =
    #""done":true,"done_reason":"stop","total_duration":131193100,"load_duration":16500000,"prompt_eval_count":19,"prompt_eval_duration":5000000,"eval_count":12,"eval_duration":106000000}"#

  private func chat(_ message: String, _ rest: String = #""done":false}"#, at time: Int = 0) -> String {
    #"{"model":"gemma","created_at":"2026-11-21T00:00:\#(10 + time).097767Z","message":\#(message),"# + rest + "\n"
  }

  private func generate(_ text: String, _ rest: String = #""done":false}"#) -> String {
    #"{"model":"gemma","created_at":"2026-11-21T00:00:01Z","response":\#(text),"# + rest + "\n"
  }

  @Test(
    "A chat line's content, thinking and tool calls are tokens; an empty message is none",
    arguments: [
      (#"{"role":"assistant","content":"Hi"}"#, [ChoiceOutput(choice: 0, scalars: 2, kinds: .answer)]),
      (
        #"{"role":"assistant","content":"","thinking":"Okay"}"#,
        [ChoiceOutput(choice: 0, scalars: 4, kinds: .reasoning)]
      ),
      (
        #"{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a": 1}}}]}"#,
        [ChoiceOutput(choice: 0, scalars: 8, kinds: .toolCall, toolCalls: 1)]
      ),
      (#"{"role":"assistant","content":""}"#, []), ("null", []),
    ])
  func chatLines(message: String, outputs: [ChoiceOutput]) throws {
    #expect(try Recipe.ndjson("ollama.chat").decodeEveryWay(chat(message)).outputs == outputs)
  }

  @Test("A chat stream: times differ on each line, counts and durations stand on the last")
  func chatStream() throws {
    var stream = ""
    for (time, word) in ["That", "'", "s", " a", " 質問", "\\n"].enumerated() {
      stream += chat(#"{"role":"assistant","content":"\#(word)"}"#, at: time)
    }
    let decoded = try Recipe.ndjson("ollama.chat").decodeEveryWay(
      stream + chat(#"{"role":"assistant","content":""}"#, done))
    #expect(decoded.tokenEvents == 6 && decoded.scalars == 12 && decoded.isWhole && decoded.isStream == true)
    let last = try #require(decoded.events.last)
    #expect(last.serverCounts == TokenUsage(input: 19, output: 12) && last.usage == nil)
    #expect(last.finishReason == "stop" && last.responseModel == "gemma" && last.isTerminator)
    #expect(last.serverDurations?.totalMilliseconds == 131.1931 && last.serverDurations?.loadMilliseconds == 16.5)
    #expect(last.serverDurations?.prefillMilliseconds == 5 && last.serverDurations?.decodeMilliseconds == 106)
    #expect(last.serverDurations?.queueMilliseconds == nil)
  }

  @Test("The done record may carry text, and a count of tokens where logprobs say so")
  func doneWithText() throws {
    let decoded = try Recipe.ndjson("ollama.generate").decodeEveryWay(
      generate(#""Hi""#, #""logprobs":[{"token":"H"},{"token":"i"}],"done":false}"#) + generate(#""!""#, done))
    #expect(decoded.outputs.map(\.scalars) == [2, 1] && decoded.outputs.map(\.tokens) == [2, nil])
  }

  @Test("Generate's thinking is reasoning; an empty response is no token")
  func generateLines() throws {
    let recipe = Recipe.ndjson("ollama.generate")
    #expect(try recipe.decodeEveryWay(generate(#""""#)).tokenEvents == 0)
    let thinking = generate(#""""#, #""thinking":"Hm","done":false}"#)
    #expect(try recipe.decodeEveryWay(thinking).outputs == [ChoiceOutput(choice: 0, scalars: 2, kinds: .reasoning)])
  }

  @Test("Loading and unloading is no inference")
  func load() throws {
    for reason in ["load", "unload"] {
      let body = generate(#""""#, #""done":true,"done_reason":"\#(reason)"}"#)
      let decoded = try Recipe.ndjson("ollama.generate").decodeEveryWay(body)
      #expect(decoded.tokenEvents == 0 && decoded.isWhole && decoded.events.first?.finishReason == reason)
      #expect(decoded.events.first?.serverCounts == nil)
    }
  }

  @Test("An error in mid-stream is said without its message, and the stream is not whole")
  func error() throws {
    let decoded = try Recipe.ndjson("ollama.chat").decodeEveryWay(
      chat(#"{"role":"assistant","content":"Hi"}"#) + #"{"error":"your secret prompt"}"# + "\n")
    #expect(decoded.events.map(\.errorKind) == [nil, "error"] && !decoded.isWhole)
  }

  @Test("Two done lines are two ends of one stream")
  func twoDoneLines() throws {
    let line = chat(#"{"role":"assistant","content":""}"#, done)
    let decoded = try Recipe.ndjson("ollama.chat").decodeEveryWay(line + line)
    #expect(decoded.events.map(\.isTerminator) == [true, true] && decoded.isWhole)
    #expect(decoded.events.map(\.silentChoices) == [[0], [0]])
  }

  @Test("A whole body says the same as a done record, pretty-printed too")
  func wholeBody() throws {
    let body = generate(#""Hello""#, done)
    for text in [body, body.replacing(",", with: ",\n  ")] {
      let decoded = try Recipe.json("ollama.generate").decodeEveryWay(text)
      #expect(decoded.outputs == [ChoiceOutput(choice: 0, scalars: 5, kinds: .answer)])
      #expect(decoded.events.first?.serverCounts?.output == 12 && decoded.isWhole && decoded.isStream == false)
    }
  }
}
