// The simulator over loopback: every dialect, every fault, and a truth that agrees with what came.
import Testing

@testable import Simulator

@Suite("The simulator over loopback")
struct SimulatorTests {
  let streamed = #"{"model":"m\"1","stream":true}"#

  @Test("A chat stream has role, tokens, finish, usage and terminator, in this order, each a chunk")
  func chat() throws {
    let truth = try withSimulator { client in
      let body = #"{"model":"m\"1","stream":true,"stream_options":{"include_usage":true}}"#
      let text = try client.ask("/v1/chat/completions", body).text
      let events = events(text)
      #expect(events.count == 6)
      #expect(text.contains("text/event-stream"))
      #expect(text.hasSuffix("\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"))
      #expect(events.allSatisfy { $0["model"] as? String == "m\"1" })
      #expect(content(events) == "The quick brown")
      #expect(content(events, key: "role") == "assistant")
      #expect((events.last?["usage"] as? [String: Any])?["completion_tokens"] as? Int == 3)
    }
    #expect(truth.outcome("r") == "ok")
    #expect(truth.line("r")?["tokens"] as? Int == 3)
  }

  @Test("The truth names each token's write, in order, after the request")
  func truthOfWrites() throws {
    let truth = try withSimulator { client in
      _ = try client.ask("/v1/chat/completions", streamed, ["x-sim-tokens: 7", "x-sim-tokens-per-event: 2"])
      _ = try client.ask("/v1/chat/completions", streamed, ["x-sim-truth: no"], id: "hidden")
    }
    let writes = truth.writes("r")
    let completeAt = try #require(truth.line("r")?["complete_ns"] as? Int)
    #expect(writes.map { $0[2] } == [2, 2, 2, 1])
    let instants = [completeAt] + writes.flatMap { [$0[0], $0[1]] } + [truth.line("r")?["end_ns"] as? Int ?? 0]
    #expect(instants == instants.sorted())
    #expect(writes[3][0] - completeAt >= 3_500_000)
    #expect(truth.line("hidden") == nil)
  }

  @Test("Two choices interleave, and each has the whole text")
  func choices() throws {
    let truth = try withSimulator { client in
      let events = events(try client.ask("/v1/chat/completions", #"{"stream":true,"n":2}"#).text)
      #expect(content(events, choice: 0) == "The quick brown")
      #expect(content(events, choice: 1) == "The quick brown")
    }
    #expect(truth.line("r")?["tokens"] as? Int == 6)
    #expect(truth.writes("r").count == 6)
  }

  @Test("Reasoning comes first, under its own key")
  func reasoning() throws {
    try withSimulator { client in
      let events = events(try client.ask("/v1/chat/completions", streamed, ["x-sim-reasoning: 2"]).text)
      #expect(content(events, key: "reasoning_content") == "The quick")
      #expect(content(events) == " brown")
    }
  }

  @Test("Whole answers have a length, the text and the counts")
  func whole() throws {
    try withSimulator { client in
      let chat = try client.ask("/v1/chat/completions", #"{"max_tokens":2}"#).text
      #expect(chat.contains("content-length: "))
      #expect(chat.contains(#""content":"The quick""#) && chat.contains(#""completion_tokens":2"#))
      #expect(chat.contains(#""finish_reason":"length""#))
      let legacy = try client.ask("/v1/completions", "{}").text
      #expect(legacy.contains(#""text":"The quick brown""#))
      let ollama = try client.ask("/api/generate", #"{"stream":false}"#).text
      #expect(ollama.contains(#""response":"The quick brown","done":true"#) && ollama.contains(#""eval_count":3"#))
    }
  }

  @Test(
    "Ollama streams unasked, one JSON object a line, the last one with the counts", arguments: ["chat", "generate"])
  func ollama(kind: String) throws {
    try withSimulator { client in
      let text = try client.ask("/api/\(kind)", #"{"model":"a","options":{"num_predict":2}}"#).text
      let lines = events(text)
      #expect(text.contains("application/x-ndjson"))
      #expect(lines.map { $0["done"] as? Bool } == [false, false, true])
      #expect(lines.last?["eval_count"] as? Int == 2)
      #expect(lines.last?["done_reason"] as? String == "length")
    }
  }

  @Test("Lists, health and unknown paths are answered; requests sent ahead are answered in order")
  func pages() throws {
    try withSimulator { client in
      let connection = try client.connect()
      let chat = Client.request("/v1/chat/completions", streamed, closes: false)
      try connection.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\nHEAD /v1/models HTTP/1.1\r\nHost: a\r\n\r\n\(chat)")
      try connection.send("GET /nope HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      let parts = try connection.readToEnd().components(separatedBy: "HTTP/1.1 ")
      #expect(parts.map { $0.prefix(3) } == ["", "200", "200", "200", "404"])
      #expect(parts[2].hasSuffix("\r\n\r\n"))
      #expect(parts[3].contains("data: [DONE]"))
    }
  }

  @Test("What cannot be understood is a 400 that says why")
  func badRequests() throws {
    try withSimulator { client in
      let bad: [(body: String, fields: [String], reason: String)] = [
        ("{}", ["x-sim-ttft: 20"], "x-sim-ttft: '20': a duration needs a unit"),
        ("{}", ["x-sim-nope: 1"], "x-sim-nope: no such field"),
        ("[]", [], "the body is no JSON object"),
        (#"{"n":0}"#, [], "n must be 1 to 128"),
      ]
      for request in bad {
        let text = try client.ask("/v1/chat/completions", request.body, request.fields).text
        #expect(text.hasPrefix("HTTP/1.1 400 ") && text.contains(request.reason))
      }
    }
  }
}

@Suite("The simulator's faults")
struct FaultTests {
  let path = "/v1/chat/completions"
  let streamed = #"{"stream":true}"#

  @Test("An error status has the dialect's error body")
  func status() throws {
    let truth = try withSimulator { client in
      let openAI = try client.ask(path, streamed, ["x-sim-status: 429"]).text
      #expect(openAI.hasPrefix("HTTP/1.1 429 ") && openAI.contains(#""type":"rate_limit_exceeded""#))
      let ollama = try client.ask("/api/chat", "{}", ["x-sim-status: 500"]).text
      #expect(ollama.hasPrefix("HTTP/1.1 500 ") && ollama.contains(#"{"error":"simulated failure"}"#))
    }
    #expect(truth.outcome("r") == "status")
  }

  @Test("An error inside the stream ends it without its terminator")
  func inBand() throws {
    let truth = try withSimulator { client in
      let text = try client.ask(path, streamed, ["x-sim-error-after: 2"]).text
      #expect(content(events(text)) == "The quick")
      #expect(text.contains(#"data: {"error":{"#) && !text.contains("[DONE]") && text.hasSuffix("0\r\n\r\n"))
    }
    #expect(truth.outcome("r") == "error")
  }

  @Test("A cut stream ends in the middle of its body, a reset one with a reset")
  func cuts() throws {
    let truth = try withSimulator { client in
      let cut = try client.ask(path, streamed, ["x-sim-cut-after: 1"], id: "cut")
      #expect(content(events(cut.text)) == "The" && !cut.text.hasSuffix("0\r\n\r\n") && !cut.wasReset)
      let reset = try client.ask(path, streamed, ["x-sim-reset-after: 1"], id: "reset")
      #expect(reset.wasReset)
    }
    #expect(truth.outcome("cut") == "cut" && truth.outcome("reset") == "reset")
    #expect(truth.line("cut")?["tokens"] as? Int == 1)
  }

  @Test("A torn stream ends within an event and its chunk; garbage is neither, and the connection stays open")
  func tornAndGarbage() throws {
    let truth = try withSimulator { client in
      let torn = try client.ask(path, streamed, ["x-sim-tear-after: 1"], id: "torn")
      #expect(content(events(torn.text)) == "The" && !torn.text.hasSuffix("\n") && !torn.wasReset)
      let connection = try client.connect()
      try connection.send(Client.request(path, streamed, ["x-sim-garbage-after: 1"], id: "garbage"))
      #expect(try connection.read(through: "no chunk\r\n").hasSuffix("\u{7F}no chunk\r\n"))
    }
    #expect(truth.outcome("torn") == "tear" && truth.outcome("garbage") == "garbage")
    #expect(truth.line("torn")?["tokens"] as? Int == 1)
  }

  @Test("Without its terminator a stream is still whole by HTTP's rules")
  func noTerminator() throws {
    let truth = try withSimulator { client in
      let text = try client.ask(path, streamed, ["x-sim-no-done: yes"]).text
      #expect(text.hasSuffix("0\r\n\r\n") && !text.contains("[DONE]"))
      let closing = try client.ask(path, streamed, ["x-sim-framing: close"], id: "close").text
      #expect(closing.hasSuffix("data: [DONE]\n\n") && !closing.contains("chunked"))
    }
    #expect(truth.outcome("r") == "no_done" && truth.outcome("close") == "ok")
  }

  @Test("A padded event has exactly the length that was asked for")
  func padding() throws {
    try withSimulator { client in
      for path in [path, "/v1/completions", "/api/chat"] {
        let text = try client.ask(path, streamed, ["x-sim-event-bytes: 100000", "x-sim-tokens: 1"]).text
        // 100,000 as a chunk's size.
        #expect(text.contains("\r\n186a0\r\n"))
        #expect(events(text).contains { ($0["obfuscation"] ?? $0["padding"]) != nil })
      }
    }
  }

  @Test("Of two limits the newer one counts, and Ollama's negative one is none")
  func limits() throws {
    try withSimulator { client in
      let chat = try client.ask("/v1/chat/completions", #"{"max_completion_tokens":1,"max_tokens":2}"#).text
      #expect(chat.contains("\"completion_tokens\":1"))
      let ollama = try client.ask("/api/generate", #"{"stream":false,"options":{"num_predict":-1}}"#).text
      #expect(ollama.hasPrefix("HTTP/1.1 200") && ollama.contains("\"eval_count\":3"))
    }
  }

  @Test("Only the first event is padded")
  func paddingOnce() throws {
    try withSimulator { client in
      let text = try client.ask("/v1/chat/completions", streamed, ["x-sim-event-bytes: 10000", "x-sim-tokens: 3"]).text
      #expect((10_000..<20_000).contains(text.utf8.count))
    }
  }

  @Test("A client that goes stops its stream, and the truth says when and after how many tokens")
  func abort() throws {
    let truth = try withSimulator { client in
      do {
        let connection = try client.connect()
        defer { connection.close() }
        try connection.send(Client.request(path, streamed, ["x-sim-tokens: 1000000"]))
        _ = try connection.read(through: " brown")
        let active = try client.state("active")
        #expect(active == 1)
      }
      while try client.state("active") > 0 {}
      let aborted = try client.state("aborted")
      #expect(aborted == 1)
    }
    #expect(truth.outcome("r") == "aborted")
    let tokens = try #require(truth.line("r")?["tokens"] as? Int)
    #expect((3..<1_000_000).contains(tokens) && truth.writes("r").count == tokens)
    let abortedAt = try #require(truth.line("r")?["aborted_at_ns"] as? Int)
    let lastWrite = try #require(truth.writes("r").last)
    #expect(abortedAt >= lastWrite[0])
  }

  @Test("A stream that hangs stays open until its client goes")
  func hang() throws {
    let truth = try withSimulator { client in
      do {
        let (connection, silent) = (try client.connect(), try client.connect())
        defer {
          connection.close()
          silent.close()
        }
        try connection.send(Client.request(path, streamed, ["x-sim-hang: 1"], id: "late"))
        _ = try connection.read(through: "\"The\"")
        try silent.send(Client.request(path, streamed, ["x-sim-hang: head"], id: "mute"))
        while try client.state("active") < 2 {}
      }
      while try client.state("active") > 0 {}
    }
    #expect(truth.outcome("late") == "hang" && truth.outcome("mute") == "hang")
    #expect(truth.line("late")?["tokens"] as? Int == 1)
  }

  @Test("With one slot the second request waits for the first")
  func slots() throws {
    let truth = try withSimulator(slots: 1) { client in
      let first = try client.connect()
      try first.send(Client.request(path, streamed, ["x-sim-tokens: 30"], id: "first"))
      while try client.state("active") == 0 {}
      let second = try client.connect()
      try second.send(Client.request(path, streamed, id: "second"))
      #expect(try second.readToEnd().contains("[DONE]"))
      #expect(try first.readToEnd().contains("[DONE]"))
    }
    let firstEnd = try #require(truth.line("first")?["end_ns"] as? Int)
    let secondStart = try #require(truth.line("second")?["start_ns"] as? Int)
    #expect(secondStart >= firstEnd)
  }

  @Test("A flood is fair: two streams of a thousand tokens end together")
  func flood() throws {
    let truth = try withSimulator { client in
      let fields = ["x-sim-ttft: 30ms", "x-sim-interval: 0", "x-sim-tokens: 1000"]
      let connections = try [client.connect(), client.connect()]
      for (index, connection) in connections.enumerated() {
        try connection.send(Client.request(path, streamed, fields, id: "f\(index)"))
      }
      for connection in connections {
        #expect(content(events(try connection.readToEnd())).hasPrefix("The quick brown fox"))
      }
    }
    let (a, b) = (truth.writes("f0"), truth.writes("f1"))
    #expect(a.count == 1000 && b.count == 1000)
    // Neither is through before the other has begun, whichever came first.
    #expect(a[999][0] > b[0][0] && b[999][0] > a[0][0])
  }
}
