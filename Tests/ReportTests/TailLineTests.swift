// A tail's lines: columns, colours, what is left out in narrow terminals, and which exchanges are shown.
import Measurement
import Testing

@testable import Report

private func exchange(_ change: (inout ExchangeRecord) -> Void = { _ in }) -> ExchangeRecord {
  var record = ExchangeRecord()
  record.user = "ann"
  record.dialect = "openai.chat"
  record.model = "llama"
  record.outcome = .ok
  record.ttftMilliseconds = 123.4
  record.tpotMilliseconds = 8.125
  record.tokensPerSecond = 123.08
  record.outputTokens = 1412
  record.tokensFrom = .usage
  record.gapsMilliseconds = Quantiles(p50: 8, p90: 9, p99: 60, max: 12_000)
  change(&record)
  return record
}

@Suite("A tail's lines")
struct TailLineTests {
  private let wide = TailLine(terminalColumns: 160, isColoured: false)

  private func line(_ record: ExchangeRecord) -> String { wide.line(record, time: "12:34:56.789") }

  @Test("All that is known of an exchange stands in one plain line below its title")
  func plain() {
    let words = line(exchange()).split(separator: " ")
    #expect(words == ["12:34:56.789", "ann", "llama", "ok", "123.4", "8.125", "1,412", "123.1", "▂▂▄█"])
    let titles = ["TTFT ms", "TPOT ms", "TOKENS", "TOK/S", "GAPS"]
    for title in titles { #expect(wide.header.contains(title)) }
  }

  @Test("Columns stand under their titles whatever the names are made of")
  func alignment() throws {
    let names = ["ann", "日本語の名前がとても長いので切られる", "👩‍💻", "e\u{301}", "", String(repeating: "x", count: 90)]
    for name in names {
      let line = line(exchange { $0.user = name })
      let outcome = try #require(line.firstRange(of: " ok "))
      let title = try #require(wide.header.firstRange(of: "OUTCOME"))
      #expect(
        TerminalText.width(String(line[..<outcome.lowerBound])) + 1
          == TerminalText.width(String(wide.header[..<title.lowerBound])), "\(name)")
    }
  }

  @Test("What is not known is a dash; a wait without a token and a count by events say what they are")
  func unknown() {
    let words = line(
      exchange {
        $0.user = nil
        $0.outcome = .clientCancelled
        $0.stage = .waiting
        $0.ttftMilliseconds = nil
        $0.waitedMilliseconds = 812.5
        $0.tpotMilliseconds = nil
        $0.tokensPerSecond = nil
        $0.tokensFrom = .events
        $0.outputTokens = 40
        $0.gapsMilliseconds = nil
      }
    ).split(separator: " ")
    #expect(words == ["12:34:56.789", "–", "llama", "client_cancelled", "waiting", ">812.5", "–", "≥40", "–", "–"])
  }

  @Test("An unmeasured exchange says what was asked for, an error its status")
  func passedThrough() {
    let line = line(
      exchange {
        $0.dialect = nil
        $0.model = nil
        $0.method = "GET"
        $0.path = "/v1/models"
        $0.outcome = .upstreamStatus
        $0.status = 503
      })
    #expect(line.contains("GET /v1/models"))
    #expect(line.contains("upstream_status 503"))
  }

  @Test("Only a wait that the client or a timeout cut short stands under TTFT", arguments: Outcome.allCases)
  func censored(_ outcome: Outcome) {
    let line = line(
      exchange {
        $0.outcome = outcome
        $0.status = 429
        $0.ttftMilliseconds = nil
        $0.waitedMilliseconds = 812.5
      })
    #expect(line.contains(">812.5") == [.clientCancelled, .timeout].contains(outcome))
  }

  @Test(
    "A request that was rejected before it was understood shows the reason, without the error's kind",
    arguments: ["request_malformed: Host is not a host", "Host is not a host"])
  func refused(error: String) {
    let line = line(
      exchange {
        $0.dialect = nil
        $0.model = nil
        $0.outcome = .rejected
        $0.error = error
      })
    #expect(line.contains("Host is not a host") && !line.contains("request_malformed"))
  }

  @Test("In 80 columns an outcome is whole: without its stage, and a status without its name")
  func narrow() {
    let narrow = TailLine(terminalColumns: 80, isColoured: false)
    let error = exchange {
      $0.outcome = .upstreamStatus
      $0.status = 429
    }
    let abort = exchange {
      $0.outcome = .clientCancelled
      $0.stage = .streaming
    }
    #expect(narrow.line(error, time: "12:34:56.789").contains(" status 429 "))
    #expect(narrow.line(abort, time: "12:34:56.789").contains(" client_cancelled "))
    #expect(narrow.line(abort, time: "12:34:56.789").hasPrefix("12:34:56 "))
    #expect(line(abort).hasPrefix("12:34:56.789 ") && line(abort).contains(" client_cancelled streaming "))
  }

  @Test("No line is wider than its terminal, and the columns that matter least go first", arguments: 40...200)
  func widths(_ columns: Int) {
    let renderer = TailLine(terminalColumns: columns, isColoured: false)
    let line = renderer.line(
      exchange {
        $0.user = String(repeating: "日", count: 40)
        $0.model = String(repeating: "m", count: 80)
      }, time: "12:34:56.789")
    #expect(TerminalText.width(line) <= columns)
    #expect(TerminalText.width(renderer.header) <= columns)
    #expect(renderer.header.contains("OUTCOME") && renderer.header.contains("TTFT ms"))
    #expect(renderer.header.contains("GAPS") || !renderer.header.contains("TOK/S"))
  }

  @Test("Colours are there when wanted and change nothing else")
  func colours() {
    let coloured = TailLine(terminalColumns: 160, isColoured: true).line(exchange(), time: "12:34:56.789")
    #expect(coloured.contains("\u{1B}[32mok"))
    #expect(coloured.replacing(#/\u{1B}\[[0-9]*m/#, with: "") == line(exchange()))
    #expect(!line(exchange()).contains("\u{1B}"))
  }

  @Test("A name cannot steer the terminal")
  func injection() {
    let line = line(
      exchange {
        $0.user = "\u{1B}[2J\nroot"
        $0.model = "a\u{202E}b\u{85}"
      })
    #expect(line.contains(#"\x1b[2J\x0aroot"#))
    #expect(line.contains(#"a\u{202e}b\x85"#))
    #expect(!line.unicodeScalars.contains { $0.properties.generalCategory == .control })
  }

  @Test("A name of a megabyte is cut before it is looked at")
  func longName() {
    #expect(TerminalText.safe(String(repeating: "\u{1B}", count: 1 << 20)).count < 4096)
  }

  @Test("Dropped records are said with their time")
  func dropped() {
    #expect(wide.dropNotice(count: 1200, time: "12:00:00.000").hasPrefix("12:00:00.000 1,200 records are missing"))
  }

  @Test("A filter lets through what meets all its conditions")
  func filter() {
    let waited = exchange {
      $0.ttftMilliseconds = nil
      $0.waitedMilliseconds = 900
    }
    let unmeasured = exchange { $0.ttftMilliseconds = nil }
    #expect(TailFilter().matches(unmeasured))
    #expect(TailFilter(user: "ann", model: "llama").matches(exchange()))
    #expect(!TailFilter(user: "an").matches(exchange()))
    let composed = exchange { $0.user = "caf\u{e9}" }
    #expect(TailFilter(user: "caf\u{e9}").matches(composed) && !TailFilter(user: "cafe\u{301}").matches(composed))
    #expect(TailFilter(model: "llama-3").matches(exchange { $0.responseModel = "llama-3" }))
    #expect(!TailFilter(model: "qwen").matches(exchange()))
    #expect(TailFilter(slowestFromMilliseconds: 123.4).matches(exchange()))
    #expect(!TailFilter(slowestFromMilliseconds: 124).matches(exchange()))
    #expect(TailFilter(slowestFromMilliseconds: 900).matches(waited))
    #expect(!TailFilter(slowestFromMilliseconds: 0).matches(unmeasured))
  }
}
