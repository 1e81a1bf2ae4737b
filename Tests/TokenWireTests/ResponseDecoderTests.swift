// How a response's head chooses its framing, how it ends, and that memory is bounded whatever arrives.
import TestSupport
import Testing
import TokenWire

@Suite("ResponseDecoder")
struct ResponseDecoderTests {
  private let stream = sse(chatChunk(#"{"content":"a"}"#), chatChunk(#"{"content":"b"}"#), "[DONE]")
  private let body = #"{"choices":[{"index":0,"message":{"content":"abc"}}]}"#
  private let lines =
    #"{"message":{"content":"a"},"done":false}"# + "\n" + #"{"message":{"content":""},"done":true}"# + "\n"

  @Test(
    "Content-Type chooses the framing, with its parameters and whatever its case",
    arguments: ["text/event-stream", "text/event-stream; charset=utf-8", "Text/Event-Stream;charset=utf-8"])
  func eventStream(type: String) throws {
    let decoded = try Recipe(dialect: "openai.chat", contentType: type).decodeEveryWay(stream)
    #expect(decoded.isStream == true && decoded.isWhole && decoded.tokenEvents == 2 && decoded.problem == nil)
  }

  @Test("A stream without a Content-Type, or with one that says nothing, is known by its first bytes")
  func sniffing() throws {
    for type in [nil, "", "text/plain", "application/octet-stream"] {
      let chat = Recipe(dialect: "openai.chat", contentType: type)
      for start in ["", ": ping\n\n", "\u{FEFF}", "\n\n", "event: message\n", "id: 1\n", "retry: 5\n"] {
        let decoded = try chat.decodeEveryWay(start + stream)
        #expect(decoded.isStream == true && decoded.tokenEvents == 2, "\(start.debugDescription)")
      }
      #expect(try chat.decodeEveryWay(body).isStream == false)
      #expect(try chat.decodeEveryWay(body).scalars == 3)
      let ollama = try Recipe(dialect: "ollama.chat", contentType: type).decodeEveryWay(lines)
      #expect(ollama.isStream == true && ollama.isWhole)
      let other = try chat.decodeEveryWay("<html>data:</html>")
      #expect(other.isStream == nil && other.problem == "neither JSON nor an event stream" && other.events.isEmpty)
      #expect(try chat.decodeEveryWay("").problem == nil)
      let blank = try chat.decodeEveryWay(String(repeating: "\n", count: 1024) + stream)
      #expect(blank.isStream == nil && blank.events.isEmpty && blank.problem == "neither JSON nor an event stream")
    }
  }

  @Test("The terminator ends a stream where it is all of an event, and nothing else does")
  func terminators() throws {
    let chunk = sse(chatChunk(#"{"content":"a"}"#))
    for end in [
      "data: [DONE]\n\n", "data: [DONE]\r\n\r\n", "data:[DONE]\r\r", ": x\ndata: [DONE]\n\n", "data: [DONE] \n\n",
    ] {
      let decoded = try Recipe.sse("openai.chat").decodeEveryWay(chunk + end + chunk)
      #expect(decoded.isWhole && decoded.malformed == 0 && decoded.events.map(\.isTerminator) == [false, true, false])
    }
    for other in ["data: [DONE]x\n\n", "data: [DONE]\ndata: x\n\n", "data: [DONE\n\n", "data: [\n\n"] {
      let decoded = try Recipe.sse("openai.chat").decodeEveryWay(chunk + other + chunk)
      #expect(!decoded.isWhole && decoded.malformed == 1)
    }
  }

  @Test("Anything else is not decoded")
  func otherTypes() throws {
    for text in ["<html>data:</html>", "datum\n\n", "eve"] {
      let decoded = try Recipe(dialect: "openai.chat", contentType: "text/html").decodeEveryWay(text)
      #expect(decoded.events.isEmpty && !decoded.isWhole && decoded.problem == "neither JSON nor an event stream")
    }
  }

  @Test(
    "The first bytes decide, whatever the type says",
    arguments: ["application/json", "text/html", "text/event-stream", "application/x-ndjson", "audio/mpeg"])
  func labels(type: String) throws {
    for (dialect, text, isStream) in [
      ("openai.chat", stream, true), ("ollama.chat", lines, true), ("openai.chat", "\n\n" + stream, true),
      (
        "ollama.chat",
        stream.replacing(stream, with: ": x\n\n" + lines.split(separator: "\n").map { "data: \($0)\n\n" }.joined()),
        true
      ),
    ] {
      let decoded = try Recipe(dialect: dialect, contentType: type).decodeEveryWay(text)
      #expect(
        decoded.isStream == isStream && decoded.isWhole && decoded.problem == nil && decoded.malformed == 0,
        "\(dialect)")
      #expect(decoded.tokenEvents == (dialect == "openai.chat" ? 2 : 1))
    }
    guard type != "application/x-ndjson" else { return }
    for tail in ["", "\n", "\n\ndata: [DONE]\n\n"] {
      for body in [body, body.replacing(",", with: ",\n ")] {
        let decoded = try Recipe(dialect: "openai.chat", contentType: type).decodeEveryWay(body + tail)
        #expect(decoded.isStream == false && decoded.isWhole && decoded.scalars == 3 && decoded.problem == nil)
      }
    }
  }

  @Test(
    "An unknown content coding leaves timing only, and says so without repeating what it was sent; of others the decoder gets what they stand for",
    arguments: [
      ("compress", "content-encoding compress: timing only"), ("x, y", "content-encoding other, other: timing only"),
      ("gzip, br, zstd", "content-encoding gzip, br, zstd: timing only"), ("identity", nil), ("", nil), ("gzip", nil),
      ("gzip, br", nil),
    ])
  func codings(coding: String, problem: String?) throws {
    var recipe = Recipe.sse("openai.chat")
    recipe.contentEncoding = coding
    let decoded = try recipe.decodeEveryWay(stream)
    #expect(decoded.problem == problem && decoded.isStream == true)
    #expect(decoded.events.isEmpty == (problem != nil))
  }

  @Test(
    "The names of a response's codings are those that are known, and no others",
    arguments: [
      ([], nil), (["identity"], nil), (["GZIP"], "gzip"), (["x-gzip", "br"], "gzip, br"), (["sk-secret"], "other"),
      (["a,b,c,d,e"], "other"), (["zstd , identity"], "zstd"),
    ] as [([String], String?)])
  func encodings(values: [String], encoding: String?) {
    #expect(AnnouncedBody(status: 200, contentType: nil, contentEncoding: values).encoding == encoding)
  }

  @Test("Heads that have no body begin nothing", arguments: [100, 103, 204, 304])
  func bodiless(status: Int) throws {
    var recipe = Recipe.sse("openai.chat")
    recipe.status = status
    let decoded = try recipe.decodeEveryWay("")
    #expect(decoded.isStream == nil && decoded.problem == nil && !decoded.isWhole)
  }

  @Test("An error before the stream is a plain body, whatever was asked for")
  func errorBody() throws {
    var recipe = Recipe.json("openai.chat")
    recipe.status = 400
    let decoded = try recipe.decodeEveryWay(#"{"error":{"message":"secret","type":"invalid_request_error"}}"#)
    #expect(decoded.isStream == false && decoded.events.map(\.errorKind) == ["invalid_request_error"])
  }

  @Test("A stream without [DONE] is whole where a finish reason came and HTTP ended it well")
  func noTerminator() throws {
    let finish = chatChunk("{}").replacing("\"finish_reason\":null", with: "\"finish_reason\":\"stop\"")
    var recipe = Recipe.sse("openai.chat")
    #expect(try recipe.decodeEveryWay(sse(chatChunk(#"{"content":"a"}"#), finish)).isWhole)
    #expect(try !recipe.decodeEveryWay(sse(chatChunk(#"{"content":"a"}"#))).isWhole)
    #expect(try !recipe.decodeEveryWay("").isWhole)
    recipe.complete = false
    #expect(try !recipe.decodeEveryWay(sse(chatChunk(#"{"content":"a"}"#), finish)).isWhole)
    #expect(try recipe.decodeEveryWay(stream).isWhole)
  }

  @Test("An unfinished last event is no token, but its usage and its terminator count")
  func unfinishedEvent() throws {
    let recipe = Recipe.sse("openai.chat")
    let head = sse(chatChunk(#"{"content":"a"}"#))
    let done = try recipe.decodeEveryWay(head + "data: [DONE]")
    #expect(done.isWhole && done.events.count == 2)
    let usage = try recipe.decodeEveryWay(head + "data: {\"choices\":[],\"usage\":{\"completion_tokens\":1}}\n")
    #expect(usage.events.last?.usage?.output == 1)
    let token = try recipe.decodeEveryWay(head + "data: \(chatChunk(#"{"content":"b"}"#))\n")
    #expect(token.tokenEvents == 1 && token.events.count == 1)
    // What says how the stream ended counts, the text and the silence beside it do not.
    for delta in [#"{"content":"b"}"#, #"{"role":"assistant"}"#] {
      let last = chatChunk(delta).replacing("\"finish_reason\":null", with: "\"finish_reason\":\"stop\"")
      let end = try #require(try recipe.decodeEveryWay(head + "data: \(last)\n").events.last)
      #expect(end.finishReason == "stop" && end.outputs.isEmpty && end.silentChoices.isEmpty, "\(delta)")
    }
    let torn = try recipe.decodeEveryWay(head + "data: {\"choices\":[{\"del")
    #expect(torn.events.count == 1 && torn.malformed == 0)
  }

  @Test("The same of a last line without its line feed")
  func unfinishedLine() throws {
    let decoded = try Recipe.ndjson("ollama.chat").decodeEveryWay(String(lines.dropLast()))
    #expect(decoded.isWhole && decoded.events.count == 2)
    let torn = try Recipe.ndjson("ollama.chat").decodeEveryWay(String(lines.dropLast(5)))
    #expect(!torn.isWhole && torn.events.count == 1 && torn.malformed == 0)
  }

  @Test("Payloads that are not JSON are counted and passed over; empty ones are only passed over")
  func malformed() throws {
    let decoded = try Recipe.sse("openai.chat").decodeEveryWay(
      sse(chatChunk(#"{"content":"a"}"#), "{\"choices\":[", "oops", "", " ", "[DONE] "))
    #expect(decoded.malformed == 2 && decoded.events.count == 6 && decoded.tokenEvents == 1 && decoded.isWhole)
  }

  @Test("CRLF, comments and doubled blank lines change nothing")
  func variants() throws {
    let recipe = Recipe.sse("openai.chat")
    let plain = try recipe.decodeEveryWay(stream)
    for text in [
      stream.replacing("\n", with: "\r\n"), stream.replacing("\n", with: "\r"),
      stream.replacing("\n\n", with: "\n\n\n"),
      stream.replacing("\n\n", with: "\n\n: keep-alive\n\n"), stream.replacing("data: ", with: "data:"),
      stream.replacing("\n\n", with: " \n\n"), stream.replacing("data: ", with: "id: 1\ndata: "),
    ] {
      #expect(try recipe.decodeEveryWay(text) == plain, "\(text.prefix(40).debugDescription)")
    }
  }

  @Test("JSON over several data lines is one payload")
  func dataLines() throws {
    let decoded = try Recipe.sse("openai.chat").decodeEveryWay(
      "data: {\"choices\":\ndata: [{\"delta\":{\"content\":\"ab\"}}]}\n\n")
    #expect(decoded.scalars == 2)
  }

  @Test(
    "An event past its limit is shortened or passed over, and what comes behind it is read; a body past its limit is not"
  )
  func limits() throws {
    var recipe = Recipe.sse("openai.chat")
    recipe.limits = DecoderLimits(eventBytes: 300, bodyBytes: 100)
    let long = sse(chatChunk(#"{"content":"\#(String(repeating: "x", count: 400))"}"#))
    let decoded = try recipe.decodeEveryWay(sse(chatChunk(#"{"content":"a"}"#)) + long + stream)
    #expect(decoded.tokenEvents == 3 && decoded.isWhole && decoded.problem == nil && decoded.malformed == 0)

    recipe.contentType = "application/x-ndjson"
    recipe.dialect = "ollama.chat"
    let line = try recipe.decodeEveryWay(lines + String(repeating: "x", count: 301) + "\n" + lines)
    #expect(line.events.count == 4 && line.isWhole && line.problem == nil)

    recipe.contentType = "application/json"
    let body = try recipe.decodeEveryWay("{\"message\":{\"content\":\"\(String(repeating: "x", count: 100))\"}}")
    #expect(body.events.isEmpty && body.problem == "body longer than 100 bytes" && !body.isWhole)
  }

  @Test("A body that is no JSON object says so where it is whole")
  func brokenBody() throws {
    var recipe = Recipe.json("openai.chat")
    #expect(try recipe.decodeEveryWay("{\"choices\":[").problem == "body is not a JSON object")
    #expect(try recipe.decodeEveryWay("[]").isWhole == false)
    recipe.complete = false
    #expect(try recipe.decodeEveryWay("{\"choices\":[").problem == nil)
  }

  @Test("The closure may feed another decoder with the same parser")
  func reentrance() throws {
    let parser = DecodingContext()
    let bytes = Array(stream.utf8)
    var outer = ResponseDecoder(dialect: try #require(Dialects.named("openai.chat")), limits: .test())
    outer.begin(AnnouncedBody(status: 200, contentType: "text/event-stream", contentEncoding: []))
    var inner: [Decoded] = []
    for _ in 0..<3 {
      outer.feed(bytes.span.bytes, context: parser) { observation in
        let before = DecodedEvent(observation)
        if let decoded = try? Recipe.sse("openai.chat").decode([bytes[...]], parser) { inner.append(decoded) }
        #expect(DecodedEvent(observation) == before)
      }
    }
    #expect(inner.count == 9)
    #expect(inner.allSatisfy { $0 == inner[0] && $0.tokenEvents == 2 })
  }
}
