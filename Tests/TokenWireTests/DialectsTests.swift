// Which requests belong to which dialect, and what is found in a request's body.
import Testing
import TokenWire

@Suite("Dialects and requests")
struct DialectsTests {
  @Test(
    "A request matches a dialect by its method and its path's end, whatever stands before",
    arguments: [
      ("POST", "/v1/chat/completions", "openai.chat"), ("POST", "/chat/completions", "openai.chat"),
      ("POST", "/openai/v1/chat/completions", "openai.chat"), ("POST", "/v1/chat/completions/", "openai.chat"),
      ("POST", "/openai/deployments/gpt/chat/completions", "openai.chat"),
      ("POST", "/v1/completions", "openai.completions"), ("POST", "/x/v1/completions", "openai.completions"),
      ("POST", "/api/chat", "ollama.chat"), ("POST", "/ollama/api/chat", "ollama.chat"),
      ("POST", "/api/generate", "ollama.generate"),
      ("POST", "/v1/responses", "openai.responses"), ("POST", "/openai/v1/responses/", "openai.responses"),
      ("POST", "/v1/messages", "anthropic.messages"), ("POST", "/v1/messages/count_tokens", nil),
      ("POST", "/completion", "llamacpp.completion"), ("POST", "/infill", "llamacpp.completion"),
      ("POST", "/completions", "llamacpp.completion"), ("POST", "/generate", "sglang.generate"),
      ("PUT", "/generate", "sglang.generate"), ("POST", "/generate_stream", "tgi.generate"),
      ("POST", "/v2/models/m/generate_stream", "triton.generate"), ("POST", "/v2/models/m/generate", "triton.generate"),
      ("POST", "/x/v2/models/m/versions/1/generate_stream", "triton.generate"),
      ("POST", "/v1beta/models/m:streamGenerateContent", "gemini.generate"),
      ("POST", "/v1/projects/p/locations/l/publishers/google/models/m:generateContent", "gemini.generate"),
      ("POST", "/v1beta/models/m:countTokens", nil), ("POST", "/v2/chat", "cohere.chat"),
      ("POST", "/cohere/v2/chat", "cohere.chat"), ("POST", "/inference/v1/generate", "vllm.generate"),
      ("POST", "/v1/embeddings", "embeddings"), ("POST", "/api/embed", "embeddings"), ("POST", "/v1/rerank", "rerank"),
      ("POST", "/v1/audio/speech", "openai.speech"), ("POST", "/v1/audio/transcriptions", "openai.transcription"),
      ("POST", "/v1/fim/completions", "openai.chat"),
      ("GET", "/v1/chat/completions", nil), ("OPTIONS", "/api/chat", nil),
      ("POST", "/v1/chat/completions/batch", nil),
      ("POST", "/v1/mychat/completionsx", nil), ("POST", "/api/chats", nil),
      ("POST", "/", nil), ("POST", "", nil),
    ])
  func matches(method: String, path: String, name: String?) {
    #expect(Dialects.matching(method: method, path: path)?.name == name)
    #expect(Dialects.all.filter { $0.matches(method: method, path: path) }.count <= 1)
  }

  @Test("Names are the record's, and each is found by its own")
  func names() {
    #expect(Set(Dialects.all.map { $0.name }).count == Dialects.all.count)
    for dialect in Dialects.all { #expect(Dialects.named(dialect.name)?.name == dialect.name) }
    #expect(Dialects.named("x") == nil)
  }

  @Test("Operation and provider are OpenTelemetry's names")
  func operations() {
    #expect(
      Dialects.all.prefix(6).map { "\($0.provider) \($0.operation)" } == [
        "openai chat", "openai text_completion", "openai chat", "anthropic chat", "ollama chat",
        "ollama text_completion",
      ])
  }

  @Test(
    "A model may stand in the path",
    arguments: [
      ("/v1beta/models/m:generateContent", "m"), ("/v2/models/m/generate", "m"),
      ("/openai/deployments/d/chat/completions", "d"), ("/v1/models", nil), ("/v1/models/m", nil), ("/models//x", nil),
    ])
  func models(path: String, model: String?) {
    #expect(Dialects.model(inPath: path) == model)
  }

  private func facts(_ body: String, _ dialect: String = "openai.chat") throws -> RequestFacts? {
    let bytes = Array(body.utf8)
    let parser = DecodingContext()
    var facts = RequestFacts()
    return facts.read(bytes.span.bytes, try #require(Dialects.named(dialect)), parser) ? facts : nil
  }

  @Test("Model, stream, n and user are found, the prompt is not")
  func chatRequest() throws {
    let read = try #require(
      try facts(#"{"model":"m","messages":[{"role":"user","content":"secret"}],"stream":true,"n":3,"user":"alice"}"#))
    #expect(read.model == "m" && read.stream == true && read.choices == 3)
    #expect(read.user == "alice" && read.userKey == "body:user" && read.session == nil)
    #expect(!"\(read)".contains("secret"))
  }

  @Test("What the body leaves out has the API's default")
  func defaults() throws {
    #expect(try facts("{}")?.stream == false)
    #expect(try facts("{}")?.choices == 1)
    #expect(try facts("{}", "ollama.chat")?.stream == true)
    #expect(try facts(#"{"stream":false}"#, "ollama.chat")?.stream == false)
    #expect(try facts(#"{"n":0}"#)?.choices == 1)
  }

  @Test(
    "The user is the first key of LiteLLM's order that names one",
    arguments: [
      (#"{"user":"a","metadata":{"user_id":"b"}}"#, "a", "body:user"),
      (#"{"user":"","litellm_metadata":{"user":"c"},"metadata":{"user_id":"b"}}"#, "c", "body:litellm_metadata.user"),
      (#"{"user":7,"metadata":{"user_id":"b"},"safety_identifier":"d"}"#, "b", "body:metadata.user_id"),
      (#"{"safety_identifier":"d"}"#, "d", "body:safety_identifier"), ("{}", nil, nil),
    ])
  func user(body: String, user: String?, key: String?) throws {
    let read = try #require(try facts(body))
    #expect(read.user == user && read.userKey == key)
  }

  @Test("A session is taken where one is named")
  func session() throws {
    #expect(try facts(#"{"session_id":"s"}"#)?.session == "s")
    #expect(try facts(#"{"metadata":{"conversation_id":"c"}}"#)?.session == "c")
  }

  @Test(
    "A batch of prompts asks for a choice each, n times",
    arguments: [
      (#"{"prompt":"a"}"#, 1), (#"{"prompt":["a","b"],"n":2}"#, 4), (#"{"prompt":[1,2,3]}"#, 1),
      (#"{"prompt":[[1,2],[3]]}"#, 2), (#"{"prompt":[]}"#, 1),
    ])
  func batch(body: String, choices: Int) throws {
    #expect(try facts(body, "openai.completions")?.choices == choices)
  }

  @Test("An echoed prompt is noted")
  func echo() throws {
    #expect(try facts(#"{"prompt":"a","echo":true}"#, "openai.completions")?.echo == true)
    #expect(try facts(#"{"prompt":"a"}"#, "openai.completions")?.echo == nil)
  }

  @Test("A name that is too long is cut", arguments: [512, 513])
  func longNames(count: Int) throws {
    let name = String(repeating: "x", count: count)
    #expect(try facts(#"{"model":"\#(name)"}"#)?.model == String(name.prefix(512)))
  }

  @Test("A body that was cut, or is no JSON object, tells nothing", arguments: ["", "{\"model\":\"m\"", "[]", "x=1"])
  func noFacts(body: String) throws {
    #expect(try facts(body) == nil)
  }
}
